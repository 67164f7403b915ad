//! Gradients against finite differences, in f64.

use openledger_backend_cpu::Cpu;
use openledger_engine::sampler::{key, philox};
use openledger_engine::{DeviceAdapter, Net};
use openledger_model::{Adapter, BaseModel, Example, ModelConfig, Target};
use serde_json::json;

use crate::base::fresh_base;
use crate::config::LoraConfig;
use crate::data::Packed;
use crate::grads::{base_params, lora_params, BaseGrads, LoraGrads};
use crate::lora::fresh_adapter;
use crate::pass::{backward, forward, forward_parts, whole, Dropout, Part, Wanted};

type Check = Cpu<f64>;

fn tiny(qwen: bool) -> BaseModel {
    let config = json!({
        "model_type": if qwen { "qwen2" } else { "llama" },
        "vocab_size": 11, "hidden_size": 12, "intermediate_size": 20, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6, "max_position_embeddings": 64,
        "tie_word_embeddings": !qwen, "initializer_range": 0.4, "eos_token_id": 10
    });
    let mut base = fresh_base(&ModelConfig::from_json(&config).unwrap(), 5).unwrap();
    // Norms and biases away from their first values, so that mistakes in them show.
    let mut tensors = base.tensors().clone();
    for (place, (name, values)) in tensors.iter_mut().enumerate() {
        if name.ends_with("norm.weight") || name.ends_with(".bias") {
            for (i, v) in values.iter_mut().enumerate() {
                *v += (philox([i as u32, place as u32, 0, 1], key(3))[0] as f32 / 4.3e9 - 0.5) * 0.8;
            }
        }
    }
    base = BaseModel::new(base.config.clone(), tensors).unwrap();
    base
}

fn examples() -> Vec<Example> {
    let word = |i: usize, t: usize| philox([i as u32, t as u32, 0, 2], key(8))[0];
    let one = |(i, len): (usize, usize)| Example {
        tokens: (0..len).map(|t| word(i, t) % 11).collect(),
        mask: (0..len).map(|t| t % 3 != 1).collect(),
    };
    [37, 6, 13].into_iter().enumerate().map(one).collect()
}

fn adapter(net: &Net<Check>) -> DeviceAdapter<Vec<f64>> {
    let lora = LoraConfig {
        rank: 3,
        alpha: 6.0,
        targets: Target::ALL.to_vec(),
    };
    let fresh = fresh_adapter(net, &lora, 4).unwrap();
    let mut modules = fresh.modules.clone();
    for m in &mut modules {
        m.b =
            m.a.iter()
                .rev()
                .cycle()
                .take(m.b.len())
                .map(|a| a * 0.7)
                .collect();
    }
    let adapter = Adapter::new(3, 6.0, modules, None).unwrap();
    DeviceAdapter::new(&net.backend, net.config(), &adapter).unwrap()
}

fn loss(net: &Net<Check>, lora: Option<&DeviceAdapter<Vec<f64>>>, packed: &Packed) -> f64 {
    loss_with(net, lora, packed, None)
}

fn with<'a>(
    lora: Option<&'a DeviceAdapter<Vec<f64>>>,
    packed: &Packed,
    dropout: Option<Dropout>,
) -> Vec<Part<'a, Vec<f64>>> {
    let mut parts = whole(lora, packed);
    parts
        .iter_mut()
        .for_each(|part| part.dropout.clone_from(&dropout));
    parts
}

fn loss_with(
    net: &Net<Check>,
    lora: Option<&DeviceAdapter<Vec<f64>>>,
    packed: &Packed,
    dropout: Option<Dropout>,
) -> f64 {
    let parts = with(lora, packed, dropout);
    let mut tape = forward_parts(net, &parts, packed);
    tape.losses(net, packed, 0, 1.0).iter().sum()
}

// The five-point rule: its error falls with the fourth power of the step.
fn slope(mut at: impl FnMut(f64) -> f64) -> f64 {
    let h = 2e-3;
    (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h)
}

fn close(name: &str, got: f64, want: f64, scale: f64) {
    assert!(
        (got - want).abs() <= 1e-6 * scale.max(1.0),
        "{name}: gradient {got}, finite difference {want}"
    );
}

#[test]
fn lora_gradients_should_match_finite_differences() {
    for (qwen, share) in [(false, 0.0), (true, 0.0), (false, 0.3)] {
        let net = Net::owned(Check::new(), &tiny(qwen)).unwrap();
        let mut lora = adapter(&net);
        let packed = Packed::new(&examples());
        let dropout = (share > 0.0).then(|| Dropout {
            share,
            seed: 9,
            rows: (0..packed.rows() as u32).map(|r| [r / 10, r]).collect(),
        });
        let mut grads = LoraGrads::new(&net, &lora);
        let parts = with(Some(&lora), &packed, dropout.clone());
        let mut tape = forward_parts(&net, &parts, &packed);
        tape.losses(&net, &packed, 0, 1.0);
        let wanted = Wanted {
            lora: vec![&mut grads],
            base: None,
            tap: None,
        };
        backward(&net, &parts, &packed, &tape, wanted);
        for at in 0..grads.bufs.len() {
            let scale = grads.bufs[at].iter().fold(0.0_f64, |m, g| m.max(g.abs()));
            for i in (0..grads.bufs[at].len()).step_by(7) {
                let value = lora_params(&mut lora)[at].0[i];
                let want = slope(|h| {
                    lora_params(&mut lora)[at].0[i] = value + h;
                    loss_with(&net, Some(&lora), &packed, dropout.clone())
                });
                lora_params(&mut lora)[at].0[i] = value;
                close(
                    &format!("adapter buffer {at}, element {i}"),
                    grads.bufs[at][i],
                    want,
                    scale,
                );
            }
        }
    }
}

#[test]
fn base_gradients_should_match_finite_differences() {
    for qwen in [false, true] {
        let mut net = Net::owned(Check::new(), &tiny(qwen)).unwrap();
        let packed = Packed::new(&examples());
        let mut tape = forward(&net, None, &packed);
        tape.losses(&net, &packed, 0, 1.0);
        let mut grads = BaseGrads::new(&net);
        let wanted = Wanted {
            lora: vec![],
            base: Some(&mut grads),
            tap: None,
        };
        backward(&net, &[], &packed, &tape, wanted);
        let count = base_params(&mut net).1.len();
        assert_eq!(count, if qwen { 3 + 2 * 12 } else { 2 + 2 * 9 });
        for p in 0..count {
            let (place, len) = {
                let (_, all) = base_params(&mut net);
                (all[p].0, all[p].1.len())
            };
            let scale = grads.bufs[place].iter().fold(0.0_f64, |m, g| m.max(g.abs()));
            for i in (0..len).step_by(11) {
                let value = base_params(&mut net).1[p].1[i];
                let want = slope(|h| {
                    base_params(&mut net).1[p].1[i] = value + h;
                    loss(&net, None, &packed)
                });
                base_params(&mut net).1[p].1[i] = value;
                close(
                    &format!("base buffer {place}, element {i}"),
                    grads.bufs[place][i],
                    want,
                    scale,
                );
            }
        }
    }
}

#[test]
fn factors_should_rebuild_the_adapter_gradient() {
    let net = Net::owned(Check::new(), &tiny(false)).unwrap();
    let lora = adapter(&net);
    let packed = Packed::new(&examples()[..1]);
    let parts = whole(Some(&lora), &packed);
    let mut tape = forward_parts(&net, &parts, &packed);
    tape.losses(&net, &packed, 0, 1.0);
    let mut grads = LoraGrads::new(&net, &lora);
    let wanted = Wanted {
        lora: vec![&mut grads],
        base: None,
        tap: None,
    };
    backward(&net, &parts, &packed, &tape, wanted);
    let mut seen = 0;
    let mut tap = |layer: usize, target: Target, x: &Vec<f64>, delta: &Vec<f64>| {
        let pair = lora.modules[layer][target.index()].as_ref().unwrap();
        let (d_out, d_in) = net.config().module_shape(target);
        let (da, _) = grads.pair(layer, target).unwrap();
        // dA = Σ_t (s·Bᵀδ_t)·x_tᵀ
        for r in 0..pair.rank {
            for c in 0..d_in {
                let row = |t: usize| -> f64 {
                    let h: f64 = (0..d_out)
                        .map(|o| pair.b[o * pair.rank + r] * delta[t * d_out + o])
                        .sum();
                    pair.scale * h * x[t * d_in + c]
                };
                let want: f64 = (0..packed.rows()).map(row).sum();
                close("dA from factors", da[r * d_in + c], want, 1.0);
            }
        }
        seen += 1;
    };
    let wanted = Wanted {
        lora: vec![],
        base: None,
        tap: Some(&mut tap),
    };
    backward(&net, &parts, &packed, &tape, wanted);
    assert_eq!(seen, 14);
}

//! PEFT folders: what is written is read back, and what is not understood is refused with its key.

use std::path::{Path, PathBuf};

use openledger_model::{Adapter, LoraModule, ModelConfig, Target};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{json, Value};

fn config() -> ModelConfig {
    ModelConfig::from_json(&json!({
        "model_type": "llama", "vocab_size": 20, "hidden_size": 8, "intermediate_size": 12,
        "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1
    }))
    .unwrap()
}

/// A word the refusal must hold, and the change that causes it.
type Case<F> = (&'static str, F);
type Rename = fn(&str) -> Option<String>;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("openledger-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn adapter(targets: &[Target], layers: &[usize]) -> Adapter {
    let module = |layer: usize, target: Target| {
        let (d_out, d_in) = config().module_shape(target);
        let fill = |n: usize| (0..n).map(|i| (i + layer) as f32 * 0.25 - 1.0).collect();
        LoraModule {
            layer,
            target,
            rank: 2,
            scale: 2.0,
            d_in,
            d_out,
            a: fill(2 * d_in),
            b: fill(d_out * 2),
        }
    };
    let modules = layers
        .iter()
        .flat_map(|&l| targets.iter().map(move |&t| module(l, t)))
        .collect();
    Adapter::new(2, 4.0, modules, Some("base".into())).unwrap()
}

fn edit(dir: &Path, change: impl Fn(&mut Value)) {
    let path = dir.join("adapter_config.json");
    let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(&path, value.to_string()).unwrap();
}

/// Writes the saved tensors again, changed.
fn rewrite(dir: &Path, change: impl Fn(&str) -> Option<String>) {
    let path = dir.join("adapter_model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let renamed: Vec<_> = file
        .tensors()
        .into_iter()
        .filter_map(|(n, v)| Some((change(&n)?, v)))
        .collect();
    std::fs::write(&path, safetensors::serialize(renamed, None).unwrap()).unwrap();
}

#[test]
fn an_adapter_should_come_back_with_the_same_hash() {
    let folder = Folder::new("round");
    for (targets, layers) in [
        (&Target::ALL[..], &[0, 1, 2][..]),
        (&[Target::Q, Target::V], &[1]),
    ] {
        let made = adapter(targets, layers);
        made.save(&folder.0).unwrap();
        let read = Adapter::load(&folder.0, &config()).unwrap();
        assert_eq!(read, made);
        assert_eq!(read.modules.len(), targets.len() * layers.len());
    }
}

#[test]
fn names_should_be_those_of_peft() {
    let folder = Folder::new("names");
    adapter(&[Target::Q], &[0, 1, 2]).save(&folder.0).unwrap();
    let bytes = std::fs::read(folder.0.join("adapter_model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let a = file
        .tensor("base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight")
        .unwrap();
    let b = file
        .tensor("base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight")
        .unwrap();
    assert_eq!((a.shape(), b.shape()), (&[2, 8][..], &[8, 2][..]));
}

#[test]
fn scales_should_follow_alpha_rslora_and_patterns() {
    let folder = Folder::new("scales");
    adapter(&[Target::Q, Target::V], &[0, 1, 2])
        .save(&folder.0)
        .unwrap();
    edit(&folder.0, |v| v["use_rslora"] = json!(true));
    let read = Adapter::load(&folder.0, &config()).unwrap();
    assert!((read.modules[0].scale - 4.0 / 2.0_f32.sqrt()).abs() < 1e-6);
    edit(&folder.0, |v| {
        v["use_rslora"] = json!(false);
        v["alpha_pattern"] = json!({"layers.1.self_attn.v_proj": 10});
    });
    let read = Adapter::load(&folder.0, &config()).unwrap();
    let scale = |layer, target| read.module(layer, target).unwrap().scale;
    assert_eq!(
        (scale(1, Target::V), scale(1, Target::Q), scale(2, Target::V)),
        (5.0, 2.0, 2.0)
    );
}

#[test]
fn what_is_not_understood_should_be_refused_with_its_key() {
    let cases: [Case<fn(&mut Value)>; 13] = [
        ("use_dora", |v| v["use_dora"] = json!(true)),
        ("modules_to_save", |v| v["modules_to_save"] = json!(["lm_head"])),
        ("bias", |v| v["bias"] = json!("all")),
        ("peft_type", |v| v["peft_type"] = json!("IA3")),
        ("target_modules", |v| v["target_modules"] = json!(["c_attn"])),
        ("target_modules", |v| v["target_modules"] = json!([])),
        ("target_modules", |v| v["target_modules"] = json!("(q_proj")),
        ("target_modules", |v| v["target_modules"] = json!(".*c_attn")),
        ("target_modules", |v| {
            v["target_modules"] = json!("(?:(?=(a*))b|[a-z.0-9_]+)*(?<!x)y")
        }),
        ("some_new_method", |v| v["some_new_method"] = json!({"on": 1})),
        ("alpha_pattern", |v| v["alpha_pattern"] = json!({"[": 4})),
        ("layers_to_transform", |v| v["layers_to_transform"] = json!([3])),
        ("rank_pattern", |v| v["rank_pattern"] = json!({"q_proj": 2.5})),
    ];
    for (key, change) in cases {
        let folder = Folder::new("refused");
        adapter(&[Target::Q, Target::V], &[0, 1, 2])
            .save(&folder.0)
            .unwrap();
        edit(&folder.0, change);
        let error = Adapter::load(&folder.0, &config()).unwrap_err().to_string();
        assert!(error.contains(key), "{error:?} should name {key}");
    }
}

#[test]
fn tensors_that_do_not_match_should_be_refused_by_name() {
    let q0 = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
    let cases: [Case<Rename>; 5] = [
        ("missing", |n| {
            (!n.contains("layers.0.self_attn.q_proj.lora_A")).then(|| n.into())
        }),
        ("DoRA", |n| {
            Some(n.replace(
                "layers.0.self_attn.q_proj.lora_A.weight",
                "layers.0.q.lora_magnitude_vector",
            ))
        }),
        ("layers.9", |n| Some(n.replace("layers.0", "layers.9"))),
        ("transformer.h", |n| {
            Some(n.replace("model.layers.0", "transformer.h.0"))
        }),
        ("bias", |n| {
            Some(n.replace(
                "layers.0.self_attn.q_proj.lora_A.weight",
                "layers.0.self_attn.q_proj.bias",
            ))
        }),
    ];
    for (word, change) in cases {
        let folder = Folder::new("unmatched");
        adapter(&[Target::Q, Target::V], &[0, 1, 2])
            .save(&folder.0)
            .unwrap();
        rewrite(&folder.0, change);
        let error = Adapter::load(&folder.0, &config()).unwrap_err().to_string();
        assert!(
            error.contains(word) || (word == "missing" && error.contains(q0)),
            "{error:?} should speak of {word}"
        );
    }
}

#[test]
fn another_shape_should_be_refused() {
    let folder = Folder::new("shape");
    adapter(&[Target::Q], &[0, 1, 2]).save(&folder.0).unwrap();
    let wide = vec![0_u8; 2 * 9 * 4];
    let path = folder.0.join("adapter_model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let swap = |(n, v): (String, TensorView<'_>)| match n.contains("layers.2.self_attn.q_proj.lora_A") {
        true => (
            n,
            TensorView::new(Dtype::F32, vec![2, 9], &wide)
                .unwrap()
                .to_owned_pair(),
        ),
        false => (n, v.to_owned_pair()),
    };
    let all: Vec<_> = file.tensors().into_iter().map(swap).collect();
    let views = all
        .iter()
        .map(|(n, (s, d))| (n, TensorView::new(Dtype::F32, s.clone(), d).unwrap()));
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    let error = Adapter::load(&folder.0, &config()).unwrap_err().to_string();
    assert!(error.contains("[2, 9]") && error.contains("[2, 8]"), "{error}");
}

trait ToOwnedPair {
    fn to_owned_pair(&self) -> (Vec<usize>, Vec<u8>);
}

impl ToOwnedPair for TensorView<'_> {
    fn to_owned_pair(&self) -> (Vec<usize>, Vec<u8>) {
        (self.shape().to_vec(), self.data().to_vec())
    }
}

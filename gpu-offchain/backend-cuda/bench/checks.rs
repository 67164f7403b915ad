//! Whether the device is right.

use openledger_backend_cpu::Cpu;
use openledger_backend_cuda::{Cuda, Error, Place, Scorer};
use openledger_engine::backend::{Backend, Gemm, Heads, LoraGroup, LoraPair, PagedSegment, Segment};
use openledger_engine::{forward, Batch, DeviceAdapter, Engine, KvCache, Model, Net, Params, Request};
use openledger_influence::{cpu_backend, LaneMatrix, ModuleSpec, ScoreBackend, Sketcher, Weights};
use openledger_model::{Adapter, BaseModel, Example, LoraModule, ModelConfig, Target};
use openledger_trainer::{train_lora, FactorModel, LoraConfig, TrainConfig};
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use crate::ops::{all, bits, chosen, distance, fault, values};

/// What was checked.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) checks: usize,
    pub(crate) failed: usize,
}

impl Report {
    fn note(&mut self, ok: bool, what: &str, seen: &str) {
        self.checks += 1;
        self.failed += usize::from(!ok);
        println!("{}  {what}: {seen}", if ok { "ok    " } else { "FAILED" });
    }
}

/// Every operation beside the CPU, three seeds each, and twice for the same bits.
pub(crate) fn parity(report: &mut Report, cuda: &Cuda, mode: &str, seed: u64) -> anyhow::Result<()> {
    let cpu = Cpu::<f32>::new();
    for (on_cpu, on_gpu) in all::<Cpu<f32>>().iter().zip(all::<Cuda>()) {
        let (mut worst, mut same) = (0.0_f64, true);
        for seed in seed..seed + 3 {
            let got = (on_gpu.run)(cuda, seed);
            let again = (on_gpu.run)(cuda, seed);
            fault(cuda.take_fault())?;
            worst = worst.max(distance(&got, &(on_cpu.run)(&cpu, seed)));
            same &= bits(&got) == bits(&again);
        }
        let name = format!("{mode}, {}", on_gpu.name);
        let seen = format!("{worst:.1e} from the CPU, {:.0e} allowed", on_gpu.tolerance);
        report.note(worst <= on_gpu.tolerance, &name, &seen);
        report.note(
            same,
            &name,
            if same {
                "the same bits twice"
            } else {
                "other bits the second time"
            },
        );
    }
    let mut apart = 0;
    for seed in seed..seed + 20 {
        let (a, b) = (chosen(cuda, seed).0, chosen(&cpu, seed).0);
        apart += a.iter().zip(&b).filter(|(a, b)| a != b).count() + a.len().abs_diff(b.len());
    }
    fault(cuda.take_fault())?;
    report.note(
        apart == 0,
        &format!("{mode}, chosen tokens"),
        &format!("{apart} of 5120 other than on the CPU"),
    );
    Ok(())
}

/// The nearest number of bf16.
fn half(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits((bits.wrapping_add(0x7fff + (bits >> 16 & 1))) & 0xffff_0000)
}

/// Products and modules with weights in bf16 or 8 bits, beside the CPU's on the same rounded numbers.
pub(crate) fn halves(report: &mut Report, cuda: &Cuda, mode: &str, seed: u64) -> anyhow::Result<()> {
    let cpu = Cpu::<f32>::new();
    let rounded = |n, place| -> Vec<f32> { values(n, seed, place).into_iter().map(half).collect() };
    for (m, n, k) in [
        (1, 128, 512),
        (16, 70, 264),
        (17, 64, 1_000),
        (64, 300, 256),
        (200, 130, 600),
        (65, 31, 33),
    ] {
        for op in [Gemm::forward(m, k, n), Gemm::input(m, n, k)] {
            let (a, b) = (rounded(op.m * op.k, 1), rounded(op.n * op.k, 2));
            let mut want = cpu.zeros(op.m * op.n);
            cpu.gemm(op, &a, &b, &mut want);
            let (a, mut b, mut c) = (cuda.upload(&a), cuda.upload(&b), cuda.zeros(op.m * op.n));
            cuda.halve(&mut b);
            cuda.gemm(op, &a, &b, &mut c);
            let apart = distance(&[cuda.download(&c)], &[want]);
            fault(cuda.take_fault())?;
            let name = format!("{mode}, bf16 {:?} {m} x {n} x {k}", op.layout);
            report.note(
                apart <= 2e-6,
                &name,
                &format!("{apart:.1e} from the CPU, 2e-6 allowed"),
            );
        }
    }
    for (m, n, k) in [
        (1, 128, 512),
        (16, 70, 264),
        (33, 64, 1_000),
        (200, 130, 600),
        (65, 31, 33),
    ] {
        let mut b = cuda.upload(&values(n * k, seed, 7));
        cuda.quantise(&mut b, k);
        // Both sides multiply by the same numbers: what the device says they are.
        let (a, kept) = (rounded(m * k, 8), cuda.download(&b));
        let op = Gemm::forward(m, k, n);
        let (mut want, mut c) = (cpu.zeros(m * n), cuda.zeros(m * n));
        cpu.gemm(op, &a, &kept, &mut want);
        cuda.gemm(op, &cuda.upload(&a), &b, &mut c);
        let apart = distance(&[cuda.download(&c)], &[want]);
        fault(cuda.take_fault())?;
        report.note(
            apart <= 2e-6,
            &format!("{mode}, 8 bits {m} x {n} x {k}"),
            &format!("{apart:.1e} from the CPU, 2e-6 allowed"),
        );
    }
    let (d_in, d_out, rank) = (516, 300, 16);
    // A prompt's rows round what they multiply with to bf16 in fast mode, and what comes between the matrices too.
    for (rows, halved, allowed) in [
        (9, true, 2e-6),
        (9, false, 2e-6),
        (70, true, 4e-3),
        (70, false, 2e-6),
    ] {
        let numbers = |n, place| {
            if halved {
                rounded(n, place)
            } else {
                values(n, seed, place)
            }
        };
        let (a, b) = (numbers(rank * d_in, 3), numbers(rank * d_out, 4));
        let (x, y) = (values(rows * d_in, seed, 5), values(rows * d_out, seed, 6));
        let scale = 2.0;
        let mut on_gpu = LoraPair {
            a: cuda.upload(&a),
            b: cuda.upload(&b),
            rank,
            scale,
        };
        if halved {
            cuda.halve_pair(&mut on_gpu);
        }
        let on_cpu = LoraPair { a, b, rank, scale };
        let apart = distance(
            &lora(cuda, &on_gpu, rows, (d_in, d_out), &x, &y),
            &lora(&cpu, &on_cpu, rows, (d_in, d_out), &x, &y),
        );
        fault(cuda.take_fault())?;
        let kind = if halved { "bf16" } else { "f32" };
        report.note(
            apart <= allowed,
            &format!("{mode}, {kind} adapter, {rows} rows"),
            &format!("{apart:.1e} from the CPU, {allowed:.0e} allowed"),
        );
    }
    Ok(())
}

fn lora<B: Backend<Elem = f32>>(
    be: &B,
    pair: &LoraPair<B::Buf>,
    rows: usize,
    (d_in, d_out): (usize, usize),
    x: &[f32],
    y: &[f32],
) -> Vec<Vec<f32>> {
    let groups = [LoraGroup {
        start: 0,
        rows,
        pair: pair.borrowed(),
    }];
    let (x, mut u, mut y) = (be.upload(x), be.zeros(rows * pair.rank), be.upload(y));
    be.lora_shrink(&groups, d_in, &x, pair.rank, &mut u);
    be.lora_expand(&groups, d_out, &u, pair.rank, &mut y);
    vec![be.download(&u), be.download(&y)]
}

/// Keys in shuffled pages give the bits of keys in a row.
pub(crate) fn pages(report: &mut Report, cuda: &Cuda, mode: &str, seed: u64) -> anyhow::Result<()> {
    let heads = Heads { q: 8, kv: 2, dim: 64 };
    let (page, width) = (16, 128);
    // (rows, keys) of three sequences.
    let sequences: [(usize, usize); 3] = [(1, 600), (40, 75), (3, 31)];
    let (mut straight, mut paged, mut table) = (Vec::new(), Vec::new(), Vec::new());
    let (mut row, mut key) = (0, 0);
    let count: usize = sequences.iter().map(|(_, n)| n.div_ceil(page)).sum();
    for (rows, n) in sequences {
        straight.push(Segment {
            q_start: row,
            q_len: rows,
            kv_start: key,
            kv_len: n,
        });
        paged.push(Place {
            q_start: row,
            q_len: rows,
            kv_start: table.len(),
            kv_len: n,
        });
        // Pages one after another, dealt backwards.
        let dealt = table.len();
        table.extend((0..n.div_ceil(page)).map(|p| (count - 1 - dealt - p) as u32));
        row += rows;
        key += n;
    }
    let (k, v) = (values(key * width, seed, 1), values(key * width, seed, 2));
    let scatter = |from: &[f32]| {
        let mut to = vec![0.0; count * page * width];
        for (s, p) in straight.iter().zip(&paged) {
            for j in 0..s.kv_len {
                let slot = table[p.kv_start + j / page] as usize * page + j % page;
                let at = (s.kv_start + j) * width;
                to[slot * width..(slot + 1) * width].copy_from_slice(&from[at..at + width]);
            }
        }
        to
    };
    let q = cuda.upload(&values(row * 512, seed, 3));
    let run = |paged_cache: bool| {
        let (mut out, mut lse) = (cuda.zeros(row * 512), cuda.zeros(row * 8));
        if paged_cache {
            let (k, v) = (cuda.upload(&scatter(&k)), cuda.upload(&scatter(&v)));
            cuda.attention_over_pages(heads, page, &paged, &table, &q, &k, &v, &mut out, &mut lse);
        } else {
            let (k, v) = (cuda.upload(&k), cuda.upload(&v));
            cuda.attention(heads, &straight, &q, &k, &v, &mut out, &mut lse);
        }
        bits(&[cuda.download(&out), cuda.download(&lse)])
    };
    let same = run(true) == run(false);
    fault(cuda.take_fault())?;
    report.note(
        same,
        &format!("{mode}, pages"),
        if same {
            "the bits without pages"
        } else {
            "other bits than without pages"
        },
    );
    Ok(())
}

/// Rows of products, modules and attention have the same bits in batches of 1 to 128.
pub(crate) fn same_bits_in_any_batch(report: &mut Report, cuda: &Cuda, seed: u64) -> anyhow::Result<()> {
    let most = 128;
    for (n, k, halved) in [
        (300, 700, false),
        (512, 2_048, false),
        (512, 2_048, true),
        (96, 264, true),
        (33, 33, true),
    ] {
        let a = values(most * k, seed, 1);
        let mut b = cuda.upload(&values(n * k, seed, 2));
        if halved {
            cuda.halve(&mut b);
        }
        let run = |m: usize| {
            let (a, mut c) = (cuda.upload(&a[..m * k]), cuda.zeros(m * n));
            cuda.gemm(Gemm::forward(m, k, n), &a, &b, &mut c);
            bits(&[cuda.download(&c)])
        };
        let whole = run(most);
        let wrong = (1..most).filter(|m| run(*m) != whole[..m * n]).count();
        fault(cuda.take_fault())?;
        let kind = if halved { "bf16" } else { "f32" };
        let name = format!("verifiable, {kind} product {n} x {k}, batches 1 to {most}");
        report.note(wrong == 0, &name, &format!("{wrong} batches with other bits"));
    }
    let heads = Heads { q: 8, kv: 2, dim: 64 };
    let (seen, d) = (300, 512);
    let (k, v) = (
        cuda.upload(&values(seen * 128, seed, 3)),
        cuda.upload(&values(seen * 128, seed, 4)),
    );
    let q = values(most * d, seed, 5);
    // Row i sees seen - 128 + i + 1 keys, alone or with those before it.
    let run = |first: usize, rows: usize| {
        let segment = Segment {
            q_start: 0,
            q_len: rows,
            kv_start: 0,
            kv_len: seen - most + first + rows,
        };
        let (q, mut out, mut lse) = (
            cuda.upload(&q[first * d..(first + rows) * d]),
            cuda.zeros(rows * d),
            cuda.zeros(rows * 8),
        );
        cuda.attention(heads, &[segment], &q, &k, &v, &mut out, &mut lse);
        bits(&[cuda.download(&out)])
    };
    let whole = run(0, most);
    let wrong = (0..most)
        .filter(|i| run(*i, 1) != whole[i * d..(i + 1) * d])
        .count();
    fault(cuda.take_fault())?;
    report.note(
        wrong == 0,
        "verifiable, attention row by row",
        &format!("{wrong} rows with other bits"),
    );
    let (d_in, d_out, rank) = (1_024, 512, 16);
    let pair = LoraPair {
        a: cuda.upload(&values(rank * d_in, seed, 6)),
        b: cuda.upload(&values(rank * d_out, seed, 7)),
        rank,
        scale: 2.0,
    };
    let (x, y) = (values(most * d_in, seed, 8), values(most * d_out, seed, 9));
    let run = |first: usize, rows: usize| {
        let end = first + rows;
        bits(
            &lora(
                cuda,
                &pair,
                rows,
                (d_in, d_out),
                &x[first * d_in..end * d_in],
                &y[first * d_out..end * d_out],
            )[1..],
        )
    };
    let whole = run(0, most);
    let wrong = (0..most)
        .filter(|i| run(*i, 1) != whole[i * d_out..(i + 1) * d_out])
        .count();
    fault(cuda.take_fault())?;
    report.note(
        wrong == 0,
        "verifiable, adapter row by row",
        &format!("{wrong} rows with other bits"),
    );
    Ok(())
}

/// A small model of random numbers.
fn small_base(seed: u64) -> anyhow::Result<BaseModel> {
    let config = ModelConfig::from_json(&serde_json::json!({
        "model_type": "qwen2", "vocab_size": 300, "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "tie_word_embeddings": true,
        "rope_theta": 10_000.0, "rms_norm_eps": 1e-6
    }))?;
    let tensors = config
        .tensors()
        .into_iter()
        .zip(1..)
        .map(|((name, shape), place)| {
            let all = values(shape.iter().product(), seed, place);
            (name, all.into_iter().map(|x| x / 4.0).collect())
        });
    Ok(BaseModel::new(config.clone(), tensors.collect())?)
}

/// Steps of decoding give the same bits as graphs and one operation after another, whatever changes between them: how many rows, which
/// adapters, how many keys.
pub(crate) fn steps(
    report: &mut Report,
    (graphs, plain): (&Cuda, &Cuda),
    mode: &str,
    seed: u64,
) -> anyhow::Result<()> {
    // Keys when the first token is decoded: the last few are beyond a chunk of 256.
    const FIRST: usize = 244;
    const PAGE: usize = 16;
    let base = small_base(seed)?;
    let run = |cuda: &Cuda| -> anyhow::Result<Vec<Vec<f32>>> {
        let net = Net::owned(cuda.clone(), &base)?;
        let adapter = |n: u64, rank: usize| {
            let modules = (0..2).map(|layer| {
                Target::ALL.map(|target| {
                    let (d_out, d_in) = net.config().module_shape(target);
                    let place = 100 + 10 * n as u32 + 2 * layer + target.index() as u32;
                    let a = values(rank * d_in, seed, place);
                    let b = values(rank * d_out, seed, place + 50);
                    let mut both = cuda.upload_beside(&[&a, &b]).into_iter();
                    let (a, b) = (both.next()?, both.next()?);
                    Some(LoraPair {
                        a,
                        b,
                        rank,
                        scale: 0.1,
                    })
                })
            });
            DeviceAdapter {
                hash: [n as u8; 32],
                modules: modules.collect(),
                max_rank: rank,
            }
        };
        let adapters = [adapter(1, 8), adapter(2, 8), adapter(3, 4)];
        fault(cuda.take_fault())?;
        let each = (FIRST + 40usize).div_ceil(PAGE);
        let mut cache = KvCache::new(&net, PAGE, 3 * each);
        let slot = |row: usize, at: usize| (row * each * PAGE + at) as u32;
        let tables: Vec<u32> = (0..3 * each as u32).collect();
        let mut all = Vec::new();
        // The prompts are no steps.
        let prompts = Batch {
            tokens: (0..3 * FIRST as u32).map(|n| n % 300).collect(),
            positions: (0..3).flat_map(|_| 0..FIRST as u32).collect(),
            slots: (0..3)
                .flat_map(|row| (0..FIRST).map(move |at| slot(row, at)))
                .collect(),
            segments: (0..3)
                .map(|row| PagedSegment {
                    q_start: row * FIRST,
                    q_len: FIRST,
                    table_start: row * each,
                    kv_len: FIRST,
                })
                .collect(),
            tables: tables.clone(),
            adapters: vec![],
            outputs: vec![3 * FIRST as u32 - 1],
        };
        all.extend(forward(&net, &prompts, &mut cache).map(|logits| cuda.download(&logits)));
        for n in 0..40 {
            let rows = if n % 8 == 7 { 2 } else { 3 };
            let at = FIRST + n;
            let using = |row: usize| &adapters[(row + n / 10) % 3];
            let step = Batch {
                tokens: (0..rows).map(|row| ((row * 7 + n * 13) % 300) as u32).collect(),
                positions: vec![at as u32; rows],
                slots: (0..rows).map(|row| slot(row, at)).collect(),
                segments: (0..rows)
                    .map(|row| PagedSegment {
                        q_start: row,
                        q_len: 1,
                        table_start: row * each,
                        kv_len: at + 1,
                    })
                    .collect(),
                tables: tables.clone(),
                adapters: (0..rows - usize::from(n % 4 == 0))
                    .map(|row| (row, 1, using(row)))
                    .collect(),
                outputs: (0..rows as u32).collect(),
            };
            all.extend(forward(&net, &step, &mut cache).map(|logits| cuda.download(&logits)));
            fault(cuda.take_fault())?;
        }
        Ok(all)
    };
    let before = graphs.steps();
    let same = bits(&run(graphs)?) == bits(&run(plain)?);
    let after = graphs.steps();
    let (replayed, made) = (after.replayed - before.replayed, after.graphs - before.graphs);
    let seen = format!("{made} graphs made, {replayed} steps of 40 as graphs");
    let seen = if same {
        seen
    } else {
        format!("other bits than one by one; {seen}")
    };
    report.note(
        same && made > 0 && replayed >= 20,
        &format!("{mode}, steps as graphs"),
        &seen,
    );
    Ok(())
}

/// The gradient of an answer at an adapter, summed on the device and projected, beside the CPU's from factors.
pub(crate) fn sketches(report: &mut Report, cuda: &Cuda, mode: &str, seed: u64) -> anyhow::Result<()> {
    let base = small_base(seed)?;
    let on_cpu = Net::owned(Cpu::<f32>::new(), &base)?;
    let on_gpu = Net::owned(cuda.clone(), &base)?;
    let (rank, config) = (8, &base.config);
    let modules = (0..2_usize).flat_map(|layer| {
        Target::ALL.map(|target| {
            let (d_out, d_in) = config.module_shape(target);
            let place = 500 + 20 * layer as u32 + 2 * target.index() as u32;
            LoraModule {
                layer,
                target,
                rank,
                d_in,
                d_out,
                scale: 2.0,
                a: values(rank * d_in, seed, place),
                b: values(d_out * rank, seed, place + 1),
            }
        })
    });
    let modules: Vec<LoraModule> = modules.collect();
    let specs = modules.iter().map(|m| ModuleSpec {
        name: m.name(),
        d_in: m.d_in,
        d_out: m.d_out,
        weights: Weights::Lora {
            rank: m.rank,
            a: m.a.clone(),
            b: m.b.clone(),
            scale: m.scale,
        },
    });
    let sketcher = Sketcher::new(specs.collect(), 28, &[5; 32])?;
    let adapter = Adapter::new(rank, 16.0, modules, None)?;
    let tokens: Vec<u32> = (0..120).map(|n| (n * 37 + seed as u32) % 300).collect();
    let example = Example::answer(&tokens[..40], &tokens[40..]);
    let factors = FactorModel::new(Arc::new(on_cpu), &adapter)?.factors(&example)?;
    let mut wanted = sketcher.start();
    for (position, module) in factors.modules.iter().enumerate() {
        wanted.add(position, &module.x, &module.delta)?;
    }
    let sums = FactorModel::new(Arc::new(on_gpu), &adapter)?.sums(&example, &[0..60, 60..119])?;
    let mut got = sketcher.start();
    for part in sums {
        for (position, module) in part.iter().enumerate() {
            got.add_sums(position, &module.first, &module.second)?;
        }
    }
    fault(cuda.take_fault())?;
    let (got, wanted) = (got.finish(), wanted.finish());
    let apart = distance(&[got.lanes().to_vec()], &[wanted.lanes().to_vec()]);
    report.note(
        apart <= 1e-4,
        &format!("{mode}, gradients of an answer"),
        &format!("{apart:.1e} from the CPU, 1e-4 allowed"),
    );
    Ok(())
}

/// An adapter learns what it learns on the CPU, and answers what that one answers.
pub(crate) fn learning(report: &mut Report, cuda: &Cuda, mode: &str, seed: u64) -> anyhow::Result<()> {
    let base = small_base(seed)?;
    let examples: Vec<Example> = (0..6_u32)
        .map(|n| {
            let tokens: Vec<u32> = (0..24 + n)
                .map(|t| (t * 31 + n * 17 + seed as u32) % 300)
                .collect();
            Example::answer(&tokens[..8], &tokens[8..])
        })
        .collect();
    let lora = LoraConfig {
        rank: 4,
        alpha: 8.0,
        targets: Target::ALL.to_vec(),
    };
    let config = TrainConfig {
        epochs: 3,
        batch_tokens: 80,
        seed,
        ..TrainConfig::default()
    };
    let (on_cpu, on_gpu) = (
        learned(Cpu::<f32>::new(), &base, &examples, &lora, &config)?,
        learned(cuda.clone(), &base, &examples, &lora, &config)?,
    );
    fault(cuda.take_fault())?;
    let apart = on_cpu
        .losses
        .iter()
        .zip(&on_gpu.losses)
        .fold(0.0_f64, |most, (a, b)| most.max((a - b).abs() / a));
    let falls = on_gpu.losses.last() < on_gpu.losses.first();
    report.note(
        on_cpu.losses.len() == on_gpu.losses.len() && apart <= 1e-4 && falls,
        &format!("{mode}, losses of {} steps", on_gpu.losses.len()),
        &format!("{apart:.1e} from the CPU, 1e-4 allowed"),
    );
    report.note(
        on_cpu.answer == on_gpu.answer,
        &format!("{mode}, an answer of {} tokens", on_gpu.answer.len()),
        if on_cpu.answer == on_gpu.answer {
            "the CPU's"
        } else {
            "other tokens than the CPU's"
        },
    );
    Ok(())
}

struct Learned {
    losses: Vec<f64>,
    answer: Vec<u32>,
}

fn learned<B: Backend<Elem = f32>>(
    backend: B,
    base: &BaseModel,
    examples: &[Example],
    lora: &LoraConfig,
    config: &TrainConfig,
) -> anyhow::Result<Learned> {
    let net = Net::new(backend, base)?;
    let mut losses = Vec::new();
    let trained = train_lora(&net, examples, &[], lora, config, &mut |progress| {
        losses.push(progress.loss);
        ControlFlow::Continue(())
    })?;
    let engine = Engine::with_capacity(net, 256);
    engine.register("learned", &trained.adapter)?;
    let request = Request {
        model: Model::Adapter("learned".into()),
        prompt: examples[0].tokens[..8].to_vec(),
        params: Params {
            max_tokens: 16,
            temperature: 0.0,
            ..Params::default()
        },
    };
    let completion = engine.generate(&request, &AtomicBool::new(false), &mut |_| ())?;
    Ok(Learned {
        losses,
        answer: completion.tokens.iter().map(|token| token.id).collect(),
    })
}

/// What comes beside what is under way is whole, wherever it lies: in memory set aside, where others were before, or outside of it.
pub(crate) fn beside(report: &mut Report, cuda: &Cuda, seed: u64) -> anyhow::Result<()> {
    cuda.set_aside(3 << 20);
    let mut kept: Vec<(Vec<f32>, openledger_backend_cuda::Buf)> = Vec::new();
    let mut wrong = 0;
    for round in 0..24_u32 {
        let hosts: Vec<Vec<f32>> = (0..4)
            .map(|n| {
                values(
                    1 + (round * 7_919 + n * 31_337) as usize % 90_000,
                    seed,
                    round * 4 + n,
                )
            })
            .collect();
        let hosts_at: Vec<&[f32]> = hosts.iter().map(Vec::as_slice).collect();
        kept.extend(hosts.iter().cloned().zip(cuda.upload_beside(&hosts_at)));
        // Every other one goes, so that the next ones come where it was.
        if kept.len() >= 12 {
            kept = kept.into_iter().skip(1).step_by(2).collect();
        }
        wrong += kept
            .iter()
            .filter(|(host, buf)| bits(&[cuda.download(buf)]) != bits(std::slice::from_ref(host)))
            .count();
    }
    fault(cuda.take_fault())?;
    report.note(
        wrong == 0,
        "copies beside others, in pages",
        &format!("{wrong} buffers with other numbers than were sent"),
    );
    Ok(())
}

/// Bad shapes and too little memory are errors, and the device works on.
pub(crate) fn refusals(report: &mut Report, cuda: &Cuda) {
    let table = cuda.zeros(10);
    let mut out = cuda.zeros(10);
    cuda.gather(&table, &[7], 10, &mut out);
    let refused = matches!(cuda.take_fault(), Some(Error::Shape { .. }));
    report.note(
        refused,
        "a row that is not there",
        if refused { "refused" } else { "not refused" },
    );
    let huge = cuda.zeros(cuda.about().memory.0);
    let unread = cuda.download(&table);
    let refused = matches!(cuda.take_fault(), Some(Error::Memory { .. }));
    report.note(
        refused,
        "four times the device's memory",
        if refused { "refused" } else { "not refused" },
    );
    drop(huge);
    let quiet = unread.iter().all(|x| x.is_nan()) && cuda.download(&table) == vec![0.0; 10];
    report.note(
        quiet && cuda.take_fault().is_none(),
        "after it",
        "skipped until the fault was taken, then went on",
    );
}

/// Random bytes, −128 and 127 among them.
pub(crate) fn bytes(n: usize, seed: u64) -> Vec<i8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut out = Vec::with_capacity(n + 8);
    while out.len() < n {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend(state.to_le_bytes().map(|byte| byte as i8));
    }
    out.truncate(n);
    out
}

/// Integer scores beside the CPU's: no bit may differ.
pub(crate) fn scores(report: &mut Report, cuda: &Cuda, seed: u64, pairs: usize) -> anyhow::Result<()> {
    let scorer = Scorer::new(cuda);
    let shapes: [(&[u32], usize); 3] = [
        (&[512, 512], pairs),
        (&[100, 7, 33], pairs / 50),
        (&[32_768, 32_768], pairs / 1_000),
    ];
    for (case, (blocks, pairs)) in shapes.into_iter().enumerate() {
        let width: usize = blocks.iter().map(|b| *b as usize).sum();
        let rows = pairs.clamp(1, 20_000.min((1 << 28) / width));
        let mut lanes = bytes(rows * width, seed + case as u64);
        lanes[..width].fill(-128);
        let matrix = LaneMatrix {
            id: [case as u8; 32],
            lanes: &lanes,
            blocks,
        };
        let (mut apart, mut done, mut query) = (0_u64, 0, 0);
        let mut vector = Vec::new();
        let (mut got, mut want) = (vec![0; rows * blocks.len()], vec![0; rows * blocks.len()]);
        while done < pairs.max(1) {
            vector = bytes(width, seed + 1_000 + query);
            if query == 0 {
                vector.fill(-128);
            }
            scorer.dots(&matrix, 0..rows, &vector, &mut got)?;
            cpu_backend().dots(&matrix, 0..rows, &vector, &mut want)?;
            apart += got
                .iter()
                .zip(&want)
                .map(|(a, b)| u64::from((a ^ b).count_ones()))
                .sum::<u64>();
            done += rows;
            query += 1;
        }
        // A part of the rows has the same scores.
        let part = rows / 3..rows;
        let mut some = vec![0; part.len() * blocks.len()];
        scorer.dots(&matrix, part.clone(), &vector, &mut some)?;
        apart += some
            .iter()
            .zip(&got[part.start * blocks.len()..])
            .map(|(a, b)| u64::from((a ^ b).count_ones()))
            .sum::<u64>();
        report.note(
            apart == 0,
            &format!("scores of {width} lanes, {done} pairs"),
            &format!("{apart} bits other than on the CPU"),
        );
    }
    Ok(())
}

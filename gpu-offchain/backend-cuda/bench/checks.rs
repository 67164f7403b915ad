//! Whether the device is right.

use openledger_backend_cpu::Cpu;
use openledger_backend_cuda::{Cuda, Error, Place, Scorer};
use openledger_engine::backend::{Backend, Gemm, Heads, LoraGroup, LoraPair, Segment};
use openledger_influence::{cpu_backend, LaneMatrix, ScoreBackend};

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
    let (d_in, d_out, rank, rows) = (516, 300, 16, 9);
    let (a, b) = (rounded(rank * d_in, 3), rounded(rank * d_out, 4));
    let (x, y) = (values(rows * d_in, seed, 5), values(rows * d_out, seed, 6));
    let scale = 2.0;
    let on_cpu = LoraPair {
        a: a.clone(),
        b: b.clone(),
        rank,
        scale,
    };
    let mut on_gpu = LoraPair {
        a: cuda.upload(&a),
        b: cuda.upload(&b),
        rank,
        scale,
    };
    cuda.halve_pair(&mut on_gpu);
    let apart = distance(
        &lora(cuda, &on_gpu, rows, (d_in, d_out), &x, &y),
        &lora(&cpu, &on_cpu, rows, (d_in, d_out), &x, &y),
    );
    fault(cuda.take_fault())?;
    report.note(
        apart <= 2e-6,
        &format!("{mode}, bf16 adapter"),
        &format!("{apart:.1e} from the CPU, 2e-6 allowed"),
    );
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
        let (mut got, mut want) = (vec![0; rows * blocks.len()], vec![0; rows * blocks.len()]);
        while done < pairs {
            let mut vector = bytes(width, seed + 1_000 + query);
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
        let vector = bytes(width, seed + 999 + query);
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

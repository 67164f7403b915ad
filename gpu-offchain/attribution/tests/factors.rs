//! Factors files: read as they were written, scored as their definition says, refused with a reason.

mod common;

use common::{factors, gradient, modules, rules, seed, Rng};
use openledger_influence::{influence, Avx2, Error, FactorsFile, Options, Scalar, Sketcher};

struct Data {
    offsets: Vec<i64>,
    data: Vec<(Vec<f32>, Vec<f32>)>,
    /// The same, example by example.
    examples: Vec<Vec<(Vec<f32>, Vec<f32>)>>,
}

fn examples(rng: &mut Rng, modules: &[openledger_influence::ModuleSpec], count: usize) -> Data {
    let mut all = Data {
        offsets: vec![0],
        data: modules.iter().map(|_| (Vec::new(), Vec::new())).collect(),
        examples: Vec::new(),
    };
    let mut tokens = 0;
    for example in 0..count {
        let length = 1 + rng.below(5) as usize;
        let own = factors(rng, modules, 100 + example as u64 % 3, length);
        tokens += length as i64;
        all.offsets.push(tokens);
        for ((x, delta), (own_x, own_delta)) in all.data.iter_mut().zip(&own) {
            x.extend_from_slice(own_x);
            delta.extend_from_slice(own_delta);
        }
        all.examples.push(own);
    }
    all
}

#[test]
fn scores_come_out_of_files_as_out_of_memory_and_alike_everywhere() {
    let mut rng = Rng(seed());
    let mut modules = modules(&mut rng);
    modules.sort_by(|a, b| a.name.cmp(&b.name));
    let dir = tempfile::tempdir().unwrap();
    let (train, query) = (
        dir.path().join("train.safetensors"),
        dir.path().join("query.safetensors"),
    );
    let (rows, queries) = (examples(&mut rng, &modules, 60), examples(&mut rng, &modules, 6));
    for (path, data) in [(&train, &rows), (&query, &queries)] {
        FactorsFile::write(path, &data.offsets, &modules, &data.data).unwrap();
    }
    let (train, query) = (
        FactorsFile::open(&train).unwrap(),
        FactorsFile::open(&query).unwrap(),
    );
    assert_eq!(train.modules(), modules);
    assert_eq!((train.examples(), query.examples()), (60, 6));
    let mut options = Options {
        rules: rules(),
        seed: rng.hash(),
        threads: 1,
    };
    let sketcher = Sketcher::new(modules.clone(), options.rules.projection, &options.seed).unwrap();
    for (at, example) in rows.examples.iter().enumerate() {
        assert_eq!(
            train.gradient(&sketcher, at).unwrap(),
            gradient(&sketcher, example)
        );
    }

    let scores = influence(&train, &query, &options, &Scalar).unwrap();
    assert_eq!((scores.queries, scores.rows, scores.values.len()), (6, 60, 360));
    options.threads = 3;
    assert_eq!(influence(&train, &query, &options, &Scalar).unwrap(), scores);
    if let Some(avx2) = Avx2::new() {
        assert_eq!(influence(&train, &query, &options, &avx2).unwrap(), scores);
    }
    // Examples of a query's own topic help it more than others do.
    for (query, scores) in scores.values.chunks_exact(60).enumerate() {
        let mean = |own: bool| {
            let chosen: Vec<f64> = (0..60)
                .filter(|row| (row % 3 == query % 3) == own)
                .map(|row| scores[row] as f64)
                .collect();
            chosen.iter().sum::<f64>() / chosen.len() as f64
        };
        assert!(mean(true) > mean(false), "query {query}");
    }

    let out = dir.path().join("scores.safetensors");
    scores.write(&out).unwrap();
    let bytes = std::fs::read(&out).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let exact = tensors.tensor("scores_i128").unwrap();
    assert_eq!(exact.shape(), [6, 60, 16]);
    let (words, _) = exact.data().as_chunks::<16>();
    let read: Vec<i128> = words.iter().map(|word| i128::from_le_bytes(*word)).collect();
    assert_eq!(read, scores.values);
    assert_eq!(tensors.tensor("scores").unwrap().shape(), [6, 60]);
}

#[test]
fn files_that_make_no_sense_are_refused() {
    let mut rng = Rng(seed());
    let modules = modules(&mut rng);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f.safetensors");
    let data = examples(&mut rng, &modules, 3);
    let refused = |offsets: &[i64], needle: &str| {
        FactorsFile::write(&path, offsets, &modules, &data.data).unwrap();
        let error = FactorsFile::open(&path).err().unwrap();
        assert!(
            matches!(error, Error::Factors { .. }) && error.to_string().contains(needle),
            "{error}"
        );
    };
    let end = *data.offsets.last().unwrap();
    refused(&[0, end + 1], "offsets");
    refused(&[1, end], "start with 0");
    refused(&[0, -1, end], "negative");
    refused(&[], "i64 [n + 1]");
    std::fs::write(&path, b"not a file").unwrap();
    assert!(FactorsFile::open(&path).is_err());
    assert!(FactorsFile::open(&dir.path().join("missing")).is_err());
}

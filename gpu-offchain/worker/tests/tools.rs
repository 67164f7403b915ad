//! The verbs that need no chain, as a person types them.

use openledger_influence::{FactorsFile, ModuleSpec, Weights};
use safetensors::SafeTensors;
use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Output},
};

/// Small counter-based noise: no dependency for a few numbers.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }

    fn many(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }
}

fn modules() -> Vec<ModuleSpec> {
    let mut noise = Noise(1);
    vec![
        ModuleSpec {
            name: "a.lora".into(),
            d_in: 12,
            d_out: 10,
            weights: Weights::Lora {
                rank: 3,
                a: noise.many(36),
                b: noise.many(30),
                scale: 2.0,
            },
        },
        ModuleSpec {
            name: "b.plain".into(),
            d_in: 7,
            d_out: 5,
            weights: Weights::Linear,
        },
    ]
}

/// Examples of one to four tokens each.
fn factors(path: &Path, examples: usize, seed: u64) {
    let mut noise = Noise(seed);
    let offsets: Vec<i64> = (0..=examples as i64)
        .scan(0, |at, n| {
            let here = *at;
            *at += 1 + n % 4;
            Some(here)
        })
        .collect();
    let tokens = *offsets.last().unwrap() as usize;
    let data: Vec<_> = modules()
        .iter()
        .map(|m| (noise.many(tokens * m.d_in), noise.many(tokens * m.d_out)))
        .collect();
    FactorsFile::write(path, &offsets, &modules(), &data).unwrap();
}

fn run(dir: &Path, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_openledger-worker"))
        .args(line.split(' '))
        .current_dir(dir)
        .output()
        .unwrap()
}

fn json(dir: &Path, line: &str) -> Value {
    let output = run(dir, line);
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(dir: &Path, line: &str, why: &str) {
    let output = run(dir, line);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{line} was not refused");
    assert!(said.contains(why), "{line} said: {said}");
}

#[test]
fn an_index_should_give_the_scores_of_the_factors_and_prove_them() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    factors(&dir.join("train"), 40, 11);
    factors(&dir.join("query"), 3, 12);
    let flags =
        "--k 6 --rho 0.1 --z 1 --seed 0x0707070707070707070707070707070707070707070707070707070707070707";

    let built = json(
        dir,
        &format!("index build --train train --out index {flags} --json"),
    );
    assert_eq!(built["rows"], 40);
    assert_eq!(json(dir, "index verify index --json"), built);
    // A build that is done is not done again.
    assert_eq!(
        json(
            dir,
            &format!("index build --train train --out index {flags} --json")
        ),
        built
    );

    // Damping by the examples: these are all of about one length, so nearly all of them count.
    let line = "attribute influence --train train --query query --out other --k 6 --z 1 --rho auto --json";
    let rho = json(dir, line)["rho"].as_u64().unwrap();
    assert!((3_000_000_000..=4_000_000_000).contains(&rho), "{rho}");

    let told = json(
        dir,
        &format!("attribute influence --train train --query query --out scores {flags} --json"),
    );
    assert_eq!(
        (&told["queries"], &told["rows"]),
        (&Value::from(3), &Value::from(40))
    );
    let bytes = std::fs::read(dir.join("scores")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let exact: Vec<i128> = tensors
        .tensor("scores_i128")
        .unwrap()
        .data()
        .chunks_exact(16)
        .map(|bytes| i128::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    assert_eq!(exact.len(), 120);
    assert!(exact.iter().any(|score| *score > 0) && exact.iter().any(|score| *score < 0));

    let hash = built["index"].as_str().unwrap();
    for (query, row) in [(0, 0), (1, 17), (2, 39)] {
        let proved = json(
            dir,
            &format!("prove --index index --row {row} --query query --example {query} --out proof --json"),
        );
        assert_eq!(proved["score"], exact[query * 40 + row].to_string());
        assert_eq!(
            json(dir, &format!("check-proof proof --index {hash} --json")),
            proved
        );
    }
    assert_eq!(
        json(dir, "prove --index index --row 5 --out alone --json")["score"],
        Value::Null
    );
}

#[test]
fn a_changed_proof_should_be_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    factors(&dir.join("train"), 9, 21);
    json(dir, "index build --train train --out index --k 6 --json");
    json(
        dir,
        "prove --index index --row 4 --query train --example 2 --out proof --json",
    );
    let text = std::fs::read_to_string(dir.join("proof")).unwrap();
    let proof: Value = serde_json::from_str(&text).unwrap();
    for part in ["header", "layout", "row"] {
        let digits = proof[part].as_str().unwrap();
        // One digit of a byte in the middle.
        let at = digits.len() / 2;
        let other = if &digits[at..=at] == "0" { "1" } else { "0" };
        let mut changed = proof.clone();
        changed[part] = format!("{}{other}{}", &digits[..at], &digits[at + 1..]).into();
        std::fs::write(dir.join("changed"), changed.to_string()).unwrap();
        let output = run(dir, "check-proof changed");
        // A header beside its own roots is another index's: the index asked for tells.
        let hash = json(dir, "index verify index --json")["index"]
            .as_str()
            .unwrap()
            .to_owned();
        let asked = run(dir, &format!("check-proof changed --index {hash}"));
        assert!(!asked.status.success(), "a proof with another {part} is taken");
        assert!(
            part == "header" || !output.status.success(),
            "a proof with another {part} is taken"
        );
    }
    refused(
        dir,
        &format!("check-proof proof --index 0x{}", "00".repeat(32)),
        "not of the one asked for",
    );
}

#[test]
fn wrong_input_should_be_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    factors(&dir.join("train"), 9, 31);
    json(dir, "index build --train train --out index --k 6 --json");
    std::fs::write(dir.join("two"), "0x01\n").unwrap();
    refused(dir, "prove --index index --row 9 --out proof", "9");
    refused(
        dir,
        "prove --index index --row 0 --query train --example 9 --out proof",
        "--example is 9",
    );
    refused(dir, "index build --train train --out other --rho 9", "--rho is 9");
    refused(dir, "index build --train missing --out other", "missing");
    refused(dir, "attribute mix train --mix 1,2,3", "bytes");
    refused(
        dir,
        "attribute influence --train train --query index --out x",
        "index",
    );
    refused(dir, "index verify train", "train");
}

#[test]
fn an_amount_should_be_divided_to_the_planck() {
    use openledger_attribution::{attribution::Attribution, list::ListEntry};
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let entry = |row: u64, score, who| ListEntry {
        row,
        score,
        contributor: [who; 32],
    };
    let attribution = Attribution {
        query: [0; 32],
        list: vec![entry(0, 5, 1), entry(3, 2, 2), entry(4, 2, 1)],
        spans: Vec::new(),
        retrieved: Vec::new(),
    };
    std::fs::write(dir.join("bytes"), openledger_worker::formats::wire(&attribution)).unwrap();
    let told = json(dir, "attribute mix bytes --amount 1000 --json");
    let amounts: Vec<u128> = told["amounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["amount"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(amounts, [778, 222]);
    // An empty channel's weight goes to the others.
    assert_eq!(
        json(
            dir,
            "attribute mix bytes --amount 1000 --mix 500000000,500000000,0 --json"
        ),
        told
    );
    refused(dir, "attribute mix bytes --mix 1,2", "--mix");
}

#[test]
fn a_text_should_be_told_whose_words_it_uses() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::create_dir(dir.join("corpus")).unwrap();
    std::fs::write(dir.join("corpus/a.txt"), "The tide turns at noon. Boats wait.").unwrap();
    std::fs::write(
        dir.join("corpus/b.txt"),
        "Bees wait for the sun. The tide turns at dusk.",
    )
    .unwrap();
    let query = "I think the tide turns at noon.";
    std::fs::write(dir.join("query"), query).unwrap();
    let told = json(dir, "attribute spans --corpus corpus --query query --json");
    assert_eq!(told["records"], 2);
    let place = |span: &Value| (span["start"].as_u64().unwrap(), span["end"].as_u64().unwrap());
    let spans = told["spans"].as_array().unwrap();
    let span = spans.iter().find(|span| place(span) == (11, 31)).unwrap();
    assert_eq!(&query[11..31], " tide turns at noon.");
    assert_eq!(span["text"], " tide turns at noon.");
    assert_eq!(span["count"], 1);
    assert!(span["records"][0]["file"].as_str().unwrap().ends_with("a.txt"));
    refused(dir, "attribute spans --corpus nowhere --query query", "nowhere");
}

#[test]
fn a_file_should_come_out_of_the_store_as_it_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let bytes: Vec<u8> = (0..3_000_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    std::fs::write(dir.join("file"), &bytes).unwrap();
    let added = json(dir, "content add --data worker file --json");
    assert_eq!(
        (&added["bytes"], &added["blocks"]),
        (&Value::from(3_000_000), &Value::from(4))
    );
    let cid = added["cid"].as_str().unwrap();
    let got = json(
        dir,
        &format!("content get --data worker {cid} --out again --json"),
    );
    assert_eq!(got["bytes"], 3_000_000);
    assert!(std::fs::read(dir.join("again")).unwrap() == bytes);
    assert_eq!(
        json(dir, "content ls --data worker --json")
            .as_array()
            .unwrap()
            .len(),
        4
    );
    assert_eq!(
        json(dir, &format!("content deny --data worker {cid} --json"))["denied"],
        true
    );
    let listed = json(dir, "content ls --data worker --json");
    assert!(listed
        .as_array()
        .unwrap()
        .iter()
        .all(|block| block["denied"] == true));
    assert_eq!(
        json(dir, &format!("content deny --data worker {cid} --undo --json"))["denied"],
        false
    );
    refused(dir, "content get --data worker nonsense --out x", "nonsense");
}

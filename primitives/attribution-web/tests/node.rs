//! Native and WebAssembly give the same bits: builds the module for the bare target, hands Node the inputs
//! and the native results, and lets it call every export. 10^6 pairs of 1 KiB; the seed is printed.

use openledger_attribution::{
    attribution::{Attribution, Retrieved},
    fee::Mix,
    hash::keccak,
    index::IndexRules,
    list::ListEntry,
    record::RecordId,
    sketch::{Kind, Layout, Module, Rule},
    tree::{Leaf, Tree},
    verbatim::CountLeaf,
    wire::{Field, Object},
};
use openledger_attribution_web::api::{self, Status};
use std::path::{Path, PathBuf};
use std::process::Command;

const SIDE: usize = 1_000;
const EVALUATE_EVERY: usize = 17;

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn written(value: &impl Field) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.write(&mut bytes);
    bytes
}

fn status<T>(result: &Result<T, Status>) -> i32 {
    result.as_ref().map_or_else(|status| *status as i32, |_| 0)
}

/// Builds the module; its path.
fn build(target: &Path) -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let built = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args([
            "build",
            "--release",
            "--target",
            "wasm32v1-none",
            "--manifest-path",
        ])
        .arg(&manifest)
        .arg("--target-dir")
        .arg(target)
        // Flags for the native linker are not for this target.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .status()
        .expect("cargo runs");
    assert!(
        built.success(),
        "the module did not build: is the target there? (rustup target add wasm32v1-none)"
    );
    target.join("wasm32v1-none/release/openledger_attribution_web.wasm")
}

/// Sketches of a pool, with some that have no score, and the native results.
fn pairs(rng: &mut Rng) -> (String, Vec<u8>) {
    let module = |lanes| Module {
        kind: Kind::Linear,
        rows: 1,
        columns: lanes,
    };
    let layout = Layout {
        names: [0; 32],
        modules: vec![module(500), module(17), module(400), module(103)],
    };
    let rules = IndexRules {
        projection: 1,
        top: 8,
        rho: 0,
        z: 150,
        floor: rng.below(84) as i8 - 64,
    };
    let rule: Rule = api::rule(&layout.encode(), &written(&rules)).unwrap();
    let size = api::sketch_bytes(&rule);
    assert_eq!(size, 1_024);
    let mut sketches: Vec<i8> = Vec::with_capacity(2 * SIDE * size);
    for n in 0..2 * SIDE {
        let (base, near) = (rng.below(SIDE as u64) as usize, n > SIDE && rng.below(4) == 0);
        for module in 0..4 {
            // One in a hundred lies outside the window.
            let window = i64::from(rule.ceiling()) - i64::from(rule.floor());
            let exponent = i64::from(rule.floor()) + rng.below(window as u64 + 1) as i64;
            let wild = rng.below(400) == 0;
            sketches.push(if wild {
                rule.floor().wrapping_sub(1)
            } else if near {
                sketches[base * size + module]
            } else {
                exponent as i8
            });
        }
        for lane in 0..size - 4 {
            // Rows near a query, so that some are eligible; −128 now and then in wild ones.
            let byte = rng.next() as i8;
            let byte = if near {
                sketches[base * size + 4 + lane].saturating_add(byte / 8)
            } else {
                byte
            };
            sketches.push(if rng.below(2_000_000) == 0 {
                byte
            } else {
                byte.max(-127)
            });
        }
    }
    let get = |at: usize| &sketches[at * size..(at + 1) * size];
    let mut file: Vec<u8> = sketches.iter().map(|byte| *byte as u8).collect();
    let (mut without, mut eligible) = (0, 0);
    for query in 0..SIDE {
        for row in 0..SIDE {
            let score = api::score(&rule, get(query), get(SIDE + row));
            file.extend(score.unwrap_or(0).to_le_bytes());
            file.push(u8::from(score.is_err()));
            without += usize::from(score.is_err());
        }
    }
    for n in (0..SIDE * SIDE).step_by(EVALUATE_EVERY) {
        let result = api::evaluate(&rule, get(n / SIDE), get(SIDE + n % SIDE));
        let (score, is_eligible) = result.unwrap_or((0, false));
        file.extend(score.to_le_bytes());
        file.push(u8::from(is_eligible));
        file.push(u8::from(result.is_err()));
        eligible += usize::from(is_eligible);
    }
    println!("{without} pairs without a score, {eligible} of the evaluated ones eligible");
    assert!(without > 0 && without < SIDE * SIDE / 2);
    let text = format!(
        r#"{{"layout":"{}","rules":"{}","queries":{SIDE},"rows":{SIDE},"bytes":{size},"evaluateEvery":{EVALUATE_EVERY}}}"#,
        hex(&layout.encode()),
        hex(&written(&rules))
    );
    (text, file)
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Objects of every kind, from the frozen formats, whole and damaged.
fn objects(rng: &mut Rng) -> (String, String) {
    let frozen = include_str!("../../attribution/tests/formats.txt");
    let (mut cases, mut receipts) = (Vec::new(), Vec::new());
    for line in frozen.lines().filter(|line| line.starts_with("object ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let tag: [u8; 4] = words[2].as_bytes().try_into().unwrap();
        let whole = unhex(words[3]);
        let mut damaged = whole.clone();
        damaged.truncate(whole.len() - 1 - rng.below(8) as usize);
        for bytes in [whole, damaged] {
            let result = api::hash(tag, &bytes);
            let hash = result.map_or(String::new(), |hash| hex(&hash));
            if bytes.len() == words[3].len() / 2 {
                assert_eq!(hash, words[4]);
            }
            cases.push(format!(
                r#"{{"tag":"{}","bytes":"{}","status":{},"hash":"{hash}"}}"#,
                words[2],
                hex(&bytes),
                status(&result)
            ));
            if words[2] == "RCT1" {
                let result = api::check_receipt(&bytes);
                receipts.push(format!(
                    r#"{{"bytes":"{}","status":{}}}"#,
                    hex(&bytes),
                    status(&result)
                ));
            }
        }
    }
    cases.push(format!(
        r#"{{"tag":"NONE","bytes":"00","status":{},"hash":""}}"#,
        Status::NoTag as i32
    ));
    (cases.join(","), receipts.join(","))
}

fn keccaks(rng: &mut Rng) -> String {
    let case = |length: u64, rng: &mut Rng| {
        let bytes: Vec<u8> = (0..length).map(|_| rng.next() as u8).collect();
        format!(
            r#"{{"bytes":"{}","hash":"{}"}}"#,
            hex(&bytes),
            hex(&keccak(&[&bytes]))
        )
    };
    [0, 1, 135, 136, 137, 1_000]
        .map(|length| case(length, rng))
        .join(",")
}

fn shares(rng: &mut Rng) -> String {
    let cases: Vec<String> = (0..200)
        .map(|_| {
            let weights: Vec<u128> = (0..1 + rng.below(30))
                .map(|_| {
                    if rng.below(5) == 0 {
                        0
                    } else {
                        (u128::from(rng.next()) << 60) >> rng.below(124)
                    }
                })
                .collect();
            let bytes: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
            let result = api::shares_of(&bytes);
            let text: Vec<u8> = result
                .iter()
                .flatten()
                .flat_map(|share| share.to_le_bytes())
                .collect();
            format!(
                r#"{{"weights":"{}","count":{},"status":{},"shares":"{}"}}"#,
                hex(&bytes),
                weights.len(),
                status(&result),
                hex(&text)
            )
        })
        .collect();
    cases.join(",")
}

fn amounts(rng: &mut Rng) -> String {
    let record = RecordId {
        contribution: 1,
        index: 0,
    };
    let cases: Vec<String> = (0..200)
        .map(|_| {
            let list: Vec<ListEntry> = (0..rng.below(12))
                .map(|row| ListEntry {
                    row,
                    score: u128::from(rng.next()) << rng.below(40),
                    contributor: [rng.below(6) as u8; 32],
                })
                .collect();
            let retrieved: Vec<Retrieved> = (0..rng.below(9))
                .map(|entry| Retrieved { entry, record, contributor: [rng.below(6) as u8; 32] })
                .collect();
            let attribution = Attribution { query: [0; 32], list, spans: vec![], retrieved }.encode();
            let influence = rng.below(1_000_000_001) as u32;
            let mix = written(&Mix { influence, verbatim: 0, retrieval: 1_000_000_000 - influence });
            let amount = u128::from(rng.next()) << rng.below(50);
            let result = api::amounts(&attribution, &mix, amount);
            let count = result.as_ref().map_or(0, |amounts| amounts.len());
            let text: Vec<u8> = result
                .iter()
                .flatten()
                .flat_map(|(account, amount)| account.iter().copied().chain(amount.to_le_bytes()))
                .collect();
            format!(
                r#"{{"attribution":"{}","mix":"{}","amount":"{}","status":{},"count":{count},"amounts":"{}"}}"#,
                hex(&attribution),
                hex(&mix),
                hex(&amount.to_le_bytes()),
                status(&result),
                hex(&text)
            )
        })
        .collect();
    cases.join(",")
}

fn proofs(rng: &mut Rng) -> String {
    let mut cases = Vec::new();
    for _ in 0..100 {
        let leaves: Vec<CountLeaf> = (0..1 + rng.below(40))
            .map(|_| CountLeaf { count: rng.next() })
            .collect();
        let tree = Tree::new(&leaves).unwrap();
        let index = rng.below(leaves.len() as u64);
        let opening = written(&tree.open(index, &leaves[index as usize]).unwrap());
        let root = written(&tree.root());
        let mut forged = opening.clone();
        let at = rng.below(forged.len() as u64) as usize;
        forged[at] ^= 1 << rng.below(8);
        for bytes in [opening, forged] {
            let result = api::verify(CountLeaf::TAG, &root, &bytes);
            cases.push(format!(
                r#"{{"tag":"CNT1","root":"{}","opening":"{}","status":{},"before":"{}"}}"#,
                hex(&root),
                hex(&bytes),
                status(&result),
                result.map_or(String::new(), |before| hex(&before.to_le_bytes()))
            ));
        }
    }
    cases.join(",")
}

#[test]
fn webassembly_gives_the_native_bits() {
    let seed = match std::env::var("ATTRIBUTION_SEED") {
        Ok(text) => text.parse().expect("ATTRIBUTION_SEED is a number"),
        Err(_) => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_nanos() as u64,
    };
    println!("seed {seed} (again with ATTRIBUTION_SEED={seed})");
    let mut rng = Rng(seed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let module = build(&folder.join("wasm"));
    let (pairs, file) = pairs(&mut rng);
    let (objects, receipts) = objects(&mut rng);
    let cases = format!(
        r#"{{"version":{},"objects":[{objects}],"receipts":[{receipts}],"keccak":[{}],"shares":[{}],"amounts":[{}],"proofs":[{}],"pairs":{pairs}}}"#,
        api::VERSION,
        keccaks(&mut rng),
        shares(&mut rng),
        amounts(&mut rng),
        proofs(&mut rng)
    );
    let (pairs_file, cases_file) = (folder.join("pairs.bin"), folder.join("cases.json"));
    std::fs::write(&pairs_file, file).unwrap();
    std::fs::write(&cases_file, cases).unwrap();
    let output = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity.mjs"))
        .args([&module, &pairs_file, &cases_file])
        .output()
        .expect("node runs: install Node 20 or newer");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    print!("{out}");
    assert!(
        output.status.success(),
        "with ATTRIBUTION_SEED={seed}: {out}{err}"
    );
}

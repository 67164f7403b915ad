//! Every lie about channel 1 that a watcher finds in public data is one that the chain judges guilty; honest
//! answers give it nothing.

mod common;

use common::World;
use openledger_attribution::{
    attribution::Attribution,
    batch::{settle, BatchHeader, ChannelLeaf},
    fee::{Mix, Parts, Split, Tariff},
    hash::{Account, Hash, NONE},
    list::ListEntry,
    receipt::Receipt,
    sketch::Sketch,
    tree::{Root, Tree},
    verdict::{judge_batch, AnswerProof, BatchEvidence, BatchFacts, Guilt, Verdict},
    voucher::{CheckSignature, Mode, Signature, Terms, Voucher},
    wire::Object,
};
use openledger_influence::{audit, cpu_backend, left_out, wrong_score, Index};

/// No evidence here asks for a signature.
struct NoKeys;

impl CheckSignature for NoKeys {
    fn sr25519(&self, _: &[u8; 64], _: &[u8], _: &Account) -> bool {
        false
    }
    fn ecdsa_recover(&self, _: &[u8; 65], _: &Hash) -> Option<[u8; 64]> {
        None
    }
}

/// A batch of one answer with this attribution, as its worker commits to it.
fn committed(index: &Index, attribution: Attribution) -> (BatchHeader, AnswerProof) {
    let order = BatchHeader {
        worker: [5; 32],
        model: index.header().model,
        generation: index.header().generation,
        index: index.header().hash(),
        tariff: Tariff {
            price_in: 1_000,
            price_out: 2_000,
            split: Split {
                platform: 100,
                owner: 0,
                contributors: 10_000,
                stakers: 0,
                compute: 0,
                lineage: 0,
            },
            mix: Mix {
                influence: 1_000_000_000,
                verbatim: 0,
                retrieval: 0,
            },
        },
        draws: 0,
        minimum: 0,
        channels: Root::EMPTY,
        receipts: Root::EMPTY,
        totals: Parts::default(),
    };
    let terms = Terms {
        model: order.model,
        generation: order.generation,
        index: order.index,
        tariff: order.tariff,
        mode: Mode::Fast,
        prompt: [1; 32],
        parameters: [2; 32],
        seed: 3,
    };
    let fee = order.tariff.fee(10, 20).unwrap().total().unwrap();
    let receipt = Receipt {
        worker: order.worker,
        voucher: Voucher {
            genesis: [0; 32],
            channel: 1,
            accepted: 0,
            previous: NONE,
            most: fee,
            expiry: 100,
            terms: terms.hash(),
        },
        signature: Signature::Sr25519([0; 64]),
        terms,
        input_tokens: 10,
        output_tokens: 20,
        fee,
        output: [4; 32],
        attribution: attribution.hash(),
    };
    let cursor = ChannelLeaf {
        channel: 1,
        consumer: [6; 32],
        from: 0,
        to: 0,
    };
    let (settled, _) = settle(&order, &[cursor], &[(receipt, Some(attribution.clone()))]).unwrap();
    let tree = Tree::new(&settled.receipts).unwrap();
    let proof = AnswerProof {
        leaf: tree.open(0, &settled.receipts[0]).unwrap(),
        receipt,
        attribution,
        draw: None,
    };
    (settled.header, proof)
}

fn judge(index: &Index, batch: &BatchHeader, evidence: &BatchEvidence) -> Verdict {
    let facts = BatchFacts {
        genesis: [0; 32],
        chain_id: 1,
        submitted: 1,
        minimum: 0,
        randomness: None,
        batch,
        credits: None,
        index: index.header(),
    };
    // As it travels: written and read again.
    let evidence = BatchEvidence::decode(&evidence.encode()).unwrap();
    judge_batch(&facts, &evidence, &NoKeys)
}

/// What the watcher finds about this attribution, and what the chain says to it.
fn watch(index: &Index, attribution: Attribution, query: &Sketch) -> Option<Verdict> {
    let (batch, proof) = committed(index, attribution);
    let found = audit(index, &proof, query, cpu_backend(), 2).unwrap()?;
    Some(judge(index, &batch, &found))
}

#[test]
fn each_lie_is_found_and_judged() {
    let world = World::new();
    let index = world.build();
    let mut lies = 0;
    for answer in 0..6u64 {
        let query = index.query(&world.answer(1 + answer % 3, answer)).unwrap();
        let honest = index.attribute(&query, cpu_backend(), 2).unwrap();
        let sketch = &query.sketch;
        assert!(honest.list.len() > 2);
        assert_eq!(
            watch(&index, honest.clone(), sketch),
            None,
            "an honest answer is accused"
        );

        let mut check = |guilt: Guilt, change: &dyn Fn(&mut Vec<ListEntry>)| {
            let mut lie = honest.clone();
            change(&mut lie.list);
            let verdict = watch(&index, lie, sketch);
            assert_eq!(verdict, Some(Verdict::Guilty(guilt)));
            lies += 1;
        };
        check(Guilt::WrongScore, &|list| list[0].score += 1);
        check(Guilt::WrongScore, &|list| {
            let last = list.len() - 1;
            list[last].score -= 1;
        });
        check(Guilt::WrongContributor, &|list| list[1].contributor = [0xEE; 32]);
        check(Guilt::RowLeftOut, &|list| {
            list.remove(0);
        });
        check(Guilt::RowLeftOut, &|list| list.clear());
        check(Guilt::RowLeftOut, &|list| {
            list.pop();
        });
        // A row that is not eligible, with its right score: the best of those that are not.
        let scores = index.scores(&query, cpu_backend(), 2).unwrap();
        let smallest = honest.list.last().unwrap().score;
        let outsider = (0u64..)
            .zip(&scores)
            .filter(|(row, score)| **score > 0 && honest.list.iter().all(|entry| entry.row != *row))
            .map(|(row, score)| (row, score.unsigned_abs()))
            .filter(|(_, score)| *score < smallest)
            .max_by_key(|(_, score)| *score);
        if let (Some((row, score)), true) = (outsider, honest.list.len() < 10) {
            let contributor = index.row(row).unwrap().contributor;
            check(Guilt::NotEligible, &|list| {
                list.push(ListEntry {
                    row,
                    score,
                    contributor,
                })
            });
        }
        let disordered = {
            let mut lie = honest.clone();
            lie.list.swap(0, 1);
            lie
        };
        assert!(matches!(
            watch(&index, disordered, sketch),
            Some(Verdict::Guilty(Guilt::Shape(_)))
        ));
    }
    println!("{lies} lies found and proved");
}

#[test]
fn a_query_that_no_gradient_gives_is_proved() {
    let world = World::new();
    let index = world.build();
    let mut sketch = index.query(&world.answer(1, 9)).unwrap().sketch;
    sketch.exponents[2] = index.rule().ceiling() + 1;
    let query = index.query_from_sketch(sketch).unwrap();
    let lie = Attribution {
        query: query.hash(),
        list: vec![],
        spans: vec![],
        retrieved: vec![],
    };
    let verdict = watch(&index, lie, &query.sketch);
    assert!(
        matches!(verdict, Some(Verdict::Guilty(Guilt::InvalidQuery(_)))),
        "{verdict:?}"
    );
}

#[test]
fn evidence_that_cannot_hold_is_not_made() {
    let world = World::new();
    let index = world.build();
    let query = index.query(&world.answer(1, 9)).unwrap();
    let other = index.query(&world.answer(2, 10)).unwrap();
    let honest = index.attribute(&query, cpu_backend(), 2).unwrap();
    let (batch, proof) = committed(&index, honest.clone());
    assert!(wrong_score(&index, proof.clone(), 0, &other.sketch).is_err());
    assert!(wrong_score(&index, proof.clone(), honest.list.len() as u16, &query.sketch).is_err());
    assert!(left_out(&index, proof.clone(), honest.list[0].row, &query.sketch).is_err());
    assert!(left_out(&index, proof.clone(), index.rows(), &query.sketch).is_err());
    assert!(audit(&index, &proof, &other.sketch, cpu_backend(), 1).is_err());
    // What can be made about an honest answer convinces nobody.
    let right = wrong_score(&index, proof, 0, &query.sketch).unwrap();
    assert!(!judge(&index, &batch, &BatchEvidence::Score(right)).is_guilty());
}

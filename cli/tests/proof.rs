//! Recomputing answers of the primitives' own honest world, and catching every lie about influence that is planted in it: the
//! evidence must convince the chain's judge, and an honest batch must give none.

#[path = "../../primitives/attribution/tests/common/mod.rs"]
mod common;

use common::{seed, watch::batch_facts, world::World, Rng};
use openledger_attribution::{
    attribution::ShapeFlaw,
    batch::PartLeaf,
    list::ListFlaw,
    tree::Tree,
    verdict::{judge_batch, BatchEvidence, Guilt, Verdict},
    wire::Object,
};
use openledger_cli::{
    proof::{differences, itemise, recompute, Answer, Batch, Index},
    public,
    wire::{bytes_of_field, field_of, hex_of},
    worker::Worker,
};
use openledger_protocol::batches::{self, BatchStage};
use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
};

fn index(world: &World) -> Index {
    let tree = Tree::new(&world.index.rows).unwrap();
    let rows = (0u64..)
        .zip(&world.index.rows)
        .map(|(n, row)| tree.open(n, row).unwrap())
        .collect();
    Index::new(world.index.header, world.index.layout.clone(), rows).unwrap()
}

fn batch(world: &World) -> Batch {
    Batch {
        header: world.settled.header,
        credits_header: world.ledger.header,
        channels: world.settled.channels.clone(),
        receipts: world.settled.receipts.clone(),
        parts: world.ledger.parts.clone(),
        credits: world.ledger.credits.clone(),
        answers: world
            .answers
            .iter()
            .map(|answer| Answer {
                receipt: answer.receipt,
                attribution: answer.attribution.clone(),
                query: answer.query.clone(),
                output: None,
            })
            .collect(),
    }
}

/// The guilt that evidence about an answer proves, and whether any difference was told.
fn guilt(world: &World, position: usize) -> (Vec<Guilt>, Vec<String>) {
    let (index, batch) = (index(world), batch(world));
    batch.check().unwrap();
    let answer = &batch.answers[position];
    let recomputed = recompute(&index, answer).unwrap();
    let mut wrong = differences(&index, answer, &recomputed);
    wrong.extend(batch.payment_differences(position as u64, &recomputed.amounts));
    let facts = batch_facts(world);
    let keys = world.keys();
    let proved = batch
        .evidence(&index, position as u64)
        .iter()
        .filter_map(|evidence| match judge_batch(&facts, evidence, &keys) {
            Verdict::Guilty(guilt) => Some(guilt),
            Verdict::NotProven(_) => None,
        })
        .collect();
    (proved, wrong)
}

/// Worlds in which answer `position` has at least `least` listed rows.
fn worlds(least: usize) -> impl Iterator<Item = (u64, World, usize)> {
    let mut rng = Rng(seed());
    std::iter::repeat_with(move || rng.next())
        .take(400)
        .filter_map(move |seed| {
            let world = World::new(seed, false);
            // Influence must carry weight, or nobody has to fill its list.
            let weight = world.settled.header.tariff.mix.influence > 0;
            let at = world
                .answers
                .iter()
                .position(|a| weight && a.attribution.list.len() >= least)?;
            Some((seed, world, at))
        })
        .take(12)
}

#[test]
fn an_honest_world_is_recomputed_to_the_planck() {
    let mut worlds_seen = 0;
    for (seed, world, _) in worlds(1) {
        worlds_seen += 1;
        let (index, batch) = (index(&world), batch(&world));
        batch.check().unwrap();
        for (n, answer) in batch.answers.iter().enumerate() {
            let recomputed = recompute(&index, answer).unwrap();
            assert_eq!(
                recomputed.attribution, answer.attribution,
                "world {seed}, answer {n}"
            );
            assert_eq!(
                differences(&index, answer, &recomputed),
                Vec::<String>::new(),
                "world {seed}, answer {n}"
            );
            assert_eq!(
                batch.payment_differences(n as u64, &recomputed.amounts),
                Vec::<String>::new(),
                "world {seed}"
            );
            assert_eq!(batch.position(&answer.receipt.hash()), Some(n as u64));
            let (proved, _) = guilt(&world, n);
            assert_eq!(proved, [], "world {seed}, answer {n}");
            // Every planck is that of a row, of a span's record or of a record in the prompt.
            let mix = &answer.receipt.terms.tariff.mix;
            let items = itemise(&recomputed.attribution, mix, &recomputed.amounts).unwrap();
            let attribution = &recomputed.attribution;
            let rows = attribution
                .list
                .iter()
                .map(|entry| entry.contributor)
                .zip(&items.rows);
            let spans = attribution.spans.iter().zip(&items.spans);
            let spans = spans.flat_map(|(span, parts)| span.records.iter().map(|r| r.contributor).zip(parts));
            let retrieved = attribution
                .retrieved
                .iter()
                .map(|r| r.contributor)
                .zip(&items.retrieved);
            let mut sums = HashMap::new();
            for (who, part) in rows.chain(spans).chain(retrieved) {
                *sums.entry(who).or_insert(0) += part;
            }
            sums.retain(|_, sum| *sum > 0);
            assert_eq!(sums, recomputed.amounts.iter().copied().collect(), "world {seed}");
        }
    }
    assert!(worlds_seen > 0, "no world had a listed row");
}

#[test]
fn a_wrong_score_is_found_and_proved() {
    let mut lies = 0;
    for (seed, mut world, at) in worlds(1) {
        let entry = &mut world.answers[at].attribution.list[0];
        entry.score += 1;
        world.recommit_answers(at);
        let (proved, wrong) = guilt(&world, at);
        assert!(proved.contains(&Guilt::WrongScore), "world {seed}: {proved:?}");
        assert!(
            wrong.iter().any(|text| text.contains("is listed with score")),
            "world {seed}: {wrong:?}"
        );
        lies += 1;
    }
    assert!(lies > 0);
}

#[test]
fn a_row_left_out_is_found_and_proved() {
    let mut lies = 0;
    for (seed, mut world, at) in worlds(2) {
        let left = world.answers[at].attribution.list.remove(0);
        world.recommit_answers(at);
        let (proved, wrong) = guilt(&world, at);
        assert!(proved.contains(&Guilt::RowLeftOut), "world {seed}: {proved:?}");
        assert!(
            wrong
                .iter()
                .any(|text| text.contains(&format!("row {} with score", left.row))),
            "{wrong:?}"
        );
        lies += 1;
    }
    assert!(lies > 0);
}

#[test]
fn another_contributor_and_a_disorder_are_found_and_proved() {
    let mut lies = 0;
    for (seed, world, at) in worlds(2) {
        let mut other = world.clone();
        other.answers[at].attribution.list[1].contributor = [0x55; 32];
        other.recommit_answers(at);
        let (proved, wrong) = guilt(&other, at);
        assert!(
            proved.contains(&Guilt::WrongContributor),
            "world {seed}: {proved:?}"
        );
        assert!(!wrong.is_empty());

        let mut other = world.clone();
        other.answers[at].attribution.list.swap(0, 1);
        other.recommit_answers(at);
        let (proved, wrong) = guilt(&other, at);
        assert!(
            proved.contains(&Guilt::Shape(ShapeFlaw::List(ListFlaw::Order))),
            "world {seed}: {proved:?}"
        );
        assert!(!wrong.is_empty());
        lies += 1;
    }
    assert!(lies > 0);
}

#[test]
fn a_wrong_part_is_found_and_proved() {
    let mut lies = 0;
    for (seed, mut world, _) in worlds(1) {
        let Some(part) = world.ledger.parts.first().copied() else {
            continue;
        };
        world.ledger.parts[0] = PartLeaf {
            amount: part.amount + 1,
            ..part
        };
        world.recommit_credits();
        let (proved, wrong) = guilt(&world, part.source as usize);
        assert!(proved.contains(&Guilt::WrongPart), "world {seed}: {proved:?}");
        assert!(
            wrong.iter().any(|text| text.contains("is owed")),
            "world {seed}: {wrong:?}"
        );
        lies += 1;
    }
    assert!(lies > 0);
}

#[test]
fn a_row_that_the_index_does_not_commit_to_is_refused() {
    let (_, world, _) = worlds(1).next().expect("a world with a listed row");
    let good = index(&world);
    let mut rows = good.rows.clone();
    let lane = &mut rows[0].leaf.sketch.lanes[0];
    *lane = if *lane == 1 { 2 } else { 1 };
    let error = Index::new(good.header, good.layout.clone(), rows).unwrap_err();
    assert!(error.contains("row 0"), "{error}");
    let error = Index::new(good.header, good.layout.clone(), good.rows[1..].to_vec()).unwrap_err();
    assert!(error.contains("rows of"), "{error}");
    let mut swapped = good.rows.clone();
    if swapped.len() > 1 {
        swapped.swap(0, 1);
        assert!(Index::new(good.header, good.layout.clone(), swapped).is_err());
    }
}

/// Serves fixed answers, as a worker does; whoever asks for anything else gets a worker's error.
fn serve(answers: HashMap<String, Vec<u8>>) -> Worker {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                continue;
            }
            let path = line.split(' ').nth(1).unwrap_or("").to_owned();
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).unwrap();
                if header.trim().is_empty() {
                    break;
                }
            }
            let (status, body) = match answers.get(&path) {
                Some(body) => ("200 OK", body.clone()),
                None => (
                    "404 Not Found",
                    b"{\"error\":{\"message\":\"there is nothing here\"}}".to_vec(),
                ),
            };
            let mut stream = reader.into_inner();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(&body));
            let _ = stream.take(0).read(&mut []);
        }
    });
    Worker::new(&url)
}

#[test]
fn what_a_worker_publishes_is_read_and_checked() {
    let (_, world, at) = worlds(1).next().expect("a world with a listed row");
    let own = batch(&world);
    let answer = &own.answers[at];
    let hash = answer.receipt.hash();
    let receipt_json = serde_json::json!({
        "receipt": hex_of(answer.receipt.encode()),
        "signature": hex_of([7; 64]),
        "receipt_key": hex_of([1; 32]),
        "attribution": hex_of(answer.attribution.encode()),
        "query": hex_of(bytes_of_field(&answer.query)),
        "batch": 3, "position": at, "fee": answer.receipt.fee.to_string(), "input_tokens": 1, "output_tokens": 1,
    });
    let answers: Vec<_> = own
        .answers
        .iter()
        .map(|a| {
            serde_json::json!({
                "receipt": hex_of(a.receipt.encode()),
                "signature": hex_of([7; 64]),
                "attribution": hex_of(a.attribution.encode()),
                "query": hex_of(bytes_of_field(&a.query)),
            })
        })
        .collect();
    let batch_json = serde_json::json!({
        "id": 3,
        "header": hex_of(own.header.encode()),
        "credits_header": hex_of(own.credits_header.encode()),
        "channels": hex_of(bytes_of_field(&own.channels)),
        "receipts": hex_of(bytes_of_field(&own.receipts)),
        "parts": hex_of(bytes_of_field(&own.parts)),
        "credits": hex_of(bytes_of_field(&own.credits)),
        "answers": answers,
    });
    let rows = index(&world).rows;
    let other = [9; 32];
    let worker = serve(HashMap::from([
        (
            format!("/v1/receipts/{}", hex_of(hash)),
            receipt_json.to_string().into_bytes(),
        ),
        (
            format!("/v1/receipts/{}", hex_of(other)),
            receipt_json.to_string().into_bytes(),
        ),
        ("/v1/batches/3".to_owned(), batch_json.to_string().into_bytes()),
        (
            format!("/v1/indexes/{}/rows?from=0&count=1", hex_of(other)),
            bytes_of_field(&rows[..1].to_vec()),
        ),
    ]));

    let published = public::receipt(&worker, &hash, None).unwrap();
    assert_eq!(published.answer.receipt, answer.receipt);
    assert_eq!(published.answer.attribution, answer.attribution);
    assert_eq!(published.answer.query, answer.query);
    assert_eq!(published.batch, Some(3));
    // A worker that gives another receipt than the one asked for is not believed.
    let error = public::receipt(&worker, &other, None).err().unwrap().to_string();
    assert!(error.contains(&hex_of(hash)), "{error}");
    assert_eq!(public::rows(&worker, &other, 0, 1).unwrap(), rows[..1]);
    let error = public::receipt(&worker, &[8; 32], None).err().unwrap();
    assert_eq!(error.status(), Some(404));
    assert!(error.to_string().contains("there is nothing here"), "{error}");

    let mut stored = batches::Batch {
        worker: own.header.worker,
        header: own.header,
        credits: own.credits_header,
        submitted: 1,
        closes: 21,
        exposure: 0,
        escrow: own.header.receipts.sum,
        challenges: 0,
        stage: BatchStage::Open,
    };
    let read = public::batch(&worker, 3, &stored).unwrap();
    assert_eq!(read.parts, own.parts);
    assert_eq!(read.answers.len(), own.answers.len());
    // What is served is compared with the chain.
    stored.header.receipts.sum += 1;
    let error = public::batch(&worker, 3, &stored).err().unwrap().to_string();
    assert!(
        error.contains("receipts are not what the chain commits to"),
        "{error}"
    );
}

#[test]
fn evidence_survives_being_written_down() {
    let (_, mut world, at) = worlds(1).next().expect("a world with a listed row");
    world.answers[at].attribution.list[0].score += 1;
    world.recommit_answers(at);
    for evidence in batch(&world).evidence(&index(&world), at as u64) {
        let bytes = bytes_of_field(&evidence);
        assert_eq!(field_of::<BatchEvidence>(&bytes).unwrap(), evidence);
        assert!(field_of::<BatchEvidence>(&bytes[..bytes.len() - 1]).is_err());
    }
}

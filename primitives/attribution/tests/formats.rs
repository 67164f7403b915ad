//! The formats, frozen: canonical bytes and hashes of one object of every kind and of one leaf of every tree.
//! If a line of `formats.txt` changes, a format changed: raise its version instead.
//! `docs/attribution-formats.md` explains them.

use openledger_attribution::{
    attribution::{Attribution, Retrieved},
    bases::{BasisLeaf, Spectrum},
    batch::{BatchHeader, ChannelLeaf, CreditLeaf, CreditsHeader, DrawLeaf, PartLeaf, ReceiptLeaf},
    committee::{vote_hash, Vote},
    fee::{Mix, Parts, Split, Tariff},
    index::{index_seed, IndexHeader, IndexLeaf, IndexRules},
    list::ListEntry,
    receipt::Receipt,
    record::{reservation, CorpusLeaf, RecordId, RecordLeaf, SourceLeaf, VersionLeaf},
    sketch::{Kind, Layout, Module, Sketch, SketchLeaf},
    text::{TextLeaf, TokenLeaf},
    tree::{Leaf, Root, Tree},
    verbatim::{CountLeaf, ShardLeaf, Span, SpanRecord, SuffixLeaf, TableLeaf, Verbatim},
    voucher::{Mode, Signature, Terms, Voucher},
    wire::Object,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn object<T: Object>(lines: &mut Vec<String>, name: &str, object: &T) {
    let bytes = object.encode();
    let tag = std::str::from_utf8(&T::TAG).unwrap();
    lines.push(format!(
        "object {name} {tag} {} {}",
        hex(&bytes),
        hex(&object.hash())
    ));
}

fn leaf<L: Leaf>(lines: &mut Vec<String>, name: &str, leaf: &L) {
    let mut payload = Vec::new();
    let sum = leaf.payload(&mut payload).unwrap();
    // Chunks are padded to 256 tokens: the zeros are not written out.
    let end = payload.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    let zeros = payload.len() - end;
    let tag = std::str::from_utf8(&L::TAG).unwrap();
    let hash = hex(&leaf.node(5).unwrap().hash);
    lines.push(format!(
        "leaf {name} {tag} sum {sum} at 5: {}+{zeros} zeros {hash}",
        hex(&payload[..end])
    ));
}

fn root(n: u8) -> Root {
    Root {
        count: u64::from(n),
        sum: u128::from(n) * 1_000,
        top: [n; 32],
    }
}

const ID: RecordId = RecordId {
    contribution: 0x0102_0304_0506_0708,
    index: 0x0A0B_0C0D,
};

fn parts(n: u128) -> Parts {
    Parts {
        platform: n,
        owner: n + 1,
        contributors: n + 2,
        fallback: n + 3,
        stakers: n + 4,
        compute: n + 5,
        lineage: n + 6,
    }
}

fn lines() -> Vec<String> {
    let mut lines = Vec::new();
    let tariff = Tariff {
        price_in: 1_000,
        price_out: 2_000,
        split: Split {
            platform: 500,
            owner: 4_000,
            contributors: 3_000,
            stakers: 1_000,
            compute: 1_500,
            lineage: 500,
        },
        mix: Mix {
            influence: 700_000_000,
            verbatim: 200_000_000,
            retrieval: 100_000_000,
        },
    };
    let terms = Terms {
        model: 7,
        generation: 3,
        index: [1; 32],
        tariff,
        mode: Mode::Fast,
        prompt: [2; 32],
        parameters: [3; 32],
        seed: 99,
    };
    let voucher = Voucher {
        genesis: [4; 32],
        channel: 5,
        accepted: 6,
        previous: [7; 32],
        most: 8,
        expiry: 9,
        terms: terms.hash(),
    };
    let receipt = Receipt {
        worker: [8; 32],
        voucher,
        signature: Signature::Ecdsa([9; 65]),
        terms,
        input_tokens: 10,
        output_tokens: 20,
        fee: 53,
        output: [10; 32],
        attribution: [11; 32],
    };
    let attribution = Attribution {
        query: [12; 32],
        list: vec![ListEntry {
            row: 4,
            score: 5_000,
            contributor: [13; 32],
        }],
        spans: vec![Span {
            start: 2,
            end: 6,
            information: 77,
            records: vec![SpanRecord {
                entry: 1,
                record: ID,
                contributor: [14; 32],
                position: 300,
            }],
        }],
        retrieved: vec![Retrieved {
            entry: 2,
            record: ID,
            contributor: [15; 32],
        }],
    };
    object(&mut lines, "tariff", &tariff);
    object(&mut lines, "terms", &terms);
    object(&mut lines, "voucher", &voucher);
    lines.push(format!("sr25519 message {}", hex(&voucher.sr25519_message())));
    lines.push(format!(
        "eip712 digest on 161299 {}",
        hex(&voucher.eip712_digest(161_299))
    ));
    object(&mut lines, "receipt", &receipt);
    object(
        &mut lines,
        "receipt-sr25519",
        &Receipt {
            signature: Signature::Sr25519([9; 64]),
            ..receipt
        },
    );
    lines.push(format!("receipt message {}", hex(&receipt.signing_message())));
    object(&mut lines, "attribution", &attribution);

    let layout = Layout {
        names: [16; 32],
        modules: vec![
            Module {
                kind: Kind::LoraA,
                rows: 1,
                columns: 3,
            },
            Module {
                kind: Kind::LoraB,
                rows: 2,
                columns: 1,
            },
            Module {
                kind: Kind::Linear,
                rows: 1,
                columns: 1,
            },
        ],
    };
    let rules = IndexRules {
        projection: 64,
        top: 16,
        rho: 100_000_000,
        z: 400,
        floor: -20,
    };
    let header = IndexHeader {
        builder: [17; 32],
        model: 7,
        generation: 3,
        base: [18; 32],
        adapter: [19; 32],
        tokenizer: [20; 32],
        seed: index_seed(&[19; 32], &[21; 32]),
        layout: layout.hash(),
        rules,
        bases: root(1),
        sources: root(2),
        corpus: root(3),
        rows: root(4),
        verbatim: Verbatim {
            vocabulary: 257,
            separator: 256,
            tokens: root(5),
            shards: root(6),
            table: root(7),
        },
        retrieval: [22; 32],
    };
    object(&mut lines, "layout", &layout);
    object(&mut lines, "index", &header);
    let batch = BatchHeader {
        worker: [8; 32],
        model: 7,
        generation: 3,
        index: header.hash(),
        tariff,
        draws: 12,
        minimum: 1_000_000_000_000_000,
        channels: root(8),
        receipts: root(9),
        totals: parts(100),
    };
    let credits = CreditsHeader {
        batch: batch.hash(),
        answers: root(10),
        parts: root(11),
        credits: root(12),
    };
    object(&mut lines, "batch", &batch);
    object(&mut lines, "credits", &credits);
    lines.push(format!("draw 0 of that batch {}", batch.draw(&[23; 32], 0)));
    lines.push(format!(
        "vote {}",
        hex(&vote_hash(Vote::Wrong, &[24; 32], b"own", &[25; 32]))
    ));
    lines.push(format!(
        "reservation {}",
        hex(&reservation(&[26; 32], 7, &[27; 32], &[28; 32]))
    ));

    leaf(
        &mut lines,
        "record",
        &RecordLeaf {
            content: [29; 32],
            bytes: 5,
        },
    );
    let other = RecordId {
        contribution: 1,
        index: 2,
    };
    let version = VersionLeaf {
        record: ID,
        contributor: [30; 32],
        content: [31; 32],
        representative: other,
    };
    leaf(&mut lines, "version", &version);
    leaf(
        &mut lines,
        "source",
        &SourceLeaf {
            datanet: 3,
            version: 4,
            records: root(13),
        },
    );
    let corpus = CorpusLeaf {
        source: 1,
        record: ID,
        contributor: [32; 32],
        content: [33; 32],
        tokens: 600,
    };
    leaf(&mut lines, "corpus", &corpus);
    let sketch = Sketch {
        exponents: vec![-20, 4, 5],
        lanes: vec![0, 0, 0, 127, -127, 64],
    };
    let row = IndexLeaf {
        source: 1,
        record: ID,
        unit: 2,
        contributor: [34; 32],
        sketch,
    };
    leaf(&mut lines, "row", &row);
    leaf(
        &mut lines,
        "block",
        &SketchLeaf {
            exponent: 4,
            lanes: vec![127, -127],
        },
    );
    leaf(&mut lines, "vector", &BasisLeaf::Vector(vec![16_384, -1]));
    leaf(
        &mut lines,
        "spectrum",
        &BasisLeaf::Spectrum(Spectrum {
            exponent: -3,
            values: vec![9, 8],
        }),
    );
    leaf(
        &mut lines,
        "text",
        &TextLeaf {
            salt: [35; 32],
            tokens: vec![1, 2, 300],
        },
    );
    leaf(
        &mut lines,
        "tokens",
        &TokenLeaf {
            tokens: vec![1, 2, 300],
        },
    );
    leaf(&mut lines, "table", &TableLeaf { flags: 3, count: 12 });
    leaf(
        &mut lines,
        "shard",
        &ShardLeaf {
            from: 10,
            to: 30,
            suffixes: root(14),
            counts: root(15),
        },
    );
    leaf(&mut lines, "suffix", &SuffixLeaf { position: 123 });
    leaf(&mut lines, "count", &CountLeaf { count: 4 });
    leaf(
        &mut lines,
        "channel",
        &ChannelLeaf {
            channel: 5,
            consumer: [36; 32],
            from: 100,
            to: 150,
        },
    );
    let receipt_leaf = ReceiptLeaf {
        channel: 5,
        cumulative: 153,
        fee: 53,
        receipt: receipt.hash(),
        running: parts(200),
    };
    leaf(&mut lines, "receipt", &receipt_leaf);
    leaf(
        &mut lines,
        "draw",
        &DrawLeaf {
            receipt: 3,
            attribution: [37; 32],
            forfeit: 40,
        },
    );
    leaf(
        &mut lines,
        "part",
        &PartLeaf {
            contributor: [38; 32],
            source: 3,
            amount: 17,
        },
    );
    leaf(
        &mut lines,
        "credit",
        &CreditLeaf {
            contributor: [38; 32],
            first: 2,
            end: 9,
            amount: 170,
        },
    );

    let three: Vec<CountLeaf> = [4, 5, 6].map(|count| CountLeaf { count }).to_vec();
    let tree = Tree::new(&three).unwrap();
    lines.push(format!(
        "tree of counts 4 5 6: top {} root {}",
        hex(&tree.root().top),
        hex(&tree.root().hash::<CountLeaf>())
    ));
    lines.push(format!(
        "empty tree of counts: root {}",
        hex(&Root::EMPTY.hash::<CountLeaf>())
    ));
    lines
}

#[test]
fn formats_are_frozen() {
    let (lines, frozen) = (lines(), include_str!("formats.txt"));
    if std::env::var("ATTRIBUTION_FREEZE").is_ok() {
        std::fs::write(
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/formats.txt"),
            lines.join("\n") + "\n",
        )
        .unwrap();
        panic!("formats.txt is written anew: look at what changed, then run without ATTRIBUTION_FREEZE");
    }
    for (line, old) in lines.iter().zip(frozen.lines()) {
        assert_eq!(line, old);
    }
    assert_eq!(lines.len(), frozen.lines().count());
}

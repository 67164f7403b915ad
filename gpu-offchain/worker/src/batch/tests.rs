use super::choose;
use crate::db::ReceiptRow;
use openledger_attribution::{
    attribution::Attribution,
    fee::{Mix, Split, Tariff},
    receipt::Receipt,
    sketch::Sketch,
    voucher::{Mode, Signature, Terms, Voucher},
    wire::Object,
};
use openledger_protocol::Hash;

/// A receipt of `channel` under prices of kind `kind`.
fn receipt(number: u64, channel: u64, kind: u128, fee: u128) -> (Hash, ReceiptRow) {
    let terms = Terms {
        model: 1,
        generation: 1,
        index: [0; 32],
        tariff: Tariff {
            price_in: kind,
            price_out: 0,
            split: Split {
                platform: 0,
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
        mode: Mode::Verifiable,
        prompt: [0; 32],
        parameters: [0; 32],
        seed: 0,
    };
    let voucher = Voucher {
        genesis: [0; 32],
        channel,
        accepted: 0,
        previous: [0; 32],
        most: fee,
        expiry: 0,
        terms: terms.hash(),
    };
    let receipt = Receipt {
        worker: [0; 32],
        voucher,
        signature: Signature::Sr25519([0; 64]),
        terms,
        input_tokens: 0,
        output_tokens: 0,
        fee,
        output: [0; 32],
        attribution: [0; 32],
    };
    let attribution = Attribution {
        query: [0; 32],
        list: vec![],
        spans: vec![],
        retrieved: vec![],
    };
    let query = Sketch {
        exponents: vec![],
        lanes: vec![],
    };
    let row = ReceiptRow {
        number,
        signed: 0,
        receipt,
        signature: [0; 64],
        attribution,
        query,
        batch: None,
    };
    (receipt.hash(), row)
}

fn chosen(receipts: &[(u64, u128, u128)], most: u128) -> Vec<usize> {
    let rows: Vec<_> = (0u64..)
        .zip(receipts)
        .map(|(n, (channel, kind, fee))| receipt(n, *channel, *kind, *fee))
        .collect();
    choose(&rows, most)
}

#[test]
fn receipts_of_one_kind_go_together() {
    assert_eq!(chosen(&[(1, 1, 5), (2, 1, 5), (1, 1, 5)], 100), [0, 1, 2]);
    assert_eq!(chosen(&[], 100), [0; 0]);
}

#[test]
fn channel_stops_at_its_first_receipt_of_another_kind() {
    // What follows in channel 1 would leave a gap; channel 2 begins with another kind.
    assert_eq!(
        chosen(
            &[(1, 1, 5), (1, 2, 5), (1, 1, 5), (2, 2, 5), (2, 1, 5), (3, 1, 5)],
            100
        ),
        [0, 5]
    );
}

#[test]
fn batch_stays_within_the_bond() {
    assert_eq!(chosen(&[(1, 1, 60), (2, 1, 60), (3, 1, 40)], 100), [0, 2]);
    assert_eq!(chosen(&[(1, 1, 101)], 100), [0; 0]);
}

#[test]
fn channel_of_free_answers_waits() {
    assert_eq!(chosen(&[(1, 1, 0), (2, 1, 5), (2, 1, 0)], 100), [1, 2]);
    assert_eq!(chosen(&[(1, 1, 0), (1, 1, 1)], 100), [0, 1]);
}

#[test]
fn batch_has_at_most_so_many_channels() {
    let many: Vec<(u64, u128, u128)> = (0..70).map(|channel| (channel, 1, 1)).collect();
    assert_eq!(chosen(&many, 100).len(), super::MOST_CHANNELS);
}

use super::*;
use crate::formats::{output_leaves, prompt_leaves};
use openledger_attribution::{
    fee::{Mix, Split, Tariff},
    voucher::{Mode, Signature, Terms, Voucher},
};

const VOCABULARY: usize = 100;
const CONTEXT: usize = 12;

/// Two choices of at most four tokens.
fn parameters() -> Parameters {
    Parameters {
        max_tokens: 4,
        n: 2,
        ..Parameters::default()
    }
}

fn handed(prompt: &[u32], output: &[u32], choices: &[u32]) -> Handed {
    Handed {
        prompt: prompt_leaves(prompt, &[1; 32]),
        output: output_leaves(output, &[1; 32]),
        choices: choices.to_vec(),
        parameters: parameters().bytes(),
    }
}

/// A receipt that commits to what is handed over.
fn receipt(handed: &Handed) -> Receipt {
    let terms = Terms {
        model: 0,
        generation: 0,
        index: [0; 32],
        tariff: Tariff {
            price_in: 0,
            price_out: 0,
            split: Split {
                platform: 0,
                owner: 0,
                contributors: 0,
                stakers: 0,
                compute: 0,
                lineage: 0,
            },
            mix: Mix {
                influence: 0,
                verbatim: 0,
                retrieval: 0,
            },
        },
        mode: Mode::Verifiable,
        prompt: root_hash(&handed.prompt).unwrap(),
        parameters: keccak(&[&handed.parameters]),
        seed: 0,
    };
    Receipt {
        worker: [0; 32],
        voucher: Voucher {
            genesis: [0; 32],
            channel: 0,
            accepted: 0,
            previous: [0; 32],
            most: 0,
            expiry: 0,
            terms: terms.hash(),
        },
        signature: Signature::Sr25519([0; 64]),
        terms,
        input_tokens: 0,
        output_tokens: 0,
        fee: 0,
        output: root_hash(&handed.output).unwrap(),
        attribution: [0; 32],
    }
}

fn read(handed: &Handed) -> Option<Texts> {
    Texts::of(handed, &receipt(handed), (VOCABULARY, CONTEXT))
}

#[test]
fn texts_are_divided_as_the_parameters_allow() {
    let texts = read(&handed(&[1, 2, 3], &[4, 5, 6, 7, 8], &[3, 2])).unwrap();
    assert_eq!(texts.prompt, [1, 2, 3]);
    assert_eq!(texts.outputs(), [&[4, 5, 6][..], &[7, 8]]);
    // Choices that gave nothing.
    let texts = read(&handed(&[1], &[], &[0, 0])).unwrap();
    assert_eq!(texts.outputs(), [[0u32; 0]; 2]);
    for (choices, why) in [
        (&[5][..], "one choice where two were asked for"),
        (&[1, 2, 2], "three choices"),
        (&[5, 0], "a choice longer than allowed"),
        (&[2, 2], "a token of no choice"),
        (&[3, 3], "more tokens than there are"),
        (&[4, u32::MAX], "nonsense"),
        (&[], "none"),
    ] {
        assert_eq!(
            read(&handed(&[1, 2, 3], &[4, 5, 6, 7, 8], choices)),
            None,
            "{why}"
        );
    }
}

#[test]
fn what_no_model_read_or_gave_is_not_taken() {
    let long: Vec<u32> = (0..10).collect();
    assert_eq!(
        read(&handed(&[100], &[1, 2], &[1, 1])),
        None,
        "a token that is none"
    );
    assert_eq!(
        read(&handed(&[1], &[1, 100], &[1, 1])),
        None,
        "a token that is none"
    );
    assert!(read(&handed(&long, &[1, 2, 3], &[2, 1])).is_some());
    assert_eq!(
        read(&handed(&long, &[1, 2, 3], &[3, 0])),
        None,
        "longer than the model reads"
    );
}

#[test]
fn what_a_receipt_does_not_commit_to_is_not_taken() {
    let right = handed(&[1, 2, 3], &[4, 5], &[1, 1]);
    let receipt = receipt(&right);
    let bounds = (VOCABULARY, CONTEXT);
    assert!(Texts::of(&right, &receipt, bounds).is_some());
    let others = [
        handed(&[1, 2], &[4, 5], &[1, 1]),
        handed(&[1, 2, 3], &[4, 6], &[1, 1]),
        Handed {
            parameters: Vec::new(),
            ..right.clone()
        },
        Handed {
            parameters: Parameters { n: 1, ..parameters() }.bytes(),
            choices: vec![2],
            ..right.clone()
        },
        // The same tokens under other salts.
        Handed {
            output: output_leaves(&[4, 5], &[2; 32]),
            ..right.clone()
        },
    ];
    for other in others {
        assert_eq!(Texts::of(&other, &receipt, bounds), None, "{other:?}");
    }
}

//! The node asks its worker.

use crate::{
    hook::{hmac, run},
    mock::*,
    Call, RESULT_KEY,
};
use codec::{Decode, Encode};
use frame_support::assert_ok;
use openledger_protocol::compute::{
    hook::{Answer, Assigned, Finished, Request, PROTOCOL, SECRET_KEY, URL_KEY},
    Delivery,
};
use sp_core::{
    hexdisplay::HexDisplay,
    offchain::{
        testing::{PendingRequest, TestOffchainExt, TestTransactionPoolExt},
        OffchainDbExt, OffchainStorage, OffchainWorkerExt, Timestamp, TransactionPoolExt,
    },
    sr25519, Pair,
};
use sp_keystore::{testing::MemoryKeystore, Keystore, KeystoreExt};

const SECRET: &[u8] = b"a secret of node and worker";
const URL: &str = "http://127.0.0.1:8700";
const TIME: &str = "1700000000";
const NONCE: &str = "abababababababababababababababab";

fn hex(bytes: &[u8]) -> String {
    HexDisplay::from(&bytes).to_string()
}

/// A node whose keystore holds the result keys of workers 1 and 2, which are registered beside worker 3.
struct Node<'a> {
    offchain: TestOffchainExt,
    pool: &'a dyn Fn() -> Vec<Vec<u8>>,
}

impl Node<'_> {
    fn pair(&self) {
        let mut state = self.offchain.0.write();
        state.persistent_storage.set(b"", URL_KEY, URL.as_bytes());
        state.persistent_storage.set(b"", SECRET_KEY, SECRET);
    }

    /// The one request the next hook makes, and what it is answered.
    fn expect(&self, jobs: Vec<Assigned>, body: Vec<u8>, mac: &str) {
        let request = Request {
            protocol: PROTOCOL,
            genesis: GENESIS,
            jobs,
        }
        .encode();
        let message = [format!("request\n{TIME}\n{NONCE}\n").as_bytes(), &request].concat();
        self.offchain.0.write().expect_request(PendingRequest {
            method: "POST".into(),
            uri: format!("{URL}/hook/v1"),
            headers: [
                ("content-type", "application/octet-stream"),
                ("x-openledger-time", TIME),
                ("x-openledger-nonce", NONCE),
                ("x-openledger-mac", &hex(&hmac(SECRET, &[&message]))),
            ]
            .map(|(name, value)| (name.into(), value.into()))
            .to_vec(),
            body: request,
            sent: true,
            response: Some(body),
            response_headers: vec![("X-OpenLedger-Mac".into(), mac.into())],
            ..Default::default()
        });
    }

    /// The same, answered by the worker.
    fn expect_answer(&self, jobs: Vec<Assigned>, finished: Vec<Finished>) {
        let answer = Answer {
            protocol: PROTOCOL,
            finished,
        };
        self.expect_bytes(jobs, answer.encode());
    }

    fn expect_bytes(&self, jobs: Vec<Assigned>, body: Vec<u8>) {
        let mac = answer_mac(SECRET, &body);
        self.expect(jobs, body, &mac);
    }

    fn hook(&self) {
        run::<Test>(System::block_number());
        assert!(
            self.offchain.0.read().requests.is_empty(),
            "every answer is read to its end"
        );
    }

    fn transactions(&self) -> impl Iterator<Item = Extrinsic> {
        let decode = |bytes: Vec<u8>| Extrinsic::decode(&mut bytes.as_slice()).unwrap();
        (self.pool)().into_iter().map(decode)
    }

    /// The results that were submitted.
    fn deliveries(&self) -> Vec<(Delivery, [u8; 64])> {
        self.transactions()
            .filter_map(|transaction| match transaction.function {
                RuntimeCall::Compute(Call::deliver { delivery, signature }) => Some((delivery, signature)),
                RuntimeCall::Compute(Call::heartbeat { .. }) => None,
                other => panic!("not the hook's: {other:?}"),
            })
            .collect()
    }

    /// The heartbeats that were submitted: whose, and made when.
    fn heartbeats(&self) -> Vec<([u8; 32], u32)> {
        let beats = self
            .transactions()
            .filter_map(|transaction| match transaction.function {
                RuntimeCall::Compute(Call::heartbeat { beat, .. }) => Some((beat.worker, beat.number)),
                _ => None,
            });
        let mut beats: Vec<_> = beats.collect();
        beats.sort_unstable();
        beats
    }
}

fn answer_mac(secret: &[u8], body: &[u8]) -> String {
    hex(&hmac(secret, &[format!("answer\n{NONCE}\n").as_bytes(), body]))
}

fn assigned(n: u8, job: u64) -> Assigned {
    Assigned {
        worker: account(n).into(),
        job,
        attempt: 0,
        task: crate::Jobs::<Test>::get(job).unwrap().task,
        since: 1,
        deadline: 21,
    }
}

fn finished(job: u64) -> Finished {
    Finished {
        job,
        attempt: 0,
        outcome: outcome(),
    }
}

fn with_node(test: impl FnOnce(&Node)) {
    let keystore = MemoryKeystore::new();
    for n in [1, 2] {
        // The seed whose key `result_key` is.
        let seed = format!("0x{}", hex(&[n; 32]));
        let key = keystore.sr25519_generate_new(RESULT_KEY, Some(&seed)).unwrap();
        assert_eq!(key, result_key(n).public());
    }
    let (offchain, state) = TestOffchainExt::new();
    let (pool, submitted) = TestTransactionPoolExt::new();
    state.write().seed = [0xab; 32];
    state.write().timestamp = Timestamp::from_unix_millis(1_700_000_000_999);
    let mut ext = new_test_ext();
    ext.register_extension(OffchainWorkerExt::new(offchain.clone()));
    ext.register_extension(OffchainDbExt::new(offchain.clone()));
    ext.register_extension(TransactionPoolExt::new(pool));
    ext.register_extension(KeystoreExt::new(keystore));
    let node = Node {
        offchain,
        pool: &|| submitted.read().transactions.clone(),
    };
    ext.execute_with(|| {
        for n in [1, 2, 3] {
            assert_ok!(register(n, MIN_BOND));
        }
        test(&node);
    });
}

#[test]
fn hmac_should_be_that_of_rfc_4231() {
    let cases: [(&[u8], &[u8], &str); 7] = [
        (
            &[0x0b; 20],
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            &[0xaa; 20],
            &[0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            &[
                1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
            ],
            &[0xcd; 50],
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
        (
            &[0x0c; 20],
            b"Test With Truncation",
            // The RFC shows its first half only.
            "a3b6167473100ee06e0c796c2955552b",
        ),
        (
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            &[0xaa; 131],
            b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be \
              hashed before being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ];
    for (key, data, expected) in cases {
        assert!(hex(&hmac(key, &[data])).starts_with(expected), "{expected}");
        let (one, other) = data.split_at(data.len() / 3);
        assert_eq!(hmac(key, &[one, &[], other]), hmac(key, &[data]));
    }
}

#[test]
fn without_a_worker_nothing_should_be_asked() {
    // A request that nobody expects would end the test.
    with_node(|node| {
        order(train(), Some(1));
        node.hook();
        node.pair();
        // No worker of this chain has a key in the keystore.
        for n in [1, 2] {
            assert_ok!(Compute::set_keys(
                RuntimeOrigin::signed(account(n)),
                [n; 32],
                [n; 32]
            ));
        }
        node.hook();
        assert!(node.deliveries().is_empty());
    });
}

#[test]
fn a_url_without_a_secret_should_not_be_asked() {
    with_node(|node| {
        node.offchain
            .0
            .write()
            .persistent_storage
            .set(b"", URL_KEY, URL.as_bytes());
        node.hook();
    });
}

#[test]
fn jobs_of_the_nodes_own_workers_should_be_sent() {
    with_node(|node| {
        node.pair();
        node.expect_answer(vec![], vec![]);
        node.hook();
        order(train(), Some(1));
        order(train(), None);
        order(train(), Some(3));
        order(index(), Some(2));
        node.expect_answer(vec![assigned(1, 0), assigned(2, 3)], vec![]);
        node.hook();
        assert!(node.deliveries().is_empty());
    });
}

#[test]
fn a_result_should_be_signed_and_submitted_once() {
    with_node(|node| {
        node.pair();
        let (one, other) = (order(train(), Some(1)), order(index(), Some(2)));
        let jobs = || vec![assigned(1, one), assigned(2, other)];
        // The worker sends it twice, and again after every block.
        node.expect_answer(jobs(), vec![finished(one), finished(one), finished(other)]);
        node.hook();
        for block in 2..=6 {
            System::set_block_number(block);
            node.expect_answer(jobs(), vec![finished(one), finished(other)]);
            node.hook();
        }
        let submitted = node.deliveries();
        assert_eq!(submitted.len(), 2);
        for ((delivery, signature), (n, job)) in submitted.into_iter().zip([(1, one), (2, other)]) {
            assert_eq!(delivery, super::super::mock::delivery(n, job, 0));
            assert!(sr25519::Pair::verify(
                &sr25519::Signature::from_raw(signature),
                delivery.signing_message(),
                &result_key(n).public()
            ));
        }
        // Still wanted a while later: it may have been lost.
        System::set_block_number(9);
        node.expect_answer(jobs(), vec![finished(one)]);
        node.hook();
        assert_eq!(node.deliveries().len(), 3);
        // And it is what the chain takes.
        let first = Extrinsic::decode(&mut (node.pool)()[0].as_slice()).unwrap();
        assert_ok!(apply(first).unwrap());
        assert_eq!(Accepted::get(), [(one, account(1))]);
    });
}

#[test]
fn an_answer_without_the_right_mac_should_be_thrown_away() {
    with_node(|node| {
        node.pair();
        let job = order(train(), Some(1));
        let answer = Answer {
            protocol: PROTOCOL,
            finished: vec![finished(job)],
        }
        .encode();
        let right = answer_mac(SECRET, &answer);
        let mut flipped = right.clone();
        flipped.replace_range(..1, if right.starts_with('0') { "1" } else { "0" });
        let wrong = [
            String::new(),
            answer_mac(b"another secret", &answer),
            // What the request would carry: an answer is not a request sent back.
            hex(&hmac(SECRET, &[&answer])),
            right[..62].into(),
            flipped,
        ];
        for mac in &wrong {
            node.expect(vec![assigned(1, job)], answer.clone(), mac);
            node.hook();
        }
        assert!(node.deliveries().is_empty());
        node.expect(
            vec![assigned(1, job)],
            answer.clone(),
            &right.to_ascii_uppercase(),
        );
        node.hook();
        assert_eq!(node.deliveries().len(), 1);
    });
}

#[test]
fn an_answer_in_another_protocol_should_be_thrown_away() {
    with_node(|node| {
        node.pair();
        let job = order(train(), Some(1));
        let mut other = Answer {
            protocol: PROTOCOL + 1,
            finished: vec![finished(job)],
        }
        .encode();
        node.expect_bytes(vec![assigned(1, job)], other.clone());
        node.hook();
        // Longer than it should be, shorter, empty.
        other[..2].copy_from_slice(&PROTOCOL.encode());
        other.push(0);
        for length in [other.len(), other.len() - 2, 1, 0] {
            node.expect_bytes(vec![assigned(1, job)], other[..length].to_vec());
            node.hook();
        }
        assert!(node.deliveries().is_empty());
    });
}

#[test]
fn an_endless_answer_should_be_thrown_away() {
    with_node(|node| {
        node.pair();
        node.expect_bytes(vec![], vec![0; 1024 * 1024 + 1]);
        run::<Test>(1);
        assert!(node.deliveries().is_empty());
    });
}

#[test]
fn results_nobody_asked_for_should_not_be_submitted() {
    with_node(|node| {
        node.pair();
        let (own, foreign) = (order(train(), Some(1)), order(train(), Some(3)));
        let later = Finished {
            attempt: 1,
            ..finished(own)
        };
        node.expect_answer(
            vec![assigned(1, own)],
            vec![later, finished(foreign), finished(77), finished(own)],
        );
        node.hook();
        let submitted = node.deliveries();
        assert_eq!(submitted.len(), 1);
        assert_eq!(submitted[0].0.job, own);
    });
}

#[test]
fn a_result_the_chain_refused_should_wait() {
    with_node(|node| {
        node.pair();
        let job = order(train(), Some(1));
        Refuses::set(true);
        assert_ok!(apply(signed(1, delivery(1, job, 0))).unwrap());
        node.expect_answer(vec![assigned(1, job)], vec![finished(job)]);
        node.hook();
        assert!(node.deliveries().is_empty());
        System::set_block_number(1 + crate::PAUSE);
        node.expect_answer(vec![assigned(1, job)], vec![finished(job)]);
        node.hook();
        assert_eq!(node.deliveries().len(), 1);
    });
}

#[test]
fn hooks_should_not_pile_up() {
    with_node(|node| {
        node.pair();
        // Another one is at it since a moment ago.
        let until = Timestamp::from_unix_millis(1_700_000_010_000);
        node.offchain
            .0
            .write()
            .persistent_storage
            .set(b"", b"openledger::worker::lock", &until.encode());
        node.hook();
        // It never came back.
        node.offchain.0.write().timestamp = Timestamp::from_unix_millis(1_700_000_010_001);
        assert_eq!(
            node.offchain.0.read().timestamp.unix_millis() / 1_000,
            1_700_000_010
        );
        node.offchain.0.write().persistent_storage.set(
            b"",
            b"openledger::worker::lock",
            &Timestamp::from_unix_millis(1_699_999_999_000).encode(),
        );
        node.offchain.0.write().timestamp = Timestamp::from_unix_millis(1_700_000_000_000);
        node.expect_answer(vec![], vec![]);
        node.hook();
        // And leaves no lock behind.
        assert_eq!(
            node.offchain
                .0
                .read()
                .persistent_storage
                .get(b"openledger::worker::lock"),
            None
        );
    });
}

#[test]
fn a_hook_should_follow_the_block() {
    use frame_support::traits::Hooks;
    with_node(|node| {
        node.pair();
        node.expect_answer(vec![], vec![]);
        Compute::offchain_worker(1);
    });
}

#[test]
fn heartbeats_should_be_sent_when_they_are_due_and_the_program_answers() {
    with_node(|node| {
        node.pair();
        System::set_block_number(BEAT);
        node.expect_answer(vec![], vec![]);
        node.hook();
        assert!(node.heartbeats().is_empty(), "not due yet");
        System::set_block_number(1 + BEAT);
        node.expect_bytes(vec![], b"nonsense".to_vec());
        node.hook();
        assert!(node.heartbeats().is_empty(), "the program is out of order");
        node.expect_answer(vec![], vec![]);
        node.hook();
        let (one, two) = ((account(1).into(), 1 + BEAT), (account(2).into(), 1 + BEAT));
        assert_eq!(node.heartbeats(), [one, two], "worker 3 is somebody else's");
        // They are what the chain takes, and then none is due for a while.
        for transaction in node.transactions().collect::<Vec<_>>() {
            assert_ok!(apply(transaction).unwrap());
        }
        assert_eq!(
            (worker(1).seen, worker(2).seen, worker(3).seen),
            (1 + BEAT, 1 + BEAT, 1)
        );
        System::set_block_number(2 + BEAT);
        node.expect_answer(vec![], vec![]);
        node.hook();
        assert_eq!(node.heartbeats().len(), 2);
    });
}

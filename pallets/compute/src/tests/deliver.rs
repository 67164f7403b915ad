//! Results.

use crate::{mock::*, Call, Error, Event, JobTerms, Jobs, MAX_DELIVERY, PAUSE};
use codec::Encode;
use frame_support::{assert_noop, assert_ok};
use openledger_attribution::{
    index::{IndexHeader, IndexRules},
    sketch::{Kind, Layout, Module},
    tree::Root,
    verbatim::Verbatim,
};
use openledger_protocol::compute::{Delivery, Outcome};
use sp_core::Pair;
use sp_runtime::{
    transaction_validity::{InvalidTransaction, TransactionValidityError},
    DispatchError,
};

fn invalid<T>(reason: InvalidTransaction) -> Result<T, TransactionValidityError> {
    Err(reason.into())
}

fn with_job(test: impl FnOnce(u64)) {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, MIN_BOND));
        assert_ok!(register(2, MIN_BOND));
        test(order(train(), Some(1)));
        Compute::do_try_state().unwrap();
    });
}

#[test]
fn a_good_result_should_be_taken_once() {
    with_job(|job| {
        let transaction = signed(1, delivery(1, job, 0));
        let valid = validate(&transaction).unwrap();
        let tag = ("OpenLedgerResult", (job, 0u32)).encode();
        assert_eq!(valid.provides, [tag]);
        assert!(valid.propagate);
        // As long as a result of it is good.
        assert_eq!(valid.longevity, 20);
        events();
        assert_ok!(apply(transaction.clone()).unwrap());
        assert_eq!(
            events(),
            [Event::Delivered {
                job,
                attempt: 0,
                worker: account(1)
            }]
        );
        assert_eq!(Accepted::get(), [(job, account(1))]);
        assert!(!Jobs::<Test>::contains_key(job) && !JobTerms::<Test>::contains_key(job));
        assert_eq!((worker(1).open, worker(1).bond), (0, MIN_BOND));
        // Sent again, it does not reach a block.
        assert_eq!(validate(&transaction), invalid(InvalidTransaction::Stale));
        assert_eq!(apply(transaction), invalid(InvalidTransaction::Stale));
        assert_eq!(Accepted::get().len(), 1);
    });
}

#[test]
fn a_result_for_another_job_attempt_or_worker_should_be_refused() {
    with_job(|job| {
        for wrong in [
            signed(1, delivery(1, job + 1, 0)),
            signed(1, delivery(1, job, 1)),
            signed(2, delivery(2, job, 0)),
        ] {
            assert_eq!(validate(&wrong), invalid(InvalidTransaction::Stale));
        }
        // And in the dispatch again, whoever let it in.
        let deliver = |n, job, attempt| {
            Compute::deliver(
                frame_system::Origin::<Test>::Authorized.into(),
                delivery(n, job, attempt),
                [0; 64],
            )
        };
        assert_noop!(deliver(1, job + 1, 0), Error::<Test>::NoSuchJob);
        assert_noop!(deliver(1, job, 1), Error::<Test>::NotAssigned);
        assert_noop!(deliver(2, job, 0), Error::<Test>::NotAssigned);
    });
}

#[test]
fn a_result_of_a_job_that_waits_should_be_refused() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, MIN_BOND));
        let job = order(train(), None);
        assert_eq!(
            validate(&signed(1, delivery(1, job, 0))),
            invalid(InvalidTransaction::Stale)
        );
    });
}

#[test]
fn a_result_should_be_signed_by_the_result_key_for_this_chain() {
    with_job(|job| {
        let bad = || invalid(InvalidTransaction::BadProof);
        // Worker 2's key.
        assert_eq!(validate(&signed(2, delivery(1, job, 0))), bad());
        let other_chain = Delivery {
            genesis: [8; 32],
            ..delivery(1, job, 0)
        };
        assert_eq!(validate(&signed(1, other_chain)), bad());
        // A signature over something else.
        let signature = result_key(1).sign(&delivery(1, job, 0).signing_message()).0;
        let mut changed = delivery(1, job, 0);
        changed.outcome = Outcome::Trained {
            adapter: [2; 32],
            cid: Default::default(),
            loss_before: 2,
            loss_after: 1,
        };
        let transaction = Extrinsic::new_transaction(
            Call::deliver {
                delivery: changed,
                signature,
            }
            .into(),
            (frame_system::AuthorizeCall::new(),),
        );
        assert_eq!(validate(&transaction), bad());
        // After a rotation only the new key counts.
        assert_ok!(Compute::set_keys(
            RuntimeOrigin::signed(account(1)),
            result_key(7).public().0,
            [1; 32]
        ));
        assert_eq!(validate(&signed(1, delivery(1, job, 0))), bad());
        assert!(validate(&signed(7, delivery(1, job, 0))).is_ok());
    });
}

#[test]
fn nobody_should_deliver_by_an_ordinary_transaction() {
    with_job(|job| {
        for origin in [
            RuntimeOrigin::signed(account(1)),
            RuntimeOrigin::root(),
            RuntimeOrigin::none(),
        ] {
            assert_noop!(
                Compute::deliver(origin, delivery(1, job, 0), [0; 64]),
                DispatchError::BadOrigin
            );
        }
    });
}

#[test]
fn a_result_should_be_good_up_to_the_deadline() {
    with_job(|job| {
        run_to(21);
        assert!(validate(&signed(1, delivery(1, job, 0))).is_ok());
        // In the block behind it, even if that had too much to do to end the job.
        System::set_block_number(22);
        assert_eq!(
            validate(&signed(1, delivery(1, job, 0))),
            invalid(InvalidTransaction::Stale)
        );
        assert!(Jobs::<Test>::contains_key(job));
    });
}

#[test]
fn a_result_that_is_refused_should_leave_the_job_open() {
    with_job(|job| {
        let before = Jobs::<Test>::get(job);
        Refuses::set(true);
        events();
        assert_ok!(apply(signed(1, delivery(1, job, 0))).unwrap());
        assert_eq!(
            events(),
            [Event::Refused {
                job,
                attempt: 0,
                error: DispatchError::Other("")
            }]
        );
        assert_eq!(Jobs::<Test>::get(job), before);
        assert_eq!(worker(1).open, LATE_SLASH);
        // Nothing is left of what was done before it was refused.
        assert!(frame_support::storage::unhashed::get::<u64>(b"trace").is_none());
        Refuses::set(false);
        // Free transactions must not fill blocks: the next one has to wait.
        let again = signed(1, delivery(1, job, 0));
        assert_eq!(validate(&again), invalid(InvalidTransaction::Future));
        run_to(PAUSE);
        assert_eq!(validate(&again), invalid(InvalidTransaction::Future));
        step();
        assert_ok!(apply(again).unwrap());
        assert_eq!(Accepted::get(), [(job, account(1))]);
    });
}

#[test]
fn a_result_that_is_too_long_should_not_be_looked_at() {
    with_job(|job| {
        let root = Root {
            count: 0,
            sum: 0,
            top: [0; 32],
        };
        let module = Module {
            kind: Kind::Linear,
            rows: 1,
            columns: 1,
        };
        let long = |modules| Delivery {
            outcome: Outcome::Indexed {
                header: Box::new(IndexHeader {
                    builder: [0; 32],
                    model: 0,
                    generation: 0,
                    base: [0; 32],
                    adapter: [0; 32],
                    tokenizer: [0; 32],
                    seed: [0; 32],
                    layout: [0; 32],
                    rules: IndexRules {
                        projection: 1,
                        top: 1,
                        rho: 1,
                        z: 1,
                        floor: 0,
                    },
                    bases: root,
                    sources: root,
                    corpus: root,
                    rows: root,
                    verbatim: Verbatim::NONE,
                    retrieval: [0; 32],
                }),
                layout: Layout {
                    names: [0; 32],
                    modules: vec![module; modules],
                },
            },
            ..delivery(1, job, 0)
        };
        let size = module.encode().len();
        assert!(validate(&signed(1, long(500))).is_ok());
        assert_eq!(
            validate(&signed(1, long(MAX_DELIVERY / size))),
            invalid(InvalidTransaction::ExhaustsResources)
        );
    });
}

#[test]
fn calls_should_be_encoded_as_the_protocol_says() {
    // Behind the pallet's own index, which the runtime's tests check.
    use openledger_protocol::calls::compute;
    let same = |call: Call<Test>, bytes: Vec<u8>| assert_eq!(call.encode(), bytes[1..]);
    let (arch, url) = (name("a"), endpoint("http://a"));
    same(
        Call::register {
            bond: 1,
            result_key: [2; 32],
            receipt_key: [3; 32],
            backend: openledger_protocol::compute::Backend::Cpu,
            arch: arch.clone(),
            endpoint: url.clone(),
            capabilities: 4,
        },
        compute::register(
            1,
            &[2; 32],
            &[3; 32],
            &openledger_protocol::compute::Backend::Cpu,
            &arch,
            &url,
            4,
        ),
    );
    same(Call::bond_more { amount: 5 }, compute::bond_more(5));
    same(Call::unbond { amount: 6 }, compute::unbond(6));
    same(Call::withdraw {}, compute::withdraw());
    same(
        Call::set_keys {
            result_key: [7; 32],
            receipt_key: [8; 32],
        },
        compute::set_keys(&[7; 32], &[8; 32]),
    );
    same(
        Call::deliver {
            delivery: delivery(1, 2, 3),
            signature: [9; 64],
        },
        compute::deliver(&delivery(1, 2, 3), &[9; 64]),
    );
    same(
        Call::set_endpoint {
            endpoint: url.clone(),
        },
        compute::set_endpoint(&url),
    );
}

#[test]
fn values_should_be_where_the_protocol_says() {
    use openledger_protocol::storage;
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, MIN_BOND));
        let job = order(train(), Some(1));
        assert_eq!(
            crate::Workers::<Test>::hashed_key_for(account(1)),
            storage::worker(account(1).into())
        );
        assert_eq!(Jobs::<Test>::hashed_key_for(job), storage::job(job));
    });
}

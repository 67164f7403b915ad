//! What the worker and the command line know of the chain without its metadata: calls as bytes, places of values.

use codec::Encode;
use openledger_attribution::{
    attribution::Attribution,
    batch::{BatchHeader, CreditLeaf, CreditsHeader, PartLeaf},
    committee::{Computed, Subject, Vote},
    fee::{Mix, Parts, Tariff},
    index::IndexRules,
    record::{RecordId, RecordLeaf, VersionLeaf},
    sketch::Layout,
    tree::{Opening, Range, Root},
    verdict::{
        AnswerProof, Audit, AuditShown, BatchEvidence, BatchQuestion, Duplicate, IndexEvidence,
        IndexQuestion, Reveal, RevealedReceipt, VersionEvidence, VersionRecord, Wanted,
    },
    voucher::{Mode, Signature, Terms, Voucher},
    wire::Object,
};
use openledger_protocol::{
    calls,
    compute::{Backend, Delivery, Heartbeat, Outcome},
    datanets::Curation,
    disputes::{Committed, Disputed},
    models::{Recipe, Source},
    staking::Pool,
    storage,
};
use openledger_runtime::{params::DEFAULT_SPLIT, *};

const WHO: [u8; 32] = [7; 32];
const HASH: [u8; 32] = [9; 32];

fn root() -> Root {
    Root {
        count: 3,
        sum: 500,
        top: [1; 32],
    }
}

fn same(ours: Vec<u8>, theirs: impl Into<RuntimeCall>) {
    assert_eq!(hex::encode(ours), hex::encode(theirs.into().encode()));
}

#[test]
fn calls_should_be_what_the_runtime_decodes() {
    let name = || b"name".to_vec().try_into().unwrap();
    let cid = || b"cid".to_vec().try_into().unwrap();
    same(calls::rewards::claim(), pallet_openledger_rewards::Call::claim {});
    same(
        calls::rewards::claim_for(&WHO),
        pallet_openledger_rewards::Call::claim_for { who: WHO.into() },
    );

    same(
        calls::balances::transfer_keep_alive(&WHO, 77),
        pallet_balances::Call::transfer_keep_alive {
            dest: AccountId::from(WHO).into(),
            value: 77,
        },
    );

    use pallet_openledger_datanets::Call as D;
    let curators = |who: &[[u8; 32]]| Curation::Curators(who.to_vec().try_into().unwrap());
    same(
        calls::datanets::create(&name(), &name(), &curators(&[WHO])),
        D::create {
            name: name(),
            licence: name(),
            curation: Curation::Curators(vec![WHO.into()].try_into().unwrap()),
        },
    );
    same(calls::datanets::reserve(&HASH), D::reserve { commitment: HASH });
    same(
        calls::datanets::contribute(4, &HASH, &root(), &cid()),
        D::contribute {
            datanet: 4,
            salt: HASH,
            records: root(),
            cid: cid(),
        },
    );
    same(
        calls::datanets::accept(4, 9_000),
        D::accept {
            contribution: 4,
            weight: 9_000,
        },
    );
    same(calls::datanets::reject(4), D::reject { contribution: 4 });
    same(calls::datanets::mature(4), D::mature { contribution: 4 });
    same(
        calls::datanets::publish(4, Some(1), &root(), &cid()),
        D::publish {
            datanet: 4,
            parent: Some(1),
            records: root(),
            cid: cid(),
        },
    );
    same(calls::datanets::release(&HASH), D::release { commitment: HASH });
    let about = Disputed::Version {
        datanet: 4,
        version: 1,
    };
    same(
        calls::datanets::challenge(&about, &HASH),
        D::challenge {
            about,
            commitment: HASH,
        },
    );
    let empty = || Opening {
        index: 0,
        leaf: RecordLeaf {
            content: HASH,
            bytes: 1,
        },
        path: vec![],
    };
    let version_leaf = || Opening {
        index: 0,
        leaf: VersionLeaf {
            record: RecordId {
                contribution: 4,
                index: 0,
            },
            contributor: WHO,
            content: HASH,
            representative: RecordId {
                contribution: 4,
                index: 0,
            },
        },
        path: vec![],
    };
    let evidence = || {
        Box::new(VersionEvidence::Record(VersionRecord {
            leaf: version_leaf(),
            record: None,
        }))
    };
    same(
        calls::datanets::prove_version(4, 1, &HASH, evidence()),
        D::prove_version {
            datanet: 4,
            version: 1,
            salt: HASH,
            evidence: evidence(),
        },
    );
    let duplicate = || {
        Box::new(Duplicate {
            first: 1,
            original: empty(),
            second: 2,
            copy: empty(),
        })
    };
    same(
        calls::datanets::prove_duplicate(&HASH, duplicate()),
        D::prove_duplicate {
            salt: HASH,
            evidence: duplicate(),
        },
    );
    same(
        calls::datanets::lapse(&about, &WHO),
        D::lapse {
            about,
            challenger: WHO.into(),
        },
    );
    same(
        calls::datanets::free_version(4, 1),
        D::free_version {
            datanet: 4,
            version: 1,
        },
    );

    use pallet_openledger_models::Call as M;
    let mix = Mix {
        influence: 1_000_000_000,
        verbatim: 0,
        retrieval: 0,
    };
    same(
        calls::models::register_base(&name(), &name(), &HASH, &WHO),
        M::register_base {
            name: name(),
            licence: name(),
            weights: HASH,
            tokenizer: WHO,
        },
    );
    same(
        calls::models::create(&name(), 2, 5, 6, &mix),
        M::create {
            name: name(),
            base: 2,
            price_in: 5,
            price_out: 6,
            mix,
        },
    );
    let source = Source {
        datanet: 1,
        version: 2,
        weight: 3,
    };
    let recipe = Recipe {
        rank: 1,
        alpha: 2,
        targets: 3,
        learning_rate: 4,
        epochs: 5,
        batch: 6,
        context: 7,
        held_out: 8,
    };
    let rules = IndexRules {
        projection: 1,
        top: 2,
        rho: 3,
        z: 4,
        floor: -5,
    };
    same(
        calls::models::request_training(2, &[source], &recipe, &rules, 77, 88, Some((3, 4))),
        M::request_training {
            model: 2,
            sources: vec![source].try_into().unwrap(),
            recipe,
            rules,
            price: 77,
            deadline: 88,
            parent: Some((3, 4)),
        },
    );
    same(
        calls::models::set_prices(2, 3, 4),
        M::set_prices {
            model: 2,
            price_in: 3,
            price_out: 4,
        },
    );
    same(
        calls::models::set_serving(2, true),
        M::set_serving {
            model: 2,
            serving: true,
        },
    );

    use pallet_openledger_compute::Call as W;
    same(
        calls::compute::register(5, &WHO, &HASH, &Backend::Cpu, &name(), &name_long(), 15),
        W::register {
            bond: 5,
            result_key: WHO,
            receipt_key: HASH,
            backend: Backend::Cpu,
            arch: name(),
            endpoint: name_long(),
            capabilities: 15,
        },
    );
    same(calls::compute::bond_more(5), W::bond_more { amount: 5 });
    same(calls::compute::unbond(5), W::unbond { amount: 5 });
    same(calls::compute::withdraw(), W::withdraw {});
    same(
        calls::compute::set_keys(&WHO, &HASH),
        W::set_keys {
            result_key: WHO,
            receipt_key: HASH,
        },
    );
    let delivery = Delivery {
        genesis: HASH,
        job: 3,
        attempt: 1,
        worker: WHO,
        outcome: Outcome::Trained {
            adapter: HASH,
            cid: cid(),
            loss_before: 1,
            loss_after: 2,
        },
    };
    same(
        calls::compute::deliver(&delivery, &[6; 64]),
        W::deliver {
            delivery: delivery.clone(),
            signature: [6; 64],
        },
    );
    same(
        calls::compute::set_endpoint(&name_long()),
        W::set_endpoint {
            endpoint: name_long(),
        },
    );

    let beat = Heartbeat {
        genesis: HASH,
        worker: WHO,
        number: 5,
    };
    same(
        calls::compute::heartbeat(&beat, &[6; 64]),
        W::heartbeat {
            beat,
            signature: [6; 64],
        },
    );

    use pallet_openledger_channels::Call as C;
    same(
        calls::channels::open(&WHO, 5),
        C::open {
            worker: WHO.into(),
            deposit: 5,
        },
    );
    same(
        calls::channels::top_up(1, 5),
        C::top_up {
            channel: 1,
            amount: 5,
        },
    );
    same(calls::channels::close(1), C::close { channel: 1 });
    same(calls::channels::finish(1), C::finish { channel: 1 });

    use pallet_openledger_attribution::Call as A;
    let header = BatchHeader {
        worker: WHO,
        model: 1,
        generation: 1,
        index: HASH,
        tariff: Tariff {
            price_in: 1,
            price_out: 2,
            split: DEFAULT_SPLIT,
            mix,
        },
        draws: 0,
        minimum: 5,
        channels: root(),
        receipts: root(),
        totals: Parts::default(),
    };
    let credits = CreditsHeader {
        batch: header.hash(),
        answers: root(),
        parts: root(),
        credits: root(),
    };
    same(
        calls::attribution::submit_batch(Box::new(header), Box::new(credits), &[]),
        A::submit_batch {
            header: Box::new(header),
            credits: Box::new(credits),
            claims: Default::default(),
        },
    );
    same(calls::attribution::settle(3), A::settle { batch: 3 });
    let range = Range {
        start: 0,
        leaves: vec![],
        path: vec![],
    };
    same(
        calls::attribution::credit(3, &range),
        A::credit {
            batch: 3,
            credits: range.clone(),
        },
    );
    same(
        calls::attribution::challenge(3, &HASH),
        A::challenge {
            batch: 3,
            commitment: HASH,
        },
    );
    same(
        calls::attribution::prove(3, &HASH, Box::new(BatchEvidence::Headers([]))),
        A::prove {
            batch: 3,
            salt: HASH,
            evidence: Box::new(BatchEvidence::Headers([])),
        },
    );
    same(
        calls::attribution::lapse(3, &WHO),
        A::lapse {
            batch: 3,
            challenger: WHO.into(),
        },
    );
    same(calls::attribution::forget(3), A::forget { batch: 3 });
    same(
        calls::attribution::challenge_index(&HASH, &WHO),
        A::challenge_index {
            index: HASH,
            commitment: WHO,
        },
    );
    let layout = || {
        Box::new(IndexEvidence::Header(Layout {
            names: HASH,
            modules: vec![],
        }))
    };
    same(
        calls::attribution::prove_index(&HASH, &WHO, layout()),
        A::prove_index {
            index: HASH,
            salt: WHO,
            evidence: layout(),
        },
    );
    same(
        calls::attribution::lapse_index(&HASH, &WHO),
        A::lapse_index {
            index: HASH,
            challenger: WHO.into(),
        },
    );
    same(
        calls::attribution::review_index(&HASH),
        A::review_index { index: HASH },
    );
    for source in [Committed::Batch(3), Committed::Index(HASH)] {
        let wanted = Wanted::Suffixes((1, 2, 3));
        let shown = || {
            Box::new(Reveal::Credit(Opening {
                index: 0,
                leaf: CreditLeaf {
                    contributor: WHO,
                    first: 0,
                    end: 1,
                    amount: 5,
                },
                path: vec![],
            }))
        };
        same(
            calls::attribution::request_reveal(&source, &wanted),
            A::request_reveal { source, wanted },
        );
        same(
            calls::attribution::reveal(&source, &wanted, shown()),
            A::reveal {
                source,
                wanted,
                shown: shown(),
            },
        );
        same(
            calls::attribution::end_request(&source, &wanted),
            A::end_request { source, wanted },
        );
    }
    same(calls::attribution::draw(3), A::draw { batch: 3 });
    same(
        calls::attribution::answer_draws(3, Box::new(credits)),
        A::answer_draws {
            batch: 3,
            credits: Box::new(credits),
        },
    );
    same(
        calls::attribution::forfeit_draws(3),
        A::forfeit_draws { batch: 3 },
    );

    let leaf = || Opening {
        index: 0,
        leaf: openledger_attribution::batch::ReceiptLeaf {
            channel: 1,
            cumulative: 2,
            fee: 3,
            receipt: HASH,
            running: Parts::default(),
        },
        path: vec![],
    };
    let receipt = openledger_attribution::receipt::Receipt {
        worker: WHO,
        voucher: Voucher {
            genesis: HASH,
            channel: 1,
            accepted: 2,
            previous: HASH,
            most: 3,
            expiry: 4,
            terms: HASH,
        },
        signature: Signature::Sr25519([1; 64]),
        terms: Terms {
            model: 1,
            generation: 2,
            index: HASH,
            tariff: header.tariff,
            mode: Mode::Fast,
            prompt: HASH,
            parameters: HASH,
            seed: 3,
        },
        input_tokens: 1,
        output_tokens: 2,
        fee: 3,
        output: HASH,
        attribution: HASH,
    };
    let question = || {
        Box::new(BatchQuestion::Output(RevealedReceipt {
            leaf: leaf(),
            receipt,
        }))
    };
    same(
        calls::attribution::ask(3, &HASH, question()),
        A::ask {
            batch: 3,
            salt: HASH,
            question: question(),
        },
    );
    same(
        calls::attribution::ask_index(&HASH, &HASH, Box::new(IndexQuestion::Training([]))),
        A::ask_index {
            index: HASH,
            salt: HASH,
            question: Box::new(IndexQuestion::Training([])),
        },
    );
    same(calls::attribution::draw_audit(3), A::draw_audit { batch: 3 });
    let audit = || {
        Box::new(Audit {
            part: Opening {
                index: 0,
                leaf: PartLeaf {
                    contributor: WHO,
                    source: 1,
                    amount: 2,
                },
                path: vec![],
            },
            answer: AnswerProof {
                leaf: leaf(),
                receipt,
                attribution: Attribution {
                    query: HASH,
                    list: vec![],
                    spans: vec![],
                    retrieved: vec![],
                },
                draw: None,
            },
            shown: AuditShown::Nothing([]),
        })
    };
    same(
        calls::attribution::show_audit(3, audit()),
        A::show_audit {
            batch: 3,
            audit: audit(),
        },
    );
    same(calls::attribution::end_audit(3), A::end_audit { batch: 3 });

    use pallet_openledger_committees::Call as K;
    same(calls::committees::join(&HASH), K::join { key: HASH });
    same(calls::committees::leave(), K::leave {});
    same(calls::committees::strike(&WHO), K::strike { member: WHO.into() });
    same(calls::committees::seat(5), K::seat { case: 5 });
    same(
        calls::committees::commit(5, &HASH),
        K::commit {
            case: 5,
            commitment: HASH,
        },
    );
    let computed = || Box::new(Computed::Lanes(vec![1, -2]));
    same(
        calls::committees::reveal(5, Vote::Wrong, computed(), &HASH),
        K::reveal {
            case: 5,
            vote: Vote::Wrong,
            computed: computed(),
            salt: HASH,
        },
    );
    same(calls::committees::close(5), K::close { case: 5 });
    same(
        calls::committees::decide(5, Vote::Right),
        K::decide {
            case: 5,
            vote: Vote::Right,
        },
    );

    use pallet_openledger_inference::Call as I;
    let machine = Some(openledger_protocol::compute::Machine {
        backend: Backend::Cuda,
        arch: name(),
    });
    let prompt = || b"how so?".to_vec().try_into().unwrap();
    same(
        calls::inference::request_inference(2, 3, &prompt(), 4, &machine, 5, 6),
        I::request_inference {
            model: 2,
            generation: 3,
            prompt: prompt(),
            max_tokens: 4,
            machine,
            most: 5,
            deadline: 6,
        },
    );
    same(calls::inference::forget(7), I::forget { request: 7 });

    use pallet_openledger_open_staking::Call as S;
    same(
        calls::open_staking::stake(&Pool::Worker(WHO), 5, 6),
        S::stake {
            pool: Pool::Worker(WHO.into()),
            amount: 5,
            min_shares: 6,
        },
    );
    same(
        calls::open_staking::unstake(&Pool::Model(1), 5),
        S::unstake {
            pool: Pool::Model(1),
            shares: 5,
        },
    );
    same(
        calls::open_staking::withdraw(&Pool::Datanet(1)),
        S::withdraw {
            pool: Pool::Datanet(1),
        },
    );
    same(
        calls::open_staking::withdraw_for(&Pool::Agent(1), &WHO),
        S::withdraw_for {
            pool: Pool::Agent(1),
            who: WHO.into(),
        },
    );
}

fn name_long() -> openledger_protocol::Endpoint {
    b"http://127.0.0.1:8700".to_vec().try_into().unwrap()
}

#[test]
fn values_should_be_where_clients_look_for_them() {
    use frame_support::storage::generator::{StorageDoubleMap as _, StorageMap as _, StorageValue as _};
    let at = |ours: Vec<u8>, theirs: &[u8]| assert_eq!(hex::encode(ours), hex::encode(theirs));
    type D<T> = pallet_openledger_datanets::Datanets<T>;
    at(
        storage::next_datanet(),
        &pallet_openledger_datanets::NextDatanet::<Runtime>::storage_value_final_key(),
    );
    at(storage::datanet(5), &D::<Runtime>::storage_map_final_key(5));
    at(
        storage::reservation(HASH),
        &pallet_openledger_datanets::Reservations::<Runtime>::storage_map_final_key(HASH),
    );
    at(
        storage::contribution(5),
        &pallet_openledger_datanets::Contributions::<Runtime>::storage_map_final_key(5),
    );
    at(
        storage::version(5, 6),
        &pallet_openledger_datanets::Versions::<Runtime>::storage_double_map_final_key(5, 6),
    );
    at(
        storage::base(5),
        &pallet_openledger_models::Bases::<Runtime>::storage_map_final_key(5),
    );
    at(
        storage::model(5),
        &pallet_openledger_models::Models::<Runtime>::storage_map_final_key(5),
    );
    at(
        storage::generation(5, 6),
        &pallet_openledger_models::Generations::<Runtime>::storage_double_map_final_key(5, 6),
    );
    at(
        storage::line(5, 6),
        &pallet_openledger_models::Lines::<Runtime>::storage_double_map_final_key(5, 6),
    );
    at(
        storage::next_inference(),
        &pallet_openledger_inference::NextRequest::<Runtime>::storage_value_final_key(),
    );
    at(
        storage::inference(5),
        &pallet_openledger_inference::Requests::<Runtime>::storage_map_final_key(5),
    );
    at(
        storage::worker(WHO),
        &pallet_openledger_compute::Workers::<Runtime>::hashed_key_for(AccountId::from(WHO)),
    );
    at(
        storage::job(5),
        &pallet_openledger_compute::Jobs::<Runtime>::storage_map_final_key(5),
    );
    at(
        storage::channel(5),
        &pallet_openledger_channels::Channels::<Runtime>::storage_map_final_key(5),
    );
    at(
        storage::index(HASH),
        &pallet_openledger_attribution::Indexes::<Runtime>::storage_map_final_key(HASH),
    );
    at(
        storage::batch(5),
        &pallet_openledger_attribution::Batches::<Runtime>::storage_map_final_key(5),
    );
    at(
        storage::challenge(5, WHO),
        &pallet_openledger_attribution::Challenges::<Runtime>::storage_double_map_final_key(
            5,
            AccountId::from(WHO),
        ),
    );
    at(
        storage::index_bond(HASH),
        &pallet_openledger_attribution::IndexBonds::<Runtime>::storage_map_final_key(HASH),
    );
    at(
        storage::index_challenge(HASH, WHO),
        &pallet_openledger_attribution::IndexChallenges::<Runtime>::storage_double_map_final_key(
            HASH,
            AccountId::from(WHO),
        ),
    );
    let (source, wanted) = (Committed::Batch(3), Wanted::Receipt(4));
    at(
        storage::request(source, wanted),
        &pallet_openledger_attribution::Requests::<Runtime>::storage_double_map_final_key(source, wanted),
    );
    at(
        storage::sample(5),
        &pallet_openledger_attribution::Samples::<Runtime>::storage_map_final_key(5),
    );
    at(
        storage::version_bond(5, 6),
        &pallet_openledger_datanets::VersionBonds::<Runtime>::storage_double_map_final_key(5, 6),
    );
    at(
        storage::duplicate(5),
        &pallet_openledger_datanets::Duplicates::<Runtime>::storage_map_final_key(5),
    );
    let about = Disputed::Contribution(5);
    at(
        storage::datanet_challenge(about, WHO),
        &pallet_openledger_datanets::Challenges::<Runtime>::storage_double_map_final_key(
            about,
            AccountId::from(WHO),
        ),
    );
    at(
        storage::pool(Pool::Worker(WHO)),
        &pallet_openledger_open_staking::Pools::<Runtime>::hashed_key_for(Pool::Worker(AccountId::from(WHO))),
    );
    at(
        storage::staker(Pool::Model(5), WHO),
        &pallet_openledger_open_staking::Stakers::<Runtime>::hashed_key_for(
            Pool::<AccountId>::Model(5),
            AccountId::from(WHO),
        ),
    );
    at(
        storage::frozen(Pool::Datanet(5)),
        &pallet_openledger_open_staking::Frozen::<Runtime>::hashed_key_for(Pool::<AccountId>::Datanet(5)),
    );
    use pallet_openledger_attribution::{Asked, Audits, Questions};
    let subject = Subject::Row { index: HASH, row: 7 };
    at(storage::audit(5), &Audits::<Runtime>::hashed_key_for(5));
    at(storage::question(5), &Questions::<Runtime>::hashed_key_for(5));
    at(
        storage::asked(subject),
        &Asked::<Runtime>::hashed_key_for(subject),
    );
    use pallet_openledger_committees as committees;
    let who = AccountId::from(WHO);
    at(
        storage::member(WHO),
        &committees::Members::<Runtime>::hashed_key_for(&who),
    );
    at(
        storage::seats_of(WHO),
        &committees::SeatsOf::<Runtime>::hashed_key_for(&who),
    );
    at(
        storage::next_case(),
        &committees::NextCase::<Runtime>::hashed_key(),
    );
    at(storage::case(5), &committees::Cases::<Runtime>::hashed_key_for(5));
    at(
        storage::claim(5),
        &committees::Claims::<Runtime>::hashed_key_for(5),
    );
    at(
        storage::answer(5, 2),
        &committees::Answers::<Runtime>::hashed_key_for(5, 2),
    );
    at(
        storage::credits(WHO),
        &pallet_openledger_rewards::Credits::<Runtime>::storage_map_final_key(AccountId::from(WHO)),
    );
}

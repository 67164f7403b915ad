//! Licensed content: sealed under a key that one worker keeps, brought to it alone, fetched and trained on by another.

use crate::world::{bundles, contributor, unhex, Reply, World, TRAIN_JOB};
use openledger_chain::{datanet_item, Key};
use openledger_content::{blocks, Bundle, Cid, ContentKey, Identity, KeyRequest, Label, Purpose, SealedHead};
use openledger_exchange::{Config, PeerKey};
use openledger_protocol::{
    compute::{self, Job, JobStage},
    datanets::{Contribution, Curation, Datanet},
    storage, Account,
};
use openledger_worker::answer::now;
use serde_json::json;
use std::path::{Path, PathBuf};

const DATANET: u64 = 1;

fn dir(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("openledger-worker-test-{}-{name}", std::process::id()))
}

fn datanet(licence: &str, curators: Vec<Account>) -> Datanet<Account> {
    let name = |text: &str| text.as_bytes().to_vec().try_into().unwrap();
    Datanet {
        name: name("notes"),
        licence: name(licence),
        curation: match curators.is_empty() {
            true => Curation::Open,
            false => Curation::Curators(curators.try_into().unwrap()),
        },
        creator: [3; 32],
        deposit: 0,
        versions: 0,
    }
}

/// Asks a keeper, with whatever the caller changes about the request.
fn ask(
    keeper: &World,
    key: &Key,
    identity: &Identity,
    purpose: Purpose,
    change: impl Fn(&mut KeyRequest),
) -> Reply {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).unwrap();
    let mut request = KeyRequest {
        genesis: crate::chain::GENESIS,
        keeper: keeper.worker.account(),
        account: key.account(),
        datanet: DATANET,
        version: 0,
        purpose,
        recipient: identity.recipient().0,
        time: now(),
        nonce,
    };
    change(&mut request);
    let hex = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
    let body = json!({
        "request": hex(&request.encode()),
        "signature": hex(&key.sign(&request.message())),
    });
    let headers = [("content-type", "application/json")];
    keeper.post("/v1/keys", &headers, body.to_string().as_bytes())
}

fn given(reply: Reply, identity: &Identity) -> ContentKey {
    identity.unwrap_key(&unhex(&reply.ok().json()["box"])).unwrap()
}

/// Whether any file below a folder holds these bytes.
fn holds(dir: &Path, words: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => holds(&path, words),
            false => std::fs::read(&path)
                .unwrap()
                .windows(words.len())
                .any(|window| window == words),
        }
    })
}

/// A keeper's world and the key of the first version, which the first contributor's request made.
fn keeper(name: &str) -> (World, ContentKey) {
    let keeper = World::open_as("//Keeper", &dir(name), false);
    keeper
        .chain
        .put(storage::datanet(DATANET), &datanet("LicenseRef-Test", Vec::new()));
    let (alice, identity) = (Key::from_uri("//Alice").unwrap(), Identity::random().unwrap());
    let root = bundles()[0].root_hash().unwrap();
    let own = given(
        ask(&keeper, &alice, &identity, Purpose::Contribute(root), |_| {}),
        &identity,
    );
    let key = ContentKey::load(&keeper.dir.join("data/keys/1-0.key")).unwrap();
    // She gets the key of her contribution, and no other.
    assert_eq!(own, key.for_contribution(&alice.account(), &root));
    assert_ne!(own, key);
    (keeper, key)
}

#[test]
fn sealed_content_is_fetched_and_trained_on_by_a_worker_with_a_job() {
    let (keeper, key) = keeper("keeper");
    let world = World::open(&dir("licensed"), false, 0);
    let own = world.worker.account();
    let label = Label {
        datanet: DATANET,
        version: 0,
        keeper: keeper.worker.account(),
    };
    // Both see the same chain.
    let job: Job<Account> = world.chain.get(storage::job(TRAIN_JOB)).unwrap();
    let stage = JobStage::Assigned {
        worker: own,
        since: 1,
    };
    keeper.chain.put(storage::job(TRAIN_JOB), &Job { stage, ..job });
    let mut registered: compute::Worker = keeper.chain.get(storage::worker(label.keeper)).unwrap();
    registered.endpoint = keeper.url.as_bytes().to_vec().try_into().unwrap();
    world.chain.put(storage::worker(label.keeper), &registered);

    // The sealed contributions and the version's list come to the keeper alone.
    for (id, bundle) in (0u64..).zip(bundles()) {
        let who = contributor(id as u8 + 1);
        let sealed = bundle.seal(&key, &label, &who).unwrap();
        assert!(SealedHead::is_sealed(&sealed));
        let chopped = blocks(&sealed);
        for (cid, block) in &chopped {
            keeper.put(&format!("/v1/content/{cid}"), block).ok();
        }
        let cid = chopped.last().unwrap().0;
        let place = storage::contribution(id);
        let mut contribution: Contribution<Account> = world.chain.get(place.clone()).unwrap();
        contribution.cid = cid.to_bytes().try_into().unwrap();
        world.chain.put(place, &contribution);
    }
    let list = std::fs::read(world.dir.join("block-2")).unwrap();
    keeper.put(&format!("/v1/content/{}", Cid::of(&list)), &list).ok();

    // The other worker knows the keeper's address only.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let exchange = {
        let _entered = runtime.enter();
        let mut config = Config::new(PeerKey::random());
        config.listen_on("127.0.0.1:0".parse().unwrap());
        keeper.worker.exchange_with(config).unwrap()
    };
    let address = loop {
        match runtime.block_on(exchange.addresses()).unwrap().pop() {
            Some(address) => break address,
            None => std::thread::sleep(std::time::Duration::from_millis(10)),
        }
    };
    {
        let _entered = runtime.enter();
        let mut config = Config::new(PeerKey::random());
        config.peers.push(address);
        world.worker.exchange_with(config).unwrap();
    }
    let path = format!("/v1/jobs/{TRAIN_JOB}");
    world.until("the job", |world| {
        let reply = world.get(&path);
        reply.status == 200 && reply.json()["state"] == "done"
    });

    // What came is sealed, here and there; its text is shown to nobody.
    let first = &bundles()[0];
    let words = &first.records[0].text().as_bytes()[..40];
    for dir in [&world.dir, &keeper.dir] {
        assert!(
            !holds(&dir.join("data"), words),
            "{} holds the text",
            dir.display()
        );
    }
    let refused = world.get("/v1/records/0/0");
    assert_eq!(refused.status, 403);
    assert!(refused.error().contains("licensed"), "{}", refused.error());
    // Who got the key is written down.
    let given = std::fs::read_to_string(keeper.dir.join("data/keys/given.jsonl")).unwrap();
    assert!(
        given.contains(&hex::encode(own)) && given.contains("\"job\":20"),
        "{given}"
    );
}

#[test]
fn keys_go_to_those_who_may_have_them() {
    let (keeper, key) = keeper("keys");
    let [owner, curator, eve] = ["//Owner", "//Curator", "//Eve"].map(|uri| Key::from_uri(uri).unwrap());
    let identity = Identity::random().unwrap();
    let read = Purpose::Read { job: None };
    let status = |who: &Key, purpose, change: &dyn Fn(&mut KeyRequest)| {
        let reply = ask(&keeper, who, &identity, purpose, change);
        (reply.status, String::from_utf8_lossy(&reply.bytes).into_owned())
    };
    let none: &dyn Fn(&mut KeyRequest) = &|_| {};
    for who in [&owner, &curator, &eve] {
        let (status, why) = status(who, read, none);
        assert!(status == 403 && why.contains("owner"), "{status} {why}");
    }
    keeper
        .chain
        .put(datanet_item(DATANET).unwrap(), &(owner.account(), 0u8, 0u128));
    keeper.chain.put(
        storage::datanet(DATANET),
        &datanet("LicenseRef-Test", vec![curator.account()]),
    );
    for who in [&owner, &curator] {
        assert_eq!(given(ask(&keeper, who, &identity, read, |_| {}), &identity), key);
    }
    // A job of somebody else's, none, one on an older version.
    let assigned: Job<Account> = keeper.chain.get(storage::job(TRAIN_JOB)).unwrap();
    let by_job = Purpose::Read { job: Some(TRAIN_JOB) };
    assert_eq!(status(&eve, by_job, none).0, 403);
    assert_eq!(status(&eve, Purpose::Read { job: Some(99) }, none).0, 404);
    let stage = JobStage::Assigned {
        worker: eve.account(),
        since: 1,
    };
    keeper
        .chain
        .put(storage::job(TRAIN_JOB), &Job { stage, ..assigned });
    assert_eq!(status(&eve, by_job, none).0, 200);
    assert_eq!(status(&eve, by_job, &|request| request.version = 1).0, 403);
    // A version that nothing was sealed for, and contributing to one that is not the next.
    assert_eq!(status(&owner, read, &|request| request.version = 7).0, 404);
    let contribute = Purpose::Contribute([1; 32]);
    assert_eq!(status(&eve, contribute, none).0, 200);
    assert_eq!(status(&eve, contribute, &|request| request.version = 1).0, 409);

    // Requests that are not what they say.
    let own = eve.account();
    let (code, why) = status(&owner, read, &|request| request.account = own);
    assert!(code == 401 && why.contains("signature"), "{code} {why}");
    assert_eq!(status(&owner, read, &|request| request.keeper = [1; 32]).0, 400);
    assert_eq!(status(&owner, read, &|request| request.genesis = [1; 32]).0, 400);
    assert_eq!(status(&owner, read, &|request| request.time -= 1_000).0, 400);
    assert_eq!(status(&owner, read, &|request| request.nonce = [7; 16]).0, 200);
    let (code, why) = status(&owner, read, &|request| request.nonce = [7; 16]);
    assert!(code == 400 && why.contains("nonce"), "{code} {why}");

    // An open Datanet has no key, and a worker without a bond gives none.
    keeper
        .chain
        .put(storage::datanet(DATANET), &datanet("CC0-1.0", Vec::new()));
    let (code, why) = status(&owner, read, none);
    assert!(code == 400 && why.contains("CC0-1.0"), "{code} {why}");
    keeper
        .chain
        .put(storage::datanet(DATANET), &datanet("LicenseRef-Test", Vec::new()));
    let place = storage::worker(keeper.worker.account());
    let registered: compute::Worker = keeper.chain.get(place.clone()).unwrap();
    keeper.chain.put(
        place,
        &compute::Worker {
            bond: 0,
            ..registered
        },
    );
    assert_eq!(status(&owner, read, none).0, 503);
}

#[test]
fn content_sealed_for_another_datanet_is_trained_on_by_nobody() {
    let (keeper, key) = keeper("misplaced");
    let label = Label {
        datanet: DATANET + 1,
        version: 0,
        keeper: keeper.worker.account(),
    };
    let sealed = bundles()[0].seal(&key, &label, &contributor(1)).unwrap();
    let cid = Cid::of(&sealed);
    keeper.bring_blocks();
    keeper.put(&format!("/v1/content/{cid}"), &sealed).ok();
    let place = storage::contribution(0);
    let mut contribution: Contribution<Account> = keeper.chain.get(place.clone()).unwrap();
    contribution.cid = cid.to_bytes().try_into().unwrap();
    keeper.chain.put(place, &contribution);
    let path = format!("/v1/jobs/{TRAIN_JOB}");
    keeper.until("the job to fail", |world| {
        let reply = world.get(&path);
        reply.status == 200 && reply.json()["state"] == "failed"
    });
    let why = keeper.get(&path).json()["message"].as_str().unwrap().to_owned();
    assert!(why.contains("sealed for Datanet 2"), "{why}");
    // A bundle that is not sealed at all is no sealed one.
    assert!(!SealedHead::is_sealed(
        &Bundle::new(bundles().remove(0).records).unwrap().encode()
    ));
}

//! The doors that need no answer: content, the node's hook, jobs that wait, the page, what is not there.

use crate::world::{World, GENERATION, MODEL, TRAIN_JOB};
use openledger_content::{Cid, Store};
use openledger_protocol::storage;

#[test]
fn content_is_what_its_cid_says() {
    let world = World::new();
    let cid = Cid::of(b"hello");
    let path = format!("/v1/content/{cid}");
    assert_eq!(world.get(&path).status, 404);
    let wrong = world.put(&path, b"hullo");
    assert_eq!(wrong.status, 400);
    assert!(wrong.error().contains("not the block"), "{}", wrong.error());
    assert_eq!(world.put(&path, b"hello").status, 201);
    assert_eq!(world.put(&path, b"hello").status, 200);
    assert_eq!(world.get(&path).ok().bytes, b"hello");
    assert_eq!(world.put("/v1/content/nonsense", b"").status, 400);
    let large = vec![0; openledger_content::MAX_BLOCK + 1];
    assert_eq!(
        world
            .put(&format!("/v1/content/{}", Cid::of(&large)), &large)
            .status,
        413
    );
}

#[test]
fn what_is_on_the_block_list_is_neither_given_nor_taken() {
    let world = World::new();
    let cid = Cid::of(b"hello");
    let path = format!("/v1/content/{cid}");
    assert_eq!(world.put(&path, b"hello").status, 201);
    let store = Store::open(&world.dir.join("data/content")).unwrap();
    store.deny(&cid).unwrap();
    let refused = world.get(&path);
    assert_eq!(refused.status, 403);
    assert!(refused.error().contains("block list"), "{}", refused.error());
    assert_eq!(world.put(&path, b"hello").status, 403);
    store.undeny(&cid).unwrap();
    assert_eq!(world.get(&path).ok().bytes, b"hello");
}

#[test]
fn hook_is_closed_to_those_without_the_secret() {
    let world = World::new();
    world.hook();
    assert_eq!(world.post("/hook/v1", &[], b"").status, 400);
    let headers = [
        ("x-openledger-time", "1"),
        ("x-openledger-nonce", "00"),
        ("x-openledger-mac", "00"),
    ];
    let reply = world.post("/hook/v1", &headers, b"");
    assert_eq!((reply.status, reply.error().contains("mac")), (401, true));
}

#[test]
fn job_waits_for_its_records_and_says_so() {
    let dir = std::env::temp_dir().join(format!("openledger-worker-test-{}-waits", std::process::id()));
    let world = World::open(&dir, false, 0);
    let path = format!("/v1/jobs/{TRAIN_JOB}");
    world.until("the job to wait", |world| {
        let reply = world.get(&path);
        reply.status == 200
            && reply.json()["message"]
                .as_str()
                .is_some_and(|why| why.contains("PUT /v1/content/"))
    });
    assert_eq!(world.get(&path).ok().json()["state"], "waiting");
    world.bring_blocks();
    world.until("the job", |world| world.get(&path).ok().json()["state"] == "done");
}

#[test]
fn job_that_the_chain_does_not_have_is_not_done() {
    let world = World::new();
    let job: openledger_protocol::compute::Job<openledger_protocol::Account> =
        world.chain.get(storage::job(TRAIN_JOB)).unwrap();
    world.hook();
    // Another attempt took its place before it was final.
    world.chain.put(
        storage::job(TRAIN_JOB),
        &openledger_protocol::compute::Job { attempt: 1, ..job },
    );
    world.until("the other attempt", |world| {
        let jobs = world.get("/v1/jobs").ok().json();
        let state = |n: usize| jobs["jobs"][n]["state"].as_str().map(str::to_owned);
        matches!(state(0).as_deref(), Some("dropped" | "done")) && state(1).as_deref() == Some("done")
    });
}

#[test]
fn damaged_records_are_told_and_trained_on_by_nobody() {
    let world = World::new();
    let key = storage::contribution(0);
    let mut contribution: openledger_protocol::datanets::Contribution<openledger_protocol::Account> =
        world.chain.get(key.clone()).unwrap();
    contribution.records.top = [1; 32];
    world.chain.put(key, &contribution);
    let path = format!("/v1/jobs/{TRAIN_JOB}");
    world.until("the job to fail", |world| {
        let reply = world.get(&path);
        reply.status == 200 && reply.json()["state"] == "failed"
    });
    let why = world.get(&path).json()["message"].as_str().unwrap().to_owned();
    assert!(why.contains("contribution 0"), "{why}");
}

#[test]
fn order_whose_index_would_be_too_large_is_refused_before_training() {
    let world = World::new();
    let key = storage::generation(MODEL, GENERATION);
    let mut generation: openledger_protocol::models::Generation<openledger_protocol::Account> =
        world.chain.get(key.clone()).unwrap();
    // Rank 256 times 2 × 16 lanes, in four modules.
    generation.recipe.rank = 256;
    generation.rules.projection = 16;
    world.chain.put(key, &generation);
    let path = format!("/v1/jobs/{TRAIN_JOB}");
    world.until("the job to fail", |world| {
        let reply = world.get(&path);
        reply.status == 200 && reply.json()["state"] == "failed"
    });
    let shown = world.get(&path).json();
    assert!(
        shown["message"].as_str().unwrap().contains("cannot be laid out"),
        "{shown}"
    );
    assert_eq!(shown["step"], 0);
}

#[test]
fn page_loads_nothing_from_elsewhere() {
    let world = World::new();
    let reply = world.get("/").ok();
    assert!(reply.headers["content-security-policy"]
        .to_str()
        .unwrap()
        .starts_with("default-src 'none'"));
    let page = String::from_utf8(reply.bytes).unwrap();
    for other in [
        "src=\"http",
        "href=\"http",
        "@import",
        "innerHTML",
        "insertAdjacentHTML",
        "document.write",
        "outerHTML",
    ] {
        assert!(!page.contains(other), "{other}");
    }
    assert_eq!(world.get("/v1/nowhere").status, 404);
    let health = world.get("/health").ok().json();
    assert_eq!(health["status"], "ok");
    let tokenizer = health["tokenizer"].as_str().unwrap();
    let files = world.get(&format!("/v1/tokenizers/{tokenizer}")).ok().json();
    let folder = world.dir.join("tokenizer");
    std::fs::create_dir_all(&folder).unwrap();
    for file in files["files"].as_array().unwrap() {
        let name = file["name"].as_str().unwrap();
        std::fs::write(
            folder.join(name),
            world
                .get(&format!("/v1/tokenizers/{tokenizer}/{name}"))
                .ok()
                .bytes,
        )
        .unwrap();
    }
    let own = openledger_model::Tokenizer::load(&folder).unwrap();
    assert_eq!(own.hash(), world.worker.base.tokenizer.hash());
    assert_eq!(
        world
            .get(&format!("/v1/tokenizers/{tokenizer}/model.safetensors"))
            .status,
        404
    );
}

#[test]
fn data_of_another_chain_is_refused() {
    let world = World::new();
    let path = world.dir.join("other.redb");
    openledger_worker::db::Db::open(&path, &[1; 32], &[2; 32]).unwrap();
    openledger_worker::db::Db::open(&path, &[1; 32], &[2; 32]).unwrap();
    for (genesis, account, say) in [
        ([3; 32], [2; 32], "another chain"),
        ([1; 32], [3; 32], "another worker account"),
    ] {
        let error = openledger_worker::db::Db::open(&path, &genesis, &account)
            .err()
            .unwrap();
        assert!(error.to_string().contains(say), "{error}");
    }
}

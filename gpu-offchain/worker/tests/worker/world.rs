//! A tiny base, two contributors, a consumer, a worker that runs, and the node that is paired with it.

use crate::chain::{hash_of, FakeChain, GENESIS, MIN_CREDIT};
use codec::{DecodeAll, Encode};
use hmac::{Hmac, KeyInit, Mac};
use openledger_attribution::{
    fee::{Mix, Split, Tariff},
    index::IndexRules,
    text::TextLeaf,
    tree::Tree,
    voucher::{Mode, Signature, Terms, Voucher},
    wire::{Field, Object, Reader},
};
use openledger_chain::Key;
use openledger_content::{version_leaves, Bundle, Cid, Contribution as Contributed, Record};
use openledger_model::{Message, ModelConfig};
use openledger_protocol::{
    batches,
    channels::Channel,
    compute::{self, hook, Job, JobStage, Outcome, Task},
    datanets::{Contribution, Standing, Version},
    disputes::{IndexBond, IndexStage},
    models::{self, Generation, Recipe, Source, Stage},
    storage, Account, Hash,
};
use openledger_worker::{
    answer::now,
    attribute::ByInfluence,
    device,
    formats::{encode_version_list, hex0x, parse_hash, prompt_leaves, Parameters},
    models::Base,
    payment::{terms_header, voucher_header},
    Config, Listeners, Parts, Worker,
};
use serde_json::{json, Value};
use sha2::Sha256;
use std::{
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};

pub(crate) const SECRET: [u8; 32] = [5; 32];
pub(crate) const MODEL: u64 = 3;
pub(crate) const GENERATION: u32 = 1;
pub(crate) const CHANNEL: u64 = 7;
pub(crate) const DEPOSIT: u128 = 1_000_000_000;
pub(crate) const TRAIN_JOB: u64 = 20;
pub(crate) const TRAIN_SEED: Hash = [8; 32];
pub(crate) const INDEX_JOB: u64 = 21;
pub(crate) const INFER_JOB: u64 = 22;
pub(crate) const NEXT_JOB: u64 = 23;

pub(crate) const TARIFF: Tariff = Tariff {
    price_in: 1_000_000,
    price_out: 2_000_000,
    split: Split {
        platform: 500,
        owner: 4_000,
        contributors: 4_500,
        stakers: 0,
        compute: 1_500,
        lineage: 0,
    },
    mix: Mix {
        influence: 600_000_000,
        verbatim: 400_000_000,
        retrieval: 0,
    },
};

pub(crate) fn contributor(n: u8) -> Account {
    [n; 32]
}

pub(crate) struct World {
    pub(crate) dir: PathBuf,
    pub(crate) chain: Arc<FakeChain>,
    pub(crate) worker: Arc<Worker>,
    pub(crate) url: String,
    pub(crate) admin: String,
    pub(crate) consumer: Key,
    pub(crate) agent: ureq::Agent,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.bytes)))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(
            (200..300).contains(&self.status),
            "{}: {}",
            self.status,
            String::from_utf8_lossy(&self.bytes)
        );
        self
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().strip_prefix("0x").unwrap()).unwrap()
}

pub(crate) fn read_wire<T: Field>(value: &Value) -> T {
    let bytes = unhex(value);
    let mut reader = Reader::new(&bytes);
    let read = T::read(&mut reader).unwrap();
    reader.finish().unwrap();
    read
}

pub(crate) fn planck(value: &Value) -> u128 {
    value.as_str().unwrap().parse().unwrap()
}

/// The configuration of a base of a few thousand parameters.
fn tiny() -> Value {
    json!({
        "model_type": "llama", "vocab_size": 264, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 512,
        "rope_theta": 10000.0, "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "initializer_range": 0.2, "eos_token_id": 256,
    })
}

/// The processor; with OPENLEDGER_TEST_BACKEND=cuda a GPU, or what scripts/cuda-driver.sh puts in its place.
fn device_of_tests() -> device::Options {
    let on_gpu = std::env::var("OPENLEDGER_TEST_BACKEND").is_ok_and(|name| name == "cuda");
    device::Options {
        place: device::Place {
            backend: if on_gpu {
                device::Backend::Cuda
            } else {
                device::Backend::Cpu
            },
            ..Default::default()
        },
        ..Default::default()
    }
}

/// A base with random weights in `dir`, with the shipped tokenizer.
fn random_base(dir: &Path, config: &Value) {
    if dir.join("config.json").exists() {
        return;
    }
    let config = ModelConfig::from_json(config).unwrap();
    openledger_trainer::fresh_base(&config, 1)
        .unwrap()
        .save(dir)
        .unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shipped/base");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(shipped.join(name), dir.join(name)).unwrap();
    }
}

pub(crate) fn bundles() -> Vec<Bundle> {
    let record = |text: String| Record::new(&text).unwrap();
    let sea = (0..6).map(|n| {
        record(format!(
            "What does the sea do on day {n}?\n\nIt rises over rock number {n} and falls again."
        ))
    });
    let long = "The bread rises slowly. ".repeat(14);
    let bread = (0..5).map(|n| {
        record(format!(
            "How is loaf {n} baked?\n\nWith flour, water and {n} grains of salt. {long}"
        ))
    });
    vec![
        Bundle::new(sea.collect()).unwrap(),
        Bundle::new(bread.collect()).unwrap(),
    ]
}

/// Fills a new chain: everything up to an ordered generation with its training assigned.
fn found(
    chain: &FakeChain,
    base: &Base,
    worker: &Account,
    receipt_key: [u8; 32],
    consumer: &Account,
) -> Vec<Vec<u8>> {
    let bundles = bundles();
    let cid = |bytes: &[u8]| Cid::of(bytes).to_bytes().try_into().unwrap();
    let mut blocks = Vec::new();
    for (id, bundle) in (0u64..).zip(&bundles) {
        let bytes = bundle.encode();
        let contribution = Contribution::<Account> {
            datanet: 1,
            contributor: contributor(id as u8 + 1),
            records: bundle.root().unwrap(),
            cid: cid(&bytes),
            reserved: id as u32 + 1,
            since: 2,
            deposit: 0,
            standing: Standing::Accepted { weight: 1 },
        };
        chain.put(storage::contribution(id), &contribution);
        blocks.push(bytes);
    }
    let contributions: Vec<Contributed<'_>> = (0u64..)
        .zip(&bundles)
        .map(|(id, bundle)| Contributed {
            id,
            contributor: contributor(id as u8 + 1),
            reserved: id + 1,
            records: &bundle.records,
        })
        .collect();
    let leaves = version_leaves(&contributions).unwrap();
    let list = encode_version_list(&leaves);
    let version = Version {
        parent: None,
        records: Tree::new(&leaves).unwrap().root(),
        cid: cid(&list),
        published: 3,
    };
    chain.put(storage::version(1, 0), &version);
    blocks.push(list);

    let name = |text: &str| text.as_bytes().to_vec().try_into().unwrap();
    let on_base = models::Base::<Account> {
        registrant: *worker,
        name: name("tiny"),
        licence: name("CC0-1.0"),
        weights: base.hash,
        tokenizer: base.tokenizer.hash(),
        deposit: 0,
    };
    chain.put(storage::base(2), &on_base);
    let model = models::Model::<Account> {
        name: name("almanac"),
        base: 2,
        creator: *worker,
        deposit: 0,
        generations: 1,
        tariff: TARIFF,
        previous: None,
        serving: true,
    };
    chain.put(storage::model(MODEL), &model);
    let recipe = Recipe {
        rank: 4,
        alpha: 8,
        targets: 0b000_1001,
        learning_rate: 4_000_000,
        epochs: 2,
        batch: 4,
        // Not a multiple of a unit: the long records have a unit in two windows.
        context: 200,
        held_out: 20,
    };
    let generation = Generation::<Account> {
        requester: *worker,
        sources: vec![Source {
            datanet: 1,
            version: 0,
            weight: 1,
        }]
        .try_into()
        .unwrap(),
        recipe,
        rules: IndexRules {
            projection: 8,
            top: 8,
            rho: 100_000_000,
            z: 20,
            floor: -40,
        },
        price: 0,
        job: TRAIN_JOB,
        deadline: 1_000_000,
        trainer: None,
        seed: [0; 32],
        adapter: [0; 32],
        adapter_cid: Default::default(),
        loss_before: 0,
        loss_after: 0,
        stage: Stage::Training,
    };
    chain.put(storage::generation(MODEL, GENERATION), &generation);
    assign(
        chain,
        worker,
        TRAIN_JOB,
        Task::Train {
            model: MODEL,
            generation: GENERATION,
            seed: TRAIN_SEED,
        },
    );

    let channel = Channel::<Account> {
        consumer: *consumer,
        worker: *worker,
        deposit: DEPOSIT,
        cursor: 0,
        last: [0; 32],
        closing: None,
    };
    chain.put(storage::channel(CHANNEL), &channel);
    let on_chain = compute::Worker {
        bond: 1 << 100,
        open: 0,
        unbonding: None,
        result_key: [1; 32],
        receipt_key,
        backend: compute::Backend::Cpu,
        arch: name("portable-8"),
        endpoint: Default::default(),
        capabilities: 7,
        seen: 0,
    };
    chain.put(storage::worker(*worker), &on_chain);
    blocks
}

/// Where this chain keeps what was last delivered for a job.
pub(crate) fn delivered(job: u64) -> Vec<u8> {
    format!("delivered {job}").into_bytes()
}

pub(crate) fn assign(chain: &FakeChain, worker: &Account, job: u64, task: Task) {
    let stage = JobStage::Assigned {
        worker: *worker,
        since: chain.number(),
    };
    chain.put(
        storage::job(job),
        &Job::<Account> {
            task,
            deadline: 1_000_000,
            attempt: 0,
            stage,
        },
    );
}

impl World {
    /// A world in a new folder.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A world whose worker attributes this many drawn answers of a batch, or every answer.
    pub(crate) fn sampling(sample: u16) -> Self {
        Self::with(|config| config.sample = sample)
    }

    fn new_dir() -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "openledger-worker-test-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        std::env::temp_dir().join(name)
    }

    /// The same with another configuration.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::on_base(&tiny(), change)
    }

    /// The same on another base.
    pub(crate) fn on_base(base: &Value, change: impl FnOnce(&mut Config)) -> Self {
        let world = Self::open_with("//Worker", &Self::new_dir(), base, false, change);
        world.bring_blocks();
        world
    }

    /// The world in `dir`, as it was left.
    pub(crate) fn open(dir: &Path, keep_chain: bool, sample: u16) -> Self {
        Self::open_with("//Worker", dir, &tiny(), keep_chain, |config| {
            config.sample = sample
        })
    }

    /// The same of another worker.
    pub(crate) fn open_as(uri: &str, dir: &Path, keep_chain: bool) -> Self {
        Self::open_with(uri, dir, &tiny(), keep_chain, |_| {})
    }

    fn open_with(
        uri: &str,
        dir: &Path,
        base: &Value,
        keep_chain: bool,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let base_dir = dir.join("base");
        random_base(&base_dir, base);
        let base = Base::load(&base_dir, &device_of_tests()).unwrap();
        let key = Key::from_uri(uri).unwrap();
        let receipt_key = Key::from_uri("//Receipts").unwrap();
        let consumer = Key::from_uri("//Consumer").unwrap();
        let chain = Arc::new(FakeChain::new(
            key.account(),
            keep_chain.then(|| dir.join("chain")),
        ));
        if chain.is_new() {
            let blocks = found(
                &chain,
                &base,
                &key.account(),
                receipt_key.account(),
                &consumer.account(),
            );
            for (n, block) in blocks.iter().enumerate() {
                std::fs::write(dir.join(format!("block-{n}")), block).unwrap();
            }
        }
        let mut config = Config {
            batch_receipts: 2,
            batch_after: Duration::from_secs(3_600),
            sample: 0,
            expiry_margin: 40,
            min_credit: MIN_CREDIT,
            slash_floor: 0,
            poll: Duration::from_millis(30),
            keep_keys: true,
            ..Config::new(&dir.join("data"))
        };
        change(&mut config);
        let parts = Parts {
            config,
            ledger: chain.clone(),
            receipt_key,
            secret: SECRET.to_vec(),
            base,
            attribute: Box::new(ByInfluence),
        };
        let (worker, queue) = Worker::open(parts).unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let listen = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            (listener, url)
        };
        let ((public, url), (operator, admin)) = (listen(), listen());
        let own = worker.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let from = |listener| tokio::net::TcpListener::from_std(listener).unwrap();
                let listeners = Listeners {
                    public: from(public),
                    admin: Some(from(operator)),
                };
                let stop = async {
                    let _ = stopped.await;
                };
                openledger_worker::run(own, queue, listeners, stop).await.unwrap();
            });
            runtime.shutdown_timeout(Duration::from_secs(1));
        });
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        Self {
            dir: dir.to_owned(),
            chain,
            worker,
            url,
            admin,
            consumer,
            agent,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        reply(request.call().unwrap())
    }

    pub(crate) fn put(&self, path: &str, body: &[u8]) -> Reply {
        reply(self.agent.put(format!("{}{path}", self.url)).send(body).unwrap())
    }

    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut request = self.agent.post(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        reply(request.send(body).unwrap())
    }

    /// What contributors and curator send to the worker.
    pub(crate) fn bring_blocks(&self) {
        for n in 0..3 {
            let block = std::fs::read(self.dir.join(format!("block-{n}"))).unwrap();
            self.put(&format!("/v1/content/{}", Cid::of(&block)), &block).ok();
        }
    }

    /// One block of the paired node's hook: posts the assigned jobs and puts results on the chain.
    pub(crate) fn hook(&self) {
        static NONCE: AtomicU64 = AtomicU64::new(1);
        let mut jobs = Vec::new();
        for id in [TRAIN_JOB, INDEX_JOB, INFER_JOB, NEXT_JOB] {
            if let Some(Job {
                task,
                deadline,
                attempt,
                stage: JobStage::Assigned { worker, since },
            }) = self.chain.get::<Job<Account>>(storage::job(id))
            {
                jobs.push(hook::Assigned {
                    worker,
                    job: id,
                    attempt,
                    task,
                    since,
                    deadline,
                });
            }
        }
        let body = hook::Request {
            protocol: hook::PROTOCOL,
            genesis: GENESIS,
            jobs,
        }
        .encode();
        let nonce = format!(
            "{:016x}{:016x}",
            std::process::id(),
            NONCE.fetch_add(1, Ordering::Relaxed)
        );
        let time = now().to_string();
        let mac = mac(&[
            b"request\n",
            time.as_bytes(),
            b"\n",
            nonce.as_bytes(),
            b"\n",
            &body,
        ]);
        let headers = [
            ("x-openledger-time", &*time),
            ("x-openledger-nonce", &*nonce),
            ("x-openledger-mac", &*mac),
        ];
        let reply = self.post("/hook/v1", &headers, &body).ok();
        let own = mac_of_answer(&nonce, &reply.bytes);
        assert_eq!(reply.headers["x-openledger-mac"], own.as_str());
        for finished in hook::Answer::decode_all(&mut reply.bytes.as_slice())
            .unwrap()
            .finished
        {
            self.deliver(finished);
        }
    }

    fn deliver(&self, finished: hook::Finished) {
        self.chain.put(delivered(finished.job), &finished.outcome);
        let key = storage::generation(MODEL, GENERATION);
        let mut generation: Generation<Account> = self.chain.get(key.clone()).unwrap();
        match finished.outcome {
            Outcome::Trained {
                adapter,
                cid,
                loss_before,
                loss_after,
            } => {
                generation.seed = TRAIN_SEED;
                generation.adapter = adapter;
                generation.adapter_cid = cid;
                (generation.loss_before, generation.loss_after) = (loss_before, loss_after);
                let seed = openledger_attribution::index::index_seed(&adapter, &[9; 32]);
                generation.stage = Stage::Indexing { seed };
                self.chain.put(key, &generation);
                let task = Task::Index {
                    model: MODEL,
                    generation: GENERATION,
                    seed,
                };
                assign(&self.chain, &self.worker.account(), INDEX_JOB, task);
            }
            Outcome::Indexed { header, layout } => {
                header.check(&layout).unwrap();
                let hash = hash_of(&*header);
                let header = *header;
                self.chain.put(
                    storage::index(hash),
                    &batches::Index {
                        header,
                        since: self.chain.number(),
                    },
                );
                self.chain.put(
                    storage::index_bond(hash),
                    &IndexBond::<Account> {
                        builder: header.builder,
                        exposure: 0,
                        challenges: 0,
                        stage: IndexStage::Standing,
                    },
                );
                generation.stage = Stage::Ready { index: hash };
                self.chain.put(key, &generation);
            }
            Outcome::Inferred { .. } => {}
        }
        self.chain.remove(&storage::job(finished.job));
    }

    /// Blocks pass and the hook runs until `done`.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(
                start.elapsed() < Duration::from_secs(120),
                "waited two minutes for {what}"
            );
            self.hook();
            self.chain.advance(1);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until `done`, while no block passes.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(
                start.elapsed() < Duration::from_secs(120),
                "waited two minutes for {what}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Trains, indexes and serves.
    #[track_caller]
    pub(crate) fn until_serving(&self) {
        self.until("the model", |world| !world.worker.serving.list().is_empty());
    }

    /// A request's body and what pays for it.
    pub(crate) fn order(&self, question: &str, salt: Hash) -> Order {
        let body = json!({
            "model": "almanac",
            "messages": [{ "role": "user", "content": question }],
            "max_tokens": 24,
            "temperature": 0.5,
        });
        let tokens = self
            .worker
            .base
            .tokenizer
            .chat(&[Message::user(question)])
            .unwrap();
        let parameters = Parameters {
            max_tokens: 24,
            temperature: 0.5,
            ..Parameters::default()
        };
        self.order_for(body, &tokens, &parameters, salt)
    }

    /// The same for any body that asks for these tokens and parameters.
    pub(crate) fn order_for(
        &self,
        body: Value,
        tokens: &[u32],
        parameters: &Parameters,
        salt: Hash,
    ) -> Order {
        self.order_on(CHANNEL, body, tokens, parameters, salt)
    }

    /// The same through another channel of the consumer.
    pub(crate) fn order_on(
        &self,
        channel: u64,
        body: Value,
        tokens: &[u32],
        parameters: &Parameters,
        salt: Hash,
    ) -> Order {
        let state = self.get(&format!("/v1/channels/{channel}")).ok().json();
        let served = self.worker.serving.named("almanac").unwrap();
        let leaves = prompt_leaves(tokens, &salt);
        let terms = Terms {
            model: MODEL,
            generation: GENERATION,
            index: served.index_hash,
            tariff: TARIFF,
            mode: Mode::Verifiable,
            prompt: Tree::new(&leaves).unwrap().root().hash::<TextLeaf>(),
            parameters: parameters.hash(),
            seed: 11,
        };
        let most = TARIFF.fee(tokens.len() as u32, parameters.most_tokens().unwrap());
        let most = most.unwrap().total().unwrap();
        let voucher = Voucher {
            genesis: GENESIS,
            channel,
            accepted: planck(&state["accepted"]),
            previous: parse_hash(state["previous"].as_str().unwrap()).unwrap(),
            most,
            // Good for long: tests' blocks pass quickly. Always the same, so that equal questions have equal receipts.
            expiry: 50_000,
            terms: hash_of(&terms),
        };
        Order {
            body,
            terms,
            voucher,
            salt,
            signature: None,
        }
    }

    pub(crate) fn ask(&self, order: &Order) -> Reply {
        self.ask_at("/v1/chat/completions", order)
    }

    pub(crate) fn ask_at(&self, path: &str, order: &Order) -> Reply {
        let headers = self.headers(order);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        self.post(path, &headers, order.body.to_string().as_bytes())
    }

    /// What pays an order.
    pub(crate) fn headers(&self, order: &Order) -> [(&'static str, String); 3] {
        let voucher = Voucher {
            terms: hash_of(&order.terms),
            ..order.voucher
        };
        let signature = order
            .signature
            .unwrap_or_else(|| Signature::Sr25519(self.consumer.sign(&voucher.sr25519_message())));
        [
            ("x-openledger-voucher", voucher_header(&voucher, &signature)),
            ("x-openledger-terms", terms_header(&order.terms)),
            ("x-openledger-salt", hex0x(order.salt)),
        ]
    }

    /// Asks, pays, and waits for the receipt.
    #[track_caller]
    pub(crate) fn receipt(&self, order: &Order) -> (Value, Hash) {
        let answer = self.ask(order).ok().json();
        let voucher = answer["openledger"]["voucher"].as_str().unwrap().to_owned();
        let state = self.get(&format!("/v1/answers/{voucher}?wait=20")).ok().json();
        assert_eq!(state["state"], "done");
        (answer, parse_hash(state["receipt"].as_str().unwrap()).unwrap())
    }

    /// Another channel of the consumer to this worker.
    pub(crate) fn open_channel(&self, id: u64, consumer: &Account) {
        let channel = Channel::<Account> {
            consumer: *consumer,
            worker: self.worker.account(),
            deposit: DEPOSIT,
            cursor: 0,
            last: [0; 32],
            closing: None,
        };
        self.chain.put(storage::channel(id), &channel);
    }

    /// The operator's key.
    pub(crate) fn admin_key(&self) -> String {
        let key = std::fs::read_to_string(self.dir.join("data/admin.key")).unwrap();
        format!("Bearer {}", key.trim())
    }

    /// A request to the operator's port.
    pub(crate) fn operator(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Reply {
        let url = format!("{}{path}", self.admin);
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        if let Some(key) = key {
            request = request.header("authorization", key);
        }
        reply(match body {
            Some(body) => self.agent.run(request.body(body.to_string()).unwrap()).unwrap(),
            None => self.agent.run(request.body(()).unwrap()).unwrap(),
        })
    }

    /// Whatever was answered in this world stands in the OpenAPI document: every route and status that was counted.
    pub(crate) fn answers_are_documented(&self) {
        let get = |url: String| reply(self.agent.get(url).call().unwrap()).ok();
        let documents = [("public", &self.url), ("operator", &self.admin)].map(|(port, base)| {
            let document = get(format!("{base}/openapi.json")).json();
            assert_eq!(document["openapi"], "3.1.0");
            (port, document)
        });
        let counted = String::from_utf8(get(format!("{}/metrics", self.admin)).bytes).unwrap();
        let mut seen = 0;
        for line in counted
            .lines()
            .filter(|line| line.starts_with("openledger_http_requests_total{"))
        {
            let label = |name: &str| {
                let (_, rest) = line.split_once(&format!("{name}=\"")).unwrap();
                rest.split_once('"').unwrap().0.to_owned()
            };
            let (method, route, status) = (label("method").to_lowercase(), label("route"), label("status"));
            if route == "none" {
                continue;
            }
            let (_, document) = documents.iter().find(|(port, _)| *port == label("port")).unwrap();
            let path = &document["paths"][&route];
            assert!(path.is_object(), "{route} is not described");
            let known = match &path[&method] {
                Value::Null => status == "405",
                operation => operation["responses"][&status].is_object(),
            };
            assert!(
                known,
                "{method} {route} answered {status}, which is not described"
            );
            seen += 1;
        }
        assert!(seen > 0, "{counted}");
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.answers_are_documented();
        }
        self.end();
        if !std::thread::panicking() && std::env::var_os("OPENLEDGER_TEST_WORLD").is_none() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

pub(crate) struct Order {
    pub(crate) body: Value,
    pub(crate) terms: Terms,
    pub(crate) voucher: Voucher,
    pub(crate) salt: Hash,
    pub(crate) signature: Option<Signature>,
}

fn reply(response: ureq::http::Response<ureq::Body>) -> Reply {
    let (parts, mut body) = response.into_parts();
    let bytes = body.read_to_vec().unwrap();
    Reply {
        status: parts.status.as_u16(),
        headers: parts.headers,
        bytes,
    }
}

pub(crate) fn mac(parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&SECRET).unwrap();
    for part in parts {
        mac.update(part);
    }
    hex::encode(mac.finalize().into_bytes())
}

fn mac_of_answer(nonce: &str, body: &[u8]) -> String {
    mac(&[b"answer\n", nonce.as_bytes(), b"\n", body])
}

pub(crate) fn decode_object<T: Object>(value: &Value) -> T {
    T::decode(&unhex(value)).unwrap()
}

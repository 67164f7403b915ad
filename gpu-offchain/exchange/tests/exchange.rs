//! Peers on the loopback interface, each with a store of its own.

use openledger_content::{Cid, Error as ContentError, Store};
use openledger_exchange::{
    peer_of, Checks, Config, Error, Exchange, Fetch, Multiaddr, PeerKey, Shelf, Source, Verdict,
};
use std::{future::Future, sync::Arc, time::Duration};
use tempfile::TempDir;

const LEAF: usize = openledger_content::LEAF;

struct Peer {
    _dir: TempDir,
    store: Arc<Store>,
    exchange: Exchange,
}

/// What a peer gives, from its store.
type Of = fn(Arc<Store>) -> Arc<dyn Source>;

fn honest(store: Arc<Store>) -> Arc<dyn Source> {
    Arc::new(Shelf::new(store))
}

/// Gives blocks with a bit changed, and pieces of other files.
struct Liar(Shelf);

fn liar(store: Arc<Store>) -> Arc<dyn Source> {
    Arc::new(Liar(Shelf::new(store)))
}

impl Source for Liar {
    fn block(&self, cid: &Cid) -> Option<Vec<u8>> {
        let mut block = self.0.block(cid)?;
        if let Some(byte) = block.last_mut() {
            *byte ^= 1;
        }
        Some(block)
    }
    fn has(&self, cid: &Cid) -> bool {
        self.0.has(cid)
    }
    fn denies(&self, cid: &Cid) -> bool {
        self.0.denies(cid)
    }
    fn roots(&self) -> Vec<Cid> {
        self.0.roots()
    }
    fn prove(&self, root: &Cid, seed: &[u8; 32]) -> Result<Vec<Vec<u8>>, ContentError> {
        let mut blocks = self.0.prove(root, seed)?;
        blocks.last_mut().into_iter().for_each(|block| block.push(0));
        Ok(blocks)
    }
}

impl Peer {
    fn start(listen: &[&str], peers: &[Multiaddr], of: Of) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(dir.path()).unwrap());
        let key = PeerKey::load_or_create(&dir.path().join("peer.key")).unwrap();
        let mut config = Config::new(key);
        config.listen = listen.iter().map(|at| at.parse().unwrap()).collect();
        config.peers = peers.to_vec();
        // Machines that run tests are slow.
        config.limits.silence = Duration::from_secs(60);
        let exchange = Exchange::start(config, store.clone(), of(store.clone())).unwrap();
        Self {
            _dir: dir,
            store,
            exchange,
        }
    }

    fn tcp(peers: &[Multiaddr]) -> Self {
        Self::start(&["/ip4/127.0.0.1/tcp/0"], peers, honest)
    }

    async fn address(&self) -> Multiaddr {
        until(|| async { self.exchange.addresses().await.unwrap().pop() }).await
    }

    /// Takes a file in and publishes it.
    fn publish(&self, bytes: &[u8]) -> Cid {
        let cid = self.store.ingest(bytes).unwrap().cid;
        self.store.publish(&cid).unwrap();
        cid
    }
}

/// What is there sooner or later.
async fn until<T, F: Future<Output = Option<T>>>(mut get: impl FnMut() -> F) -> T {
    loop {
        if let Some(found) = get().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A file of this size, each leaf different.
fn file(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 / 7 + at / LEAF) as u8).collect()
}

fn read(store: &Store, cid: &Cid) -> Vec<u8> {
    store.whole(cid, 1 << 30).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn fetch_should_find_a_file_whose_holder_it_does_not_know() {
    let middle = Peer::tcp(&[]);
    let at = middle.address().await;
    let holder = Peer::tcp(std::slice::from_ref(&at));
    let asker = Peer::tcp(&[at]);
    let whole = file(5 * LEAF + 7);
    let cid = holder.publish(&whole);
    holder.exchange.announce().await.unwrap();
    let found = until(|| async {
        Some(asker.exchange.providers(&cid).await.unwrap()).filter(|found| !found.is_empty())
    });
    assert_eq!(found.await, [holder.exchange.peer()]);

    let (tell, told) = tokio::sync::watch::channel(Default::default());
    let how = Fetch {
        progress: Some(tell),
        ..Fetch::default()
    };
    let fetched = asker.exchange.fetch(&cid, &how).await.unwrap();
    assert_eq!(read(&asker.store, &cid), whole);
    assert_eq!(
        (fetched.progress.fetched_blocks, fetched.progress.here_blocks),
        (7, 0)
    );
    assert_eq!(fetched.from.get(&holder.exchange.peer()), Some(&7));
    assert_eq!(*told.borrow(), fetched.progress);

    // A second time nothing is asked; a block that was corrupted here is.
    let again = asker.exchange.fetch(&cid, &Fetch::default()).await.unwrap();
    assert_eq!(
        (again.progress.fetched_blocks, again.progress.here_blocks),
        (0, 7)
    );
    let leaf = Cid::of(&whole[..LEAF]);
    asker.store.remove(&leaf).unwrap();
    let again = asker.exchange.fetch(&cid, &Fetch::default()).await.unwrap();
    assert_eq!(
        (again.progress.fetched_blocks, again.progress.here_blocks),
        (1, 6)
    );
    assert_eq!(read(&asker.store, &cid), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn fetch_should_work_over_quic() {
    let holder = Peer::start(&["/ip4/127.0.0.1/udp/0/quic-v1"], &[], honest);
    let asker = Peer::start(&[], &[], honest);
    // Equal leaves are one block.
    let whole = [vec![7; 3 * LEAF], vec![9; 5]].concat();
    let cid = holder.publish(&whole);
    let address = holder.address().await;
    assert!(address.to_string().contains("quic-v1"), "{address}");
    let peer = asker.exchange.connect(address).await.unwrap();
    let how = Fetch {
        peers: vec![peer],
        ..Fetch::default()
    };
    let fetched = asker.exchange.fetch(&cid, &how).await.unwrap();
    assert_eq!(fetched.progress.fetched_blocks, 3);
    assert_eq!(read(&asker.store, &cid), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn fetch_should_refuse_a_corrupted_block_and_take_it_elsewhere() {
    let liar = Peer::start(&["/ip4/127.0.0.1/tcp/0"], &[], liar);
    let honest = Peer::tcp(&[]);
    let asker = Peer::start(&[], &[], crate::honest);
    let whole = file(4 * LEAF);
    let cid = liar.publish(&whole);
    assert_eq!(honest.publish(&whole), cid);
    let mut peers = Vec::new();
    for peer in [&liar, &honest] {
        peers.push(asker.exchange.connect(peer.address().await).await.unwrap());
    }
    let how = Fetch {
        peers,
        ..Fetch::default()
    };
    let fetched = asker.exchange.fetch(&cid, &how).await.unwrap();
    assert_eq!(read(&asker.store, &cid), whole);
    assert_eq!(fetched.from.keys().collect::<Vec<_>>(), [&honest.exchange.peer()]);
    assert_eq!(asker.store.verify().unwrap(), []);
    let stats = asker.exchange.stats();
    let (_, noted) = stats
        .iter()
        .find(|(peer, _)| *peer == liar.exchange.peer())
        .unwrap();
    assert_eq!((noted.blocks, noted.corrupted), (0, 1), "{noted:?}");

    // Nobody else has this one, and the liar is not asked again.
    let other = liar.publish(b"only the liar has it");
    let refused = asker.exchange.fetch(&other, &how).await;
    assert!(matches!(refused, Err(Error::NotFound { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn private_and_denied_content_should_stay_where_it_is() {
    let holder = Peer::tcp(&[]);
    let asker = Peer::start(&[], &[], honest);
    let peers = vec![asker.exchange.connect(holder.address().await).await.unwrap()];
    let how = Fetch {
        peers: peers.clone(),
        ..Fetch::default()
    };
    let private = holder.store.ingest(&b"not published"[..]).unwrap().cid;
    let denied = holder.publish(&file(2 * LEAF));
    holder.store.deny(&denied).unwrap();
    for cid in [private, denied] {
        let refused = asker.exchange.fetch(&cid, &how).await;
        assert!(matches!(refused, Err(Error::NotFound { .. })), "{refused:?}");
        assert_eq!(
            asker.exchange.check(peers[0], &cid).await.unwrap().verdict,
            Verdict::Absent
        );
    }
    // Off the list it is given again, and a leaf of it that the asker denies is not taken.
    holder.store.undeny(&denied).unwrap();
    asker.store.deny(&Cid::of(&file(2 * LEAF)[..LEAF])).unwrap();
    let refused = asker.exchange.fetch(&denied, &how).await;
    assert!(
        matches!(refused, Err(Error::Content(ContentError::Denied(_)))),
        "{refused:?}"
    );
    assert!(!asker.store.has(&denied));
    asker.store.undeny(&Cid::of(&file(2 * LEAF)[..LEAF])).unwrap();
    asker.exchange.fetch(&denied, &how).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn fetch_should_stop_at_its_limit() {
    let holder = Peer::tcp(&[]);
    let asker = Peer::start(&[], &[], honest);
    let cid = holder.publish(&file(4 * LEAF));
    let how = Fetch {
        peers: vec![asker.exchange.connect(holder.address().await).await.unwrap()],
        most: 2 << 20,
        ..Fetch::default()
    };
    let refused = asker.exchange.fetch(&cid, &how).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    // What looks whole is whole.
    assert!(!asker.store.has(&cid));
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_should_tell_who_holds_a_file() {
    let holder = Peer::tcp(&[]);
    let liar = Peer::start(&["/ip4/127.0.0.1/tcp/0"], &[], liar);
    let gone = Peer::tcp(&[]);
    let asker = Peer::start(&[], &[], honest);
    let whole = file(4 * LEAF + 1);
    let cid = holder.publish(&whole);
    liar.publish(&whole);
    let dir = tempfile::tempdir().unwrap();
    let checks = Checks::at(&dir.path().join("checks.jsonl"));
    assert!(checks.counts().unwrap().is_empty());
    let check = async |peer: &Peer, cid: &Cid| {
        let check = asker.exchange.check_at(peer.address().await, cid).await.unwrap();
        checks.add(&check).unwrap();
        (check.verdict, check.bytes)
    };
    let size = whole.len() as u64;
    assert_eq!(check(&holder, &cid).await, (Verdict::Held, Some(size)));
    assert_eq!(check(&holder, &cid).await, (Verdict::Held, Some(size)));
    assert_eq!(check(&holder, &Cid::of(b"other")).await, (Verdict::Absent, None));
    assert_eq!(check(&liar, &cid).await, (Verdict::Wrong, None));
    let lost = gone.exchange.peer();
    drop(gone);
    let silent = asker.exchange.check(lost, &cid).await.unwrap();
    assert_eq!(silent.verdict, Verdict::Silent, "{silent:?}");
    checks.add(&silent).unwrap();

    let counts = checks.counts().unwrap();
    let of = |peer: openledger_exchange::PeerId| counts[&peer.to_string()];
    let held = of(holder.exchange.peer());
    assert_eq!(
        (held.asked, held.held, held.absent, held.wrong, held.silent),
        (3, 2, 1, 0, 0)
    );
    assert_eq!(of(liar.exchange.peer()).wrong, 1);
    assert_eq!(of(lost).silent, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_should_lose_challenges_when_its_disk_lost_the_leaves() {
    let holder = Peer::tcp(&[]);
    let asker = Peer::start(&[], &[], honest);
    let whole = file(3 * LEAF);
    let cid = holder.publish(&whole);
    let peer = asker.exchange.connect(holder.address().await).await.unwrap();
    for leaf in whole.chunks(LEAF) {
        holder.store.remove(&Cid::of(leaf)).unwrap();
    }
    // The root alone shows nothing.
    assert_eq!(
        asker.exchange.check(peer, &cid).await.unwrap().verdict,
        Verdict::Absent
    );
    holder.store.ingest(whole.as_slice()).unwrap();
    assert_eq!(
        asker.exchange.check(peer, &cid).await.unwrap().verdict,
        Verdict::Held
    );
}

#[test]
fn keys_should_be_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("peer.key");
    let key = PeerKey::load_or_create(&path).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(PeerKey::load_or_create(&path).unwrap().peer(), key.peer());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let Err(refused) = PeerKey::load_or_create(&path) else {
        panic!("a key that others may read")
    };
    assert!(refused.to_string().contains("chmod 600"), "{refused}");
}

#[test]
fn addresses_should_name_their_peer() {
    let peer = PeerKey::random().peer();
    let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/8701/p2p/{peer}").parse().unwrap();
    assert_eq!(peer_of(&address).unwrap(), peer);
    let refused = peer_of(&"/ip4/127.0.0.1/tcp/8701".parse().unwrap()).unwrap_err();
    assert!(refused.to_string().contains("/p2p/"), "{refused}");
}

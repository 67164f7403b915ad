//! What must hold before anything on disk is touched: a node that cannot run says so and leaves no trace.

use crate::service::{Backend, Block, Executor};
use codec::Decode;
use sc_client_api::Backend as _;
use sc_network::{multiaddr::Protocol, Multiaddr};
use sc_service::{BuildGenesisBlock, ChainSpec, Configuration, GenesisBlockBuilder};
use sp_blockchain::HeaderBackend;
use sp_consensus_grandpa::AuthorityList;
use sp_core::{
    storage::{well_known_keys, Storage},
    traits::{CallContext, CodeExecutor, RuntimeCode, WrappedRuntimeCode},
};
use sp_runtime::traits::{BlakeTwo256, Block as _, Hash as _};
use sp_state_machine::BasicExternalities;
use std::{
    collections::HashMap,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    path::Path,
    sync::Arc,
};

/// A port the node is about to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    /// What it serves.
    pub(crate) service: &'static str,
    /// The flag that moves it.
    pub(crate) flag: &'static str,
    /// Where it listens; port 0 lets the system choose and is never taken.
    pub(crate) address: SocketAddr,
    /// UDP rather than TCP.
    pub(crate) udp: bool,
    /// Whether the node does without it where the machine has no such address (IPv6 may be off).
    pub(crate) optional: bool,
}

/// The ports a node with this configuration opens, beside `eth`, the Ethereum JSON-RPC's.
pub(crate) fn ports_of(config: &Configuration, eth: Option<SocketAddr>) -> Vec<Port> {
    let rpc = config.rpc.addr.iter().flatten().map(|endpoint| Port {
        service: "JSON-RPC",
        flag: "--rpc-port",
        address: endpoint.listen_addr,
        udp: false,
        optional: endpoint.is_optional,
    });
    let network = config
        .network
        .listen_addresses
        .iter()
        .filter_map(socket_of)
        .map(|(address, udp)| Port {
            service: "peer-to-peer",
            flag: "--port",
            address,
            udp,
            optional: address.is_ipv6(),
        });
    let metrics = config.prometheus_config.iter().map(|metrics| Port {
        service: "Prometheus",
        flag: "--prometheus-port",
        address: metrics.port,
        udp: false,
        optional: false,
    });
    let eth = eth.map(|address| Port {
        service: "Ethereum JSON-RPC",
        flag: "--eth-rpc-port",
        address,
        udp: false,
        optional: false,
    });
    rpc.chain(network).chain(metrics).chain(eth).collect()
}

/// The socket of a listening multiaddress, `None` for what is not IP (in-memory transport).
fn socket_of(address: &Multiaddr) -> Option<(SocketAddr, bool)> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some((SocketAddr::new(ip, port), false)),
        Protocol::Udp(port) => Some((SocketAddr::new(ip, port), true)),
        _ => None,
    }
}

/// The same address on loopback, if it is the wildcard.
pub(crate) fn on_loopback(address: &Multiaddr) -> Multiaddr {
    address
        .iter()
        .map(|part| match part {
            Protocol::Ip4(ip) if ip.is_unspecified() => Protocol::Ip4(Ipv4Addr::LOCALHOST),
            Protocol::Ip6(ip) if ip.is_unspecified() => Protocol::Ip6(Ipv6Addr::LOCALHOST),
            other => other,
        })
        .fold(Multiaddr::empty(), |done, part| done.with(part))
}

/// Fails if a port is taken, by another program or by two services of this node.
///
/// # Errors
///
/// Names the port, what wanted it and the flag that moves it.
pub(crate) fn ports_are_free(ports: &[Port]) -> Result<(), String> {
    let mut wanted: HashMap<(u16, bool), &Port> = HashMap::new();
    for port in ports.iter().filter(|port| port.address.port() != 0) {
        let number = port.address.port();
        if let Some(other) = wanted.insert((number, port.udp), port) {
            if other.service != port.service {
                return Err(format!(
                    "port {number} is asked for twice, by {} and by {}; move one with {} or {}",
                    other.service, port.service, other.flag, port.flag
                ));
            }
        }
        let bound = if port.udp {
            UdpSocket::bind(port.address).map(drop)
        } else {
            TcpListener::bind(port.address).map(drop)
        };
        match bound {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                return Err(format!(
                    "port {number} ({}) is already in use on {}; stop the program that has it, or choose another with {}",
                    port.service,
                    port.address.ip(),
                    port.flag
                ));
            }
            Err(_) if port.optional => {}
            Err(error) => {
                return Err(format!(
                    "cannot listen on {} for {} ({error}); choose another port with {}",
                    port.address, port.service, port.flag
                ));
            }
        }
    }
    Ok(())
}

/// Fails if the disk that holds (or will hold) `path` has less than `threshold` MiB free. Zero switches the check off.
///
/// # Errors
///
/// Names the free space, the threshold and the flag that sets it.
pub(crate) fn disk_has_room(path: &Path, threshold: u64) -> Result<(), String> {
    if threshold == 0 {
        return Ok(());
    }
    let Some(existing) = path.ancestors().find(|ancestor| ancestor.exists()) else {
        return Ok(());
    };
    let free = fs4::available_space(existing)
        .map_err(|error| format!("cannot read the free space at {} ({error})", existing.display()))?
        / (1024 * 1024);
    if free < threshold {
        return Err(format!(
            "only {free} MiB are free at {} and the node wants {threshold}; free some space, or lower --db-storage-threshold",
            existing.display()
        ));
    }
    Ok(())
}

/// Fails if the chain's directory holds a RocksDB database, which this node cannot read.
///
/// # Errors
///
/// Names the directory and the way out.
pub(crate) fn no_rocksdb(chain_directory: &Path) -> Result<(), String> {
    let directory = chain_directory.join("db");
    // `CURRENT` names the live manifest of every RocksDB.
    let found = [directory.join("full"), directory]
        .into_iter()
        .find(|path| path.join("CURRENT").exists());
    match found {
        None => Ok(()),
        Some(path) => Err(format!(
            "{} is a RocksDB database, and this node keeps its chain in ParityDB only; move that directory away and start again, \
             the node then syncs anew",
            path.display()
        )),
    }
}

/// Fails if the chain can have no first block: its runtime does not run, or its genesis names nobody to make blocks.
///
/// # Errors
///
/// Says which of the two, and what to do about the second.
pub(crate) fn has_validators(executor: &Executor, genesis: &Storage, chain: &str) -> Result<(), String> {
    let code = genesis
        .top
        .get(well_known_keys::CODE)
        .ok_or_else(|| format!("\"{chain}\" has no runtime"))?;
    let fetcher = WrappedRuntimeCode(code.into());
    let runtime = RuntimeCode {
        code_fetcher: &fetcher,
        heap_pages: None,
        // As the client hashes it, so that both use one compiled runtime.
        hash: BlakeTwo256::hash(code).as_bytes().to_vec(),
    };
    let mut state = BasicExternalities::new(genesis.clone());
    let (answer, _) = executor.call(
        &mut state,
        &runtime,
        "GrandpaApi_grandpa_authorities",
        &[],
        CallContext::Offchain,
    );
    let answer = answer.map_err(|error| format!("the wasm runtime of \"{chain}\" does not run: {error}"))?;
    let validators = AuthorityList::decode(&mut &answer[..])
        .map_err(|error| format!("the wasm runtime of \"{chain}\" is not one of this node's: {error}"))?;
    if validators.is_empty() {
        return Err(format!(
            "the genesis of \"{chain}\" names no validators, so it can have no first block; start from a chain spec file that names \
             them (docs/node.md)"
        ));
    }
    Ok(())
}

/// Fails if the database belongs to another chain than the spec: the SDK would go on with the stored chain in silence.
///
/// `storage` is the spec's genesis state.
///
/// # Errors
///
/// Names both genesis hashes and the ways out, or passes on what reading the database said.
pub(crate) fn same_genesis(
    backend: &Arc<Backend>,
    spec: &dyn ChainSpec,
    storage: &Storage,
    executor: &Executor,
    database: Option<&Path>,
) -> Result<(), sc_service::Error> {
    let Some(stored) = backend.blockchain().hash(0)? else {
        return Ok(());
    };
    // Built only to be hashed: the operation is dropped, nothing is written.
    let (genesis, _operation) = GenesisBlockBuilder::<Block, _, _>::new_with_storage(
        storage.clone(),
        false,
        backend.clone(),
        executor.clone(),
    )?
    .build_genesis_block()?;
    let expected = genesis.header().hash();
    if stored == expected {
        return Ok(());
    }
    Err(sc_service::Error::Other(format!(
        "the database at {} belongs to another chain: its genesis is {stored:?}, that of \"{}\" is {expected:?}; use another \
         --base-path, the chain spec the database was made with, or delete it with `openledger-node purge-chain`",
        database.map_or_else(|| "memory".into(), |path| path.display().to_string()),
        spec.name(),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(address: SocketAddr, service: &'static str, optional: bool) -> Port {
        Port {
            service,
            flag: "--x-port",
            address,
            udp: false,
            optional,
        }
    }

    #[test]
    fn a_taken_port_should_be_refused_and_a_free_one_not() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = holder.local_addr().unwrap();
        let line = ports_are_free(&[port(address, "JSON-RPC", true)]).unwrap_err();
        assert!(
            line.contains(&address.port().to_string()) && line.contains("--x-port"),
            "{line}"
        );
        drop(holder);
        assert_eq!(ports_are_free(&[port(address, "JSON-RPC", true)]), Ok(()));
    }

    #[test]
    fn the_wildcard_should_meet_a_listener_on_loopback() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let wildcard = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), holder.local_addr().unwrap().port());
        assert!(ports_are_free(&[port(wildcard, "peer-to-peer", false)]).is_err());
    }

    #[test]
    fn one_port_for_two_services_should_be_refused() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let line =
            ports_are_free(&[port(free, "JSON-RPC", false), port(free, "Prometheus", false)]).unwrap_err();
        assert!(line.contains("twice"), "{line}");
        let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        assert_eq!(
            ports_are_free(&[port(any, "JSON-RPC", false), port(any, "Prometheus", false)]),
            Ok(())
        );
    }

    #[test]
    fn multiaddresses_should_become_sockets() {
        let socket = |text: &str| socket_of(&text.parse().unwrap());
        assert_eq!(
            socket("/ip4/127.0.0.1/tcp/30333/ws"),
            Some(("127.0.0.1:30333".parse().unwrap(), false))
        );
        assert_eq!(
            socket("/ip6/::1/udp/9/webrtc-direct"),
            Some(("[::1]:9".parse().unwrap(), true))
        );
        assert_eq!(socket("/memory/7"), None);
    }

    #[test]
    fn only_wildcards_should_move_to_loopback() {
        let moved = |text: &str| on_loopback(&text.parse().unwrap()).to_string();
        assert_eq!(moved("/ip4/0.0.0.0/tcp/1/ws"), "/ip4/127.0.0.1/tcp/1/ws");
        assert_eq!(moved("/ip6/::/tcp/1"), "/ip6/::1/tcp/1");
        assert_eq!(moved("/ip4/10.0.0.1/tcp/1"), "/ip4/10.0.0.1/tcp/1");
    }

    #[test]
    fn disk_room_should_be_measured_where_the_path_will_be() {
        let path = std::env::temp_dir().join("openledger-not-there").join("deeper");
        assert_eq!(disk_has_room(&path, 1), Ok(()));
        assert!(disk_has_room(&path, u64::MAX)
            .unwrap_err()
            .contains("--db-storage-threshold"));
        assert_eq!(disk_has_room(&path, 0), Ok(()));
    }

    #[test]
    fn a_rocksdb_directory_should_be_found() {
        let chain = std::env::temp_dir().join(format!("openledger-rocksdb-{}", std::process::id()));
        std::fs::create_dir_all(chain.join("db/full")).unwrap();
        assert_eq!(no_rocksdb(&chain), Ok(()));
        std::fs::write(chain.join("db/full/CURRENT"), "MANIFEST-000001\n").unwrap();
        assert!(no_rocksdb(&chain).unwrap_err().contains("RocksDB"));
        std::fs::remove_dir_all(&chain).unwrap();
    }
}

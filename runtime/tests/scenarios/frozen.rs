//! What wallets, contracts and stored data rely on. A failure here is a decision to take, not a test to mend.

use codec::Encode;
use frame_support::traits::{PalletsInfoAccess, StorageInfoTrait};
use openledger_runtime::{config::accounts::ProxyType, *};
use pallet_referenda::TracksInfo;

#[test]
fn pallet_indices_and_names_should_not_move() {
    // The index is in every signed call, the name is the prefix of everything the pallet stores.
    let expected = [
        (0, "System"),
        (1, "Periods"),
        (2, "Timestamp"),
        (3, "Parameters"),
        (4, "Migrator"),
        (5, "SafeMode"),
        (6, "TxPause"),
        (10, "Balances"),
        (11, "TransactionPayment"),
        (12, "Vesting"),
        (13, "Rewards"),
        (20, "Babe"),
        (21, "Authorship"),
        (22, "Staking"),
        (23, "Offences"),
        (24, "Historical"),
        (25, "Session"),
        (26, "Grandpa"),
        (27, "AuthorityDiscovery"),
        (28, "VoterList"),
        (29, "NominationPools"),
        (30, "DelegatedStaking"),
        (40, "Treasury"),
        (41, "ConvictionVoting"),
        (42, "Referenda"),
        (43, "Origins"),
        (44, "Whitelist"),
        (45, "TechnicalCommittee"),
        (46, "Preimage"),
        (47, "Scheduler"),
        (48, "Bounties"),
        (49, "ChildBounties"),
        (60, "Utility"),
        (61, "Proxy"),
        (62, "Multisig"),
        (63, "Identity"),
        (70, "Assets"),
        (71, "Nfts"),
        (80, "Revive"),
        (90, "Draws"),
        (91, "Datanets"),
        (92, "Models"),
        (93, "Compute"),
        (94, "Channels"),
        (95, "Attribution"),
        (96, "OpenStaking"),
        (97, "Committees"),
        (98, "Inference"),
    ];
    let mut actual: Vec<_> = AllPalletsWithSystem::infos()
        .into_iter()
        .map(|i| (i.index, i.name))
        .collect();
    actual.sort();
    assert_eq!(actual, expected);
}

#[test]
fn storage_prefixes_should_be_the_pallet_names() {
    let infos = sp_io::TestExternalities::default().execute_with(AllPalletsWithSystem::storage_info);
    for info in infos {
        let name = String::from_utf8(info.pallet_name.clone()).unwrap();
        assert!(
            AllPalletsWithSystem::infos().iter().any(|p| p.name == name),
            "{name} stores under a prefix of its own"
        );
        assert!(
            info.prefix
                .starts_with(&sp_io::hashing::twox_128(&info.pallet_name)),
            "{name}"
        );
    }
    // One in full, as explorers hard-code it.
    assert_eq!(
        hex::encode(frame_support::storage::storage_prefix(b"System", b"Account")),
        "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9"
    );
}

#[test]
fn tracks_should_not_move() {
    sp_io::TestExternalities::default().execute_with(|| {
        governance::tracks::Tracks::check_integrity().unwrap();
        let actual: Vec<_> = governance::tracks::Tracks::tracks()
            .map(|t| {
                (
                    t.id,
                    String::from_utf8_lossy(&t.info.name)
                        .trim_end_matches('\0')
                        .to_string(),
                )
            })
            .collect();
        let expected = [
            (0, "root"),
            (1, "whitelisted_caller"),
            (10, "parameters"),
            (11, "staking_admin"),
            (12, "frozen_disputes"),
            (20, "treasurer"),
            (21, "big_spender"),
            (22, "medium_spender"),
            (23, "small_spender"),
            (30, "referendum_canceller"),
            (31, "referendum_killer"),
        ]
        .map(|(id, name)| (id, name.to_string()));
        assert_eq!(actual, expected);
    });
}

#[test]
fn proxy_types_should_not_move() {
    let expected = [
        (ProxyType::Any, 0),
        (ProxyType::NonTransfer, 1),
        (ProxyType::Governance, 2),
        (ProxyType::Staking, 3),
        (ProxyType::NominationPools, 4),
        (ProxyType::CancelProxy, 5),
        (ProxyType::Assets, 6),
    ];
    for (kind, byte) in expected {
        assert_eq!(kind.encode(), [byte]);
    }
}

#[test]
fn session_keys_should_not_move() {
    use sp_runtime::traits::OpaqueKeys;
    assert_eq!(
        SessionKeys::key_ids(),
        [*b"babe", *b"gran", *b"audi"].map(sp_core::crypto::KeyTypeId)
    );
}

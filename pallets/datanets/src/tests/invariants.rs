//! Whatever people do: deposits are held while they are owed and given back once.

use super::common::watch::Grove;
use crate::{mock::*, Challenges, Contributions, NextContribution, NextDatanet, Reservations, VersionBonds};
use frame_support::traits::fungible::Mutate;
use openledger_attribution::{
    hash::Hash,
    verdict::{Duplicate, VersionEvidence, VersionRecord},
};
use openledger_protocol::{
    datanets::{Curation, Standing},
    disputes::{duplicate_commitment, version_commitment, Disputed},
};
use proptest::prelude::*;
use sp_runtime::DispatchResult;

/// What somebody does.
#[derive(Clone, Debug)]
enum Act {
    Blocks(u8),
    Create {
        who: usize,
        curated: bool,
    },
    Reserve {
        who: usize,
        datanet: u64,
        salt: u8,
    },
    Contribute {
        who: usize,
        datanet: u64,
        salt: u8,
    },
    Accept {
        who: usize,
        contribution: u64,
        weight: u16,
    },
    Reject {
        who: usize,
        contribution: u64,
    },
    Mature {
        contribution: u64,
    },
    Publish {
        who: usize,
        datanet: u64,
        parent: Option<u32>,
        count: u32,
    },
    Release {
        who: usize,
        datanet: u64,
        salt: u8,
    },
    /// Commits to evidence about a version, or that one contribution holds the records of another.
    Accuse {
        who: usize,
        claim: Claim,
    },
    Show {
        who: usize,
        claim: Claim,
    },
    Lapse {
        who: usize,
        claim: Claim,
    },
    Free {
        datanet: u64,
        version: u32,
    },
    Deposit(u128),
    Spend {
        who: usize,
        amount: u128,
    },
}

#[derive(Clone, Copy, Debug)]
enum Claim {
    /// The first record is not its contribution's; versions with so many records are meant.
    Version {
        datanet: u64,
        version: u32,
        count: u32,
    },
    Copied {
        first: u64,
        second: u64,
    },
}

impl Claim {
    fn about(&self) -> Disputed {
        match *self {
            Self::Version { datanet, version, .. } => Disputed::Version { datanet, version },
            Self::Copied { second, .. } => Disputed::Contribution(second),
        }
    }

    fn record(count: u32) -> VersionEvidence {
        VersionEvidence::Record(VersionRecord {
            leaf: Grove::new(&version_leaves(count)).open(0).unwrap(),
            record: None,
        })
    }

    fn copied(first: u64, second: u64) -> Duplicate {
        let leaf = Grove::new(&record_leaves(&[5, 6])).open(1).unwrap();
        Duplicate {
            first,
            original: leaf.clone(),
            second,
            copy: leaf,
        }
    }

    fn commitment(&self, who: &AccountId) -> Hash {
        let who = who.clone().into();
        match *self {
            Self::Version {
                datanet,
                version,
                count,
            } => version_commitment(&who, datanet, version, &SALT, &Self::record(count)),
            Self::Copied { first, second } => duplicate_commitment(&who, &SALT, &Self::copied(first, second)),
        }
    }

    fn show(&self, who: &AccountId) -> DispatchResult {
        match *self {
            Self::Version {
                datanet,
                version,
                count,
            } => Datanets::prove_version(signed(who), datanet, version, SALT, Box::new(Self::record(count))),
            Self::Copied { first, second } => {
                Datanets::prove_duplicate(signed(who), SALT, Box::new(Self::copied(first, second)))
            }
        }
    }
}

fn claim() -> impl Strategy<Value = Claim> {
    prop_oneof![
        (0u64..2, 0u32..2, 1u32..4).prop_map(|(datanet, version, count)| Claim::Version {
            datanet,
            version,
            count
        }),
        (0u64..4, 0u64..4).prop_map(|(first, second)| Claim::Copied { first, second }),
    ]
}

const SALT: Hash = [0x5A; 32];

const PEOPLE: [AccountId; 4] = [OWNER, CURATOR, ALICE, BOB];

fn act() -> impl Strategy<Value = Act> {
    let who = 0usize..4;
    let few = 0u64..4;
    prop_oneof![
        4 => (1u8..15).prop_map(Act::Blocks),
        2 => (who.clone(), any::<bool>()).prop_map(|(who, curated)| Act::Create { who, curated }),
        6 => (who.clone(), 0u64..3, 0u8..3).prop_map(|(who, datanet, salt)| Act::Reserve { who, datanet, salt }),
        6 => (who.clone(), 0u64..3, 0u8..3).prop_map(|(who, datanet, salt)| Act::Contribute { who, datanet, salt }),
        4 => (who.clone(), few.clone(), 0u16..10_002)
            .prop_map(|(who, contribution, weight)| Act::Accept { who, contribution, weight }),
        2 => (who.clone(), few.clone()).prop_map(|(who, contribution)| Act::Reject { who, contribution }),
        3 => few.prop_map(|contribution| Act::Mature { contribution }),
        3 => (who.clone(), 0u64..3, proptest::option::of(0u32..3), 0u32..4)
            .prop_map(|(who, datanet, parent, count)| Act::Publish { who, datanet, parent, count }),
        3 => (who.clone(), 0u64..3, 0u8..3).prop_map(|(who, datanet, salt)| Act::Release { who, datanet, salt }),
        6 => (0usize..2, claim()).prop_map(|(who, claim)| Act::Accuse { who, claim }),
        8 => (0usize..2, claim()).prop_map(|(who, claim)| Act::Show { who, claim }),
        3 => (0usize..2, claim()).prop_map(|(who, claim)| Act::Lapse { who, claim }),
        2 => (0u64..3, 0u32..3).prop_map(|(datanet, version)| Act::Free { datanet, version }),
        1 => (0u128..200).prop_map(Act::Deposit),
        1 => (who, 0u128..RICH).prop_map(|(who, amount)| Act::Spend { who, amount }),
    ]
}

/// Does `act`. Refusals are as good as successes here.
fn perform(act: &Act) {
    let root = records(&[5, 6]);
    let committed = |who: usize, datanet, salt: u8| commitment(&PEOPLE[who], datanet, &[salt; 32], &root);
    let by = |who: usize| signed(&PEOPLE[who]);
    let _ = match *act {
        Act::Blocks(count) => {
            blocks(count.into());
            Ok(())
        }
        Act::Create { who, curated } => {
            let curation = if curated {
                Curation::Curators(vec![CURATOR].try_into().unwrap())
            } else {
                Curation::Open
            };
            Datanets::create(by(who), name("any"), name("CC0-1.0"), curation)
        }
        Act::Reserve { who, datanet, salt } => Datanets::reserve(by(who), committed(who, datanet, salt)),
        Act::Contribute { who, datanet, salt } => {
            Datanets::contribute(by(who), datanet, [salt; 32], root, cid())
        }
        Act::Accept {
            who,
            contribution,
            weight,
        } => Datanets::accept(by(who), contribution, weight),
        Act::Reject { who, contribution } => Datanets::reject(by(who), contribution),
        Act::Mature { contribution } => Datanets::mature(by(3), contribution),
        Act::Publish {
            who,
            datanet,
            parent,
            count,
        } => Datanets::publish(by(who), datanet, parent, selection(count), cid()),
        Act::Release { who, datanet, salt } => Datanets::release(by(3), committed(who, datanet, salt)),
        Act::Accuse { who, claim } => {
            Datanets::challenge(by(who), claim.about(), claim.commitment(&PEOPLE[who]))
        }
        Act::Show { who, claim } => claim.show(&PEOPLE[who]),
        Act::Lapse { who, claim } => Datanets::lapse(by(3), claim.about(), PEOPLE[who].clone()),
        Act::Free { datanet, version } => Datanets::free_version(by(3), datanet, version),
        Act::Deposit(amount) => {
            ContributionDeposit::set(&amount);
            Ok(())
        }
        Act::Spend { who, amount } => Balances::transfer(
            &PEOPLE[who],
            &PEOPLE[(who + 1) % 4],
            amount,
            frame_support::traits::tokens::Preservation::Preserve,
        )
        .map(drop),
    };
}

/// Most lives above fail before anything is disputed: one in which everything works.
#[test]
fn a_life_with_disputes_should_end_with_nothing_held() {
    let claims = [
        Claim::Copied { first: 0, second: 1 },
        Claim::Version {
            datanet: 0,
            version: 0,
            count: 3,
        },
    ];
    scenario(|| {
        let of = |who, salt| {
            (
                Act::Reserve {
                    who,
                    datanet: 0,
                    salt,
                },
                Act::Contribute {
                    who,
                    datanet: 0,
                    salt,
                },
            )
        };
        let ((one, two), (three, four)) = (of(2, 0), of(3, 1));
        let create = Act::Create {
            who: 0,
            curated: true,
        };
        let publish = Act::Publish {
            who: 0,
            datanet: 0,
            parent: None,
            count: 3,
        };
        let mut acts = vec![create, one, two, Act::Blocks(2), three, four, publish];
        acts.extend(claims.map(|claim| Act::Accuse { who: 1, claim }));
        acts.push(Act::Blocks(1));
        acts.extend(claims.map(|claim| Act::Show { who: 1, claim }));
        for act in &acts {
            perform(act);
        }
        assert!(crate::Duplicates::<Test>::contains_key(1));
        assert!(
            VersionBonds::<Test>::get(0, 0).unwrap().void.is_some(),
            "nothing in it was accepted"
        );
        assert_eq!(PEOPLE.iter().map(held).sum::<u128>(), DATANET_DEPOSIT + 50);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_life_should_keep_the_supply_and_every_deposit(acts in prop::collection::vec(act(), 10..80)) {
        new_test_ext().execute_with(|| {
            let supply = Balances::total_issuance();
            for act in &acts {
                perform(act);
                Datanets::do_try_state().unwrap();
                prop_assert_eq!(Balances::total_issuance(), supply);
            }
            // When everything is decided and has run out, nothing is held but for the Datanets themselves.
            blocks(PERIOD + WINDOW + VERSION_WINDOW + PROVE + 1);
            for (about, who, _) in Challenges::<Test>::iter().collect::<Vec<_>>() {
                Datanets::lapse(signed(&BOB), about, who).unwrap();
            }
            for (datanet, version, bond) in VersionBonds::<Test>::iter().collect::<Vec<_>>() {
                if bond.deposit > 0 {
                    Datanets::free_version(signed(&BOB), datanet, version).unwrap();
                }
            }
            for contribution in 0..NextContribution::<Test>::get() {
                if Contributions::<Test>::get(contribution).unwrap().standing == Standing::Pending {
                    Datanets::mature(signed(&BOB), contribution)
                        .or_else(|_| Datanets::reject(signed(&CURATOR), contribution))
                        .unwrap();
                }
            }
            for commitment in Reservations::<Test>::iter_keys().collect::<Vec<_>>() {
                Datanets::release(signed(&BOB), commitment).unwrap();
            }
            let held: u128 = PEOPLE.iter().map(held).sum();
            prop_assert_eq!(held, u128::from(NextDatanet::<Test>::get()) * DATANET_DEPOSIT);
            Datanets::do_try_state().unwrap();
            Ok(())
        })?;
    }
}

#[test]
fn try_state_should_fail_when_a_deposit_is_not_held() {
    new_test_ext().execute_with(|| {
        let contribution = contributed(&ALICE, curated(), [0; 32]);
        Datanets::do_try_state().unwrap();
        Contributions::<Test>::mutate(contribution, |entry| entry.as_mut().unwrap().deposit += 1);
        Datanets::do_try_state().unwrap_err();
    });
}

#[test]
fn try_state_should_fail_when_a_version_is_missing_or_a_number_too_high() {
    new_test_ext().execute_with(|| {
        let datanet = curated();
        Datanets::publish(signed(&OWNER), datanet, None, selection(1), cid()).unwrap();
        Datanets::do_try_state().unwrap();
        let version = crate::Versions::<Test>::take(datanet, 0).unwrap();
        Datanets::do_try_state().unwrap_err();
        crate::Versions::<Test>::insert(datanet, 0, version);
        Datanets::do_try_state().unwrap();
        NextDatanet::<Test>::put(0);
        Datanets::do_try_state().unwrap_err();
    });
}

//! Whatever members do, in whatever order: the state adds up after each act, and no planck is made or lost.

use crate::{mock::*, CaseStage, Cases, Claims, SeatsOf};
use frame_support::{storage::with_storage_layer, traits::fungible::InspectHold};
use frame_system::RawOrigin;
use openledger_attribution::committee::Vote;
use openledger_traits::Committees as _;
use sp_runtime::DispatchError;
use std::collections::BTreeMap;

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let seed = number("ATTRIBUTION_SEED").unwrap_or_else(|| {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_nanos() as u64
    });
    println!("seed {seed} (again with ATTRIBUTION_SEED={seed})");
    let mut rng = Rng(seed);
    (0..count * number("ATTRIBUTION_SCALE").unwrap_or(1)).map(move |_| rng.next())
}

fn says(rng: &mut Rng) -> Says {
    match rng.below(8) {
        0..=3 => Says::Right,
        4 | 5 => Says::Wrong(rng.below(2) as u8),
        6 => Says::Missing(Vote::Wrong),
        _ => Says::Contradicts,
    }
}

#[test]
fn any_life_of_cases_should_add_up_and_leave_nothing_behind() {
    let mut ended: BTreeMap<String, u32> = BTreeMap::new();
    for seed in seeds(60) {
        let mut rng = Rng(seed);
        test(|| {
            outside(|o| o.entropy = rng.next());
            Size::set(&(1 + rng.below(5) as u32));
            Quorum::set(&(1 + rng.below(5) as u32));
            members(4 + rng.below(20) as u8);
            let issued = Balances::total_issuance()
                + workers(|all| all.values().map(|worker| worker.bond).sum::<u128>());
            let mut cases = Vec::new();
            let mut said: BTreeMap<(u64, AccountId), Says> = BTreeMap::new();
            for _ in 0..120 {
                let case = (!cases.is_empty()).then(|| cases[rng.below(cases.len() as u64) as usize]);
                let by = || Some(PAYER).into();
                let act = with_storage_layer::<_, DispatchError, _>(|| {
                    let Some(case) = case else {
                        return Ok(());
                    };
                    let who = Cases::<Test>::get(case)
                        .filter(|case| !case.seats.is_empty())
                        .map(|case| case.seats[rng.below(case.seats.len() as u64) as usize].member.clone())
                        .unwrap_or_else(|| nth(1 + rng.below(20) as u8));
                    match rng.below(10) {
                        0 => Committees::seat(by(), case).map(|_| ()).map_err(|error| error.error),
                        1..=3 => {
                            let says = says(&mut rng);
                            commit(case, &who, &says)?;
                            said.insert((case, who), says);
                            Ok(())
                        }
                        4..=7 => match said.get(&(case, who.clone())) {
                            Some(says) => reveal(case, &who, says),
                            None => Ok(()),
                        },
                        8 => close(case),
                        _ => Committees::decide(RawOrigin::Root.into(), case, Vote::Wrong),
                    }
                });
                let _ = act;
                if rng.below(10) == 0 && cases.len() < 6 {
                    let subject = if rng.below(2) == 0 { private() } else { public() };
                    let mut hearing = hearing(subject);
                    if rng.below(3) == 0 {
                        hearing.payer = ACCUSED;
                        hearing.audit = Some(([rng.below(256) as u8; 32], System::block_number() as u32));
                    }
                    cases.push(Committees::open(hearing).unwrap());
                }
                if rng.below(3) == 0 {
                    advance(1 + rng.below(4));
                }
                Committees::do_try_state().unwrap();
            }
            // Everything is brought to an end.
            for _ in 0..4 {
                advance(3 * EPOCH + LONG + REVEAL);
                for case in &cases {
                    let by = || Some(PAYER).into();
                    let _ = with_storage_layer(|| Committees::seat(by(), *case).map_err(|error| error.error));
                }
                advance(LONG + REVEAL + 2);
                for case in &cases {
                    let _ = with_storage_layer(|| close(*case));
                    Committees::do_try_state().unwrap();
                }
            }
            for (case, _) in Cases::<Test>::iter().map(|(id, case)| (id, case.stage)).collect::<Vec<_>>() {
                assert!(
                    matches!(Cases::<Test>::get(case).unwrap().stage, CaseStage::Frozen { .. }),
                    "seed {seed}"
                );
                Committees::decide(RawOrigin::Root.into(), case, Vote::Right).unwrap();
            }
            assert_eq!(SeatsOf::<Test>::iter().count() + Claims::<Test>::iter().count(), 0);
            assert_eq!(Balances::total_balance_on_hold(&PAYER), 0);
            assert!(workers(|all| all.values().all(|worker| worker.open == 0)));
            let left = Balances::total_issuance()
                + workers(|all| all.values().map(|worker| worker.bond).sum::<u128>());
            let slashed = outside(|o| o.slashed);
            assert_eq!(left + slashed, issued, "seed {seed}");
            outside(|o| {
                assert_eq!(o.ended.len(), cases.len());
                for (_, _, ending) in &o.ended {
                    *ended.entry(format!("{ending:?}")).or_default() += 1;
                }
            });
        });
    }
    println!("cases ended: {ended:?}");
    assert!(ended.len() >= 3, "some ending was never met: {ended:?}");
}

//! Disputes: versions that are not what they say, contributions that hold somebody else's records.

use crate::pallet::{
    ChallengeCounts, Challenges, Config, Contributions, Duplicates, Error, Event, HoldReason, Pallet,
    VersionBonds, Versions,
};
use core::marker::PhantomData;
use frame_support::{
    dispatch::DispatchResult,
    ensure,
    traits::{
        fungible::MutateHold,
        tokens::{Fortitude, Precision, Restriction},
        Get,
    },
};
use openledger_attribution::{
    hash::Hash,
    verdict::{
        judge_duplicate, judge_version, Contribution as KnownContribution, Duplicate, Registry, Verdict,
        VersionEvidence, VersionFacts,
    },
};
use openledger_protocol::{
    batches::Challenge,
    datanets::{Contribution, Standing},
    disputes::{duplicate_commitment, version_commitment, Disputed, VersionBond},
    staking::Pool,
};
use openledger_traits::Stakes;
use sp_runtime::DispatchError;

/// Most challenges of one version or contribution that are not decided.
pub const MAX_CHALLENGES: u32 = 16;

/// Part of a lost deposit that its challenger gets: one in this many.
const CHALLENGER_PART: u128 = 4;

/// Bits of a reservation's number for what tells reservations of one block apart.
const WITHIN_BLOCK: u32 = 32;

/// What a version published in some block may hold: accepted contributions that were not known for duplicates then.
struct Admitted<T> {
    published: u32,
    chain: PhantomData<T>,
}

impl<T: Config> Registry for Admitted<T> {
    fn contribution(&self, id: u64) -> Option<KnownContribution> {
        let entry = Contributions::<T>::get(id)?;
        let is_accepted = matches!(entry.standing, Standing::Accepted { .. });
        let is_original = Duplicates::<T>::get(id).is_none_or(|since| since >= self.published);
        (is_accepted && is_original).then(|| known::<T>(id, &entry))
    }
}

/// Contributions as a duplicate is judged by: who was rejected may try again elsewhere with its own.
struct Registrants<T: Config> {
    accused: u64,
    contributor: T::AccountId,
}

impl<T: Config> Registry for Registrants<T> {
    fn contribution(&self, id: u64) -> Option<KnownContribution> {
        let entry = Contributions::<T>::get(id)?;
        let was_own_try = id != self.accused
            && entry.standing == Standing::Rejected
            && entry.contributor == self.contributor;
        (!was_own_try).then(|| known::<T>(id, &entry))
    }
}

/// What verdicts know of a contribution. Of two reservations of one block that is earlier whose contribution came first:
/// neither could see the other.
fn known<T: Config>(id: u64, entry: &Contribution<T::AccountId>) -> KnownContribution {
    let within = id.min(u64::from(u32::MAX));
    KnownContribution {
        contributor: entry.contributor.clone().into(),
        records: entry.records,
        reserved: (u64::from(entry.reserved) << WITHIN_BLOCK) | within,
    }
}

impl<T: Config> openledger_traits::Contributions for Pallet<T> {
    fn contribution(id: u64) -> Option<KnownContribution> {
        Contributions::<T>::get(id).map(|entry| known::<T>(id, &entry))
    }
}

impl<T: Config> Pallet<T> {
    /// What stands behind a version that can still be proved wrong.
    fn disputable(datanet: u64, version: u32) -> Result<VersionBond<T::AccountId>, DispatchError> {
        let bond = VersionBonds::<T>::get(datanet, version).ok_or(Error::<T>::UnknownVersion)?;
        ensure!(bond.void.is_none(), Error::<T>::AlreadyProved);
        ensure!(bond.deposit > 0, Error::<T>::NothingBehind);
        Ok(bond)
    }

    pub(crate) fn do_challenge(who: T::AccountId, about: Disputed, commitment: Hash) -> DispatchResult {
        match about {
            Disputed::Version { datanet, version } => {
                let bond = Self::disputable(datanet, version)?;
                ensure!(Self::now() < bond.closes, Error::<T>::TooLate);
            }
            Disputed::Contribution(id) => {
                ensure!(
                    Contributions::<T>::contains_key(id),
                    Error::<T>::UnknownContribution
                );
                ensure!(!Duplicates::<T>::contains_key(id), Error::<T>::AlreadyProved);
            }
        }
        ensure!(
            !Challenges::<T>::contains_key(about, &who),
            Error::<T>::ChallengeExists
        );
        let count = ChallengeCounts::<T>::get(about);
        ensure!(count < MAX_CHALLENGES, Error::<T>::TooManyChallenges);
        let deposit = T::ChallengeDeposit::get();
        Self::hold(HoldReason::Challenge, &who, deposit)?;
        if let Disputed::Version { datanet, .. } = about {
            T::Stakes::freeze(&Pool::Datanet(datanet))?;
        }
        let since = Self::now();
        let until = since.saturating_add(Self::height(T::ProvePeriod::get()));
        ChallengeCounts::<T>::insert(about, count.saturating_add(1));
        Challenges::<T>::insert(
            about,
            &who,
            Challenge {
                commitment,
                since,
                until,
                deposit,
            },
        );
        Self::deposit_event(Event::Challenged {
            about,
            challenger: who,
            until,
        });
        Ok(())
    }

    pub(crate) fn do_prove_version(
        who: T::AccountId,
        (datanet, version): (u64, u32),
        salt: &Hash,
        evidence: &VersionEvidence,
    ) -> DispatchResult {
        let about = Disputed::Version { datanet, version };
        let mut bond = Self::disputable(datanet, version)?;
        let commitment = version_commitment(&who.clone().into(), datanet, version, salt, evidence);
        let challenge = Self::shown(about, &who, &commitment)?;
        let entry = Versions::<T>::get(datanet, version).ok_or(Error::<T>::UnknownVersion)?;
        let facts = VersionFacts {
            records: entry.records,
            registry: &Admitted::<T> {
                published: entry.published,
                chain: PhantomData,
            },
        };
        let guilt = match judge_version(&facts, evidence) {
            Verdict::Guilty(guilt) => guilt,
            Verdict::NotProven(doubt) => {
                T::Stakes::thaw(&Pool::Datanet(datanet));
                return Self::not_proven(about, who, challenge, doubt);
            }
        };
        Self::give_back(HoldReason::Challenge, &who, challenge.deposit)?;
        let lost = Self::slash(HoldReason::Version, &bond.publisher, bond.deposit, &who)?;
        // Whoever stakes behind a Datanet vouches for what it publishes.
        let pool = Pool::Datanet(datanet);
        T::Stakes::slash(&pool, T::StakeSlash::get().mul_ceil(T::Stakes::total(&pool)));
        T::Stakes::thaw(&pool);
        bond.deposit = 0;
        bond.void = Some(guilt);
        let publisher = bond.publisher.clone();
        VersionBonds::<T>::insert(datanet, version, bond);
        Self::deposit_event(Event::Proved {
            about,
            guilt,
            challenger: who,
            guilty: publisher,
            lost,
        });
        Ok(())
    }

    pub(crate) fn do_prove_duplicate(who: T::AccountId, salt: &Hash, evidence: &Duplicate) -> DispatchResult {
        let id = evidence.second;
        let about = Disputed::Contribution(id);
        let mut entry = Contributions::<T>::get(id).ok_or(Error::<T>::UnknownContribution)?;
        ensure!(!Duplicates::<T>::contains_key(id), Error::<T>::AlreadyProved);
        let commitment = duplicate_commitment(&who.clone().into(), salt, evidence);
        let challenge = Self::shown(about, &who, &commitment)?;
        let registry = Registrants::<T> {
            accused: id,
            contributor: entry.contributor.clone(),
        };
        let guilt = match judge_duplicate(&registry, evidence) {
            Verdict::Guilty(guilt) => guilt,
            Verdict::NotProven(doubt) => return Self::not_proven(about, who, challenge, doubt),
        };
        Self::give_back(HoldReason::Challenge, &who, challenge.deposit)?;
        let lost = Self::slash(HoldReason::Contribution, &entry.contributor, entry.deposit, &who)?;
        entry.deposit = 0;
        if entry.standing == Standing::Pending {
            entry.standing = Standing::Rejected;
        }
        let guilty = entry.contributor.clone();
        Contributions::<T>::insert(id, entry);
        Duplicates::<T>::insert(id, Self::now());
        Self::deposit_event(Event::Proved {
            about,
            guilt,
            challenger: who,
            guilty,
            lost,
        });
        Ok(())
    }

    pub(crate) fn do_lapse(about: Disputed, challenger: T::AccountId) -> DispatchResult {
        let challenge = Challenges::<T>::get(about, &challenger).ok_or(Error::<T>::NoChallenge)?;
        let is_decided = match about {
            Disputed::Version { datanet, version } => {
                VersionBonds::<T>::get(datanet, version).is_none_or(|bond| bond.void.is_some())
            }
            Disputed::Contribution(id) => Duplicates::<T>::contains_key(id),
        };
        let lost = if is_decided {
            Self::give_back(HoldReason::Challenge, &challenger, challenge.deposit)?;
            0
        } else {
            ensure!(Self::now() > challenge.until, Error::<T>::TooEarly);
            Self::take(
                HoldReason::Challenge,
                &challenger,
                &T::Treasury::get(),
                challenge.deposit,
            )?
        };
        Self::drop_challenge(about, &challenger);
        if let Disputed::Version { datanet, .. } = about {
            T::Stakes::thaw(&Pool::Datanet(datanet));
        }
        Self::deposit_event(Event::Lapsed {
            about,
            challenger,
            lost,
        });
        Ok(())
    }

    pub(crate) fn do_free_version(datanet: u64, version: u32) -> DispatchResult {
        let mut bond = Self::disputable(datanet, version)?;
        ensure!(Self::now() >= bond.closes, Error::<T>::TooEarly);
        ensure!(
            ChallengeCounts::<T>::get(Disputed::Version { datanet, version }) == 0,
            Error::<T>::TooEarly
        );
        let (who, deposit) = (bond.publisher.clone(), bond.deposit);
        Self::give_back(HoldReason::Version, &who, deposit)?;
        bond.deposit = 0;
        VersionBonds::<T>::insert(datanet, version, bond);
        Self::deposit_event(Event::VersionFreed {
            datanet,
            version,
            who,
            deposit,
        });
        Ok(())
    }

    /// The challenge that this commitment was made for, if its evidence may be shown now; it is over then.
    fn shown(about: Disputed, who: &T::AccountId, commitment: &Hash) -> Result<Challenge, DispatchError> {
        let challenge = Challenges::<T>::get(about, who).ok_or(Error::<T>::NoChallenge)?;
        ensure!(Self::now() > challenge.since, Error::<T>::SameBlock);
        ensure!(Self::now() <= challenge.until, Error::<T>::TooLate);
        ensure!(*commitment == challenge.commitment, Error::<T>::OtherEvidence);
        Self::drop_challenge(about, who);
        Ok(challenge)
    }

    fn drop_challenge(about: Disputed, who: &T::AccountId) {
        Challenges::<T>::remove(about, who);
        ChallengeCounts::<T>::mutate_exists(about, |count| {
            *count = count
                .map(|count| count.saturating_sub(1))
                .filter(|count| *count > 0);
        });
    }

    fn not_proven(
        about: Disputed,
        challenger: T::AccountId,
        challenge: Challenge,
        doubt: openledger_attribution::verdict::Doubt,
    ) -> DispatchResult {
        let lost = Self::take(
            HoldReason::Challenge,
            &challenger,
            &T::Treasury::get(),
            challenge.deposit,
        )?;
        Self::deposit_event(Event::NotProven {
            about,
            challenger,
            doubt,
            lost,
        });
        Ok(())
    }

    /// Takes a deposit: a quarter to the challenger unless it accused itself, the rest to the treasury. Returns what was taken.
    fn slash(
        reason: HoldReason,
        guilty: &T::AccountId,
        deposit: u128,
        challenger: &T::AccountId,
    ) -> Result<u128, DispatchError> {
        let reward = if challenger == guilty {
            0
        } else {
            deposit.checked_div(CHALLENGER_PART).unwrap_or(0)
        };
        let rewarded = Self::take(reason, guilty, challenger, reward)?;
        let rest = Self::take(
            reason,
            guilty,
            &T::Treasury::get(),
            deposit.saturating_sub(rewarded),
        )?;
        Ok(rewarded.saturating_add(rest))
    }

    fn take(
        reason: HoldReason,
        from: &T::AccountId,
        to: &T::AccountId,
        amount: u128,
    ) -> Result<u128, DispatchError> {
        if amount == 0 {
            return Ok(0);
        }
        T::Currency::transfer_on_hold(
            &reason.into(),
            from,
            to,
            amount,
            Precision::BestEffort,
            Restriction::Free,
            Fortitude::Force,
        )
    }
}

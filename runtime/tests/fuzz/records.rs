//! Moves of contributors, curators, owners and stakers: Datanets, channels, stakes, rewards.

use crate::{
    play::{actor, name, Move, Play, Try},
    random::amount,
};
use frame_support::BoundedVec;
use openledger_attribution::{
    record::{reservation, RecordId, RecordLeaf, VersionLeaf},
    tree::Tree,
    verdict::{Duplicate, VersionEvidence, VersionRecord},
};
use openledger_protocol::{
    datanets::{Curation, Standing},
    disputes::{duplicate_commitment, version_commitment, Disputed},
    staking::Pool,
};
use openledger_runtime::{currency::OPEN, *};
use openledger_traits::{Asset, Ownership};
use pallet_openledger_channels as channels;
use pallet_openledger_datanets as datanets;
use pallet_openledger_open_staking as staking;

pub(crate) const MOVES: &[(u64, Move)] = &[
    (2, create),
    (8, reserve),
    (8, contribute),
    (8, decide),
    (3, mature),
    (5, publish),
    (2, release),
    (4, challenge_version),
    (3, challenge_duplicate),
    (5, prove),
    (2, lapse),
    (2, free_version),
    (4, open_channel),
    (1, top_up),
    (1, close),
    (2, finish),
    (5, stake),
    (4, unstake),
    (3, withdraw),
    (1, withdraw_for),
    (2, claim),
    (1, claim_for),
    (1, give_away),
];

/// A reservation that was made, as its contributor remembers it.
#[derive(Clone)]
pub(crate) struct Reserved {
    who: sp_keyring::Sr25519Keyring,
    datanet: u64,
    salt: [u8; 32],
    leaves: Vec<RecordLeaf>,
}

/// Evidence that somebody committed to.
pub(crate) enum Accusation {
    Version(u64, u32, Box<VersionEvidence>),
    Duplicate(Box<Duplicate>),
}

fn create(play: &mut Play) -> Option<Try> {
    let curation = if play.rng.chance(40) {
        Curation::Open
    } else {
        let curators = play.actors.iter().take(1 + play.rng.below(3) as usize);
        Curation::Curators(BoundedVec::truncate_from(
            curators.map(|who| who.to_account_id()).collect(),
        ))
    };
    let call = datanets::Call::create {
        name: name("net"),
        licence: name("CC0-1.0"),
        curation,
    };
    Some(Try::any(play, call))
}

fn reserve(play: &mut Play) -> Option<Try> {
    let datanet = play.some(datanets::NextDatanet::<Runtime>::get())?;
    let who = play.anyone();
    let salt = play.rng.hash();
    // Few contents, so that some are somebody else's.
    let leaves: Vec<_> = (0..1 + play.rng.below(4))
        .map(|_| RecordLeaf {
            content: [play.rng.below(60) as u8; 32],
            bytes: 1 + play.rng.below(500) as u32,
        })
        .collect();
    let root = Tree::new(&leaves).ok()?.root().hash::<RecordLeaf>();
    let commitment = reservation(&who.to_account_id().into(), datanet, &salt, &root);
    play.stock.hashes.push(commitment);
    play.reserved.push(Reserved {
        who,
        datanet,
        salt,
        leaves,
    });
    Some(Try::signed(who, datanets::Call::reserve { commitment }))
}

fn contribute(play: &mut Play) -> Option<Try> {
    let at = play.some(play.reserved.len() as u64)? as usize;
    // Now and then it stays there to be tried again.
    let Reserved {
        who,
        datanet,
        salt,
        leaves,
    } = if play.rng.chance(90) {
        play.reserved.swap_remove(at)
    } else {
        play.reserved[at].clone()
    };
    let records = Tree::new(&leaves).ok()?.root();
    play.records.insert(records.top, leaves);
    let who = if play.rng.chance(97) { who } else { play.anyone() };
    Some(Try::signed(
        who,
        datanets::Call::contribute {
            datanet,
            salt,
            records,
            cid: name("cid").into_inner().try_into().ok()?,
        },
    ))
}

/// A contribution that waits, and its Datanet.
fn pending(play: &mut Play) -> Option<(u64, openledger_protocol::datanets::Contribution<AccountId>)> {
    let all: Vec<_> = datanets::Contributions::<Runtime>::iter()
        .filter(|(_, entry)| entry.standing == Standing::Pending)
        .collect();
    play.rng.pick(&all).cloned()
}

fn decide(play: &mut Play) -> Option<Try> {
    let (contribution, entry) = pending(play)?;
    let Curation::Curators(curators) = datanets::Datanets::<Runtime>::get(entry.datanet)?.curation else {
        return None;
    };
    let who = actor(play.rng.pick(&curators)?)?;
    Some(Try::signed(
        who,
        if play.rng.chance(80) {
            datanets::Call::accept {
                contribution,
                weight: 1 + play.rng.below(10_000) as u16,
            }
        } else {
            datanets::Call::reject { contribution }
        },
    ))
}

fn mature(play: &mut Play) -> Option<Try> {
    let (contribution, _) = pending(play)?;
    Some(Try::any(play, datanets::Call::mature { contribution }))
}

/// Every accepted record, in order, each its own family; now and then under somebody else's name.
fn publish(play: &mut Play) -> Option<Try> {
    let datanet = play.some(datanets::NextDatanet::<Runtime>::get())?;
    let owner = actor(&config::ownership::Items::owner(Asset::Datanet(datanet))?)?;
    let lies = play.rng.chance(30);
    let mut leaves = Vec::new();
    for (contribution, entry) in datanets::Contributions::<Runtime>::iter() {
        if entry.datanet != datanet || !matches!(entry.standing, Standing::Accepted { .. }) {
            continue;
        }
        for (index, record) in play.records.get(&entry.records.top)?.iter().enumerate() {
            let id = RecordId {
                contribution,
                index: index as u32,
            };
            let contributor = if lies {
                [0x11; 32]
            } else {
                entry.contributor.clone().into()
            };
            leaves.push(VersionLeaf {
                record: id,
                contributor,
                content: record.content,
                representative: id,
            });
        }
    }
    leaves.sort_by_key(|leaf| leaf.record);
    leaves.truncate(24);
    let records = Tree::new(&leaves).ok()?.root();
    play.versions.insert(records.top, leaves);
    let parent = datanets::Datanets::<Runtime>::get(datanet)?
        .versions
        .checked_sub(1);
    let cid = name("cid").into_inner().try_into().ok()?;
    Some(Try::signed(
        owner,
        datanets::Call::publish {
            datanet,
            parent,
            records,
            cid,
        },
    ))
}

fn release(play: &mut Play) -> Option<Try> {
    let all: Vec<_> = datanets::Reservations::<Runtime>::iter_keys().collect();
    let commitment = *play.rng.pick(&all)?;
    Some(Try::any(play, datanets::Call::release { commitment }))
}

/// Accuses a record of a version, rightly or wrongly.
fn challenge_version(play: &mut Play) -> Option<Try> {
    let all: Vec<_> = datanets::VersionBonds::<Runtime>::iter_keys().collect();
    let (datanet, version) = *play.rng.pick(&all)?;
    let published = datanets::Versions::<Runtime>::get(datanet, version)?;
    let leaves = play.versions.get(&published.records.top)?;
    let at = play.rng.below(leaves.len() as u64);
    let leaf = leaves[at as usize];
    let records = datanets::Contributions::<Runtime>::get(leaf.record.contribution)
        .and_then(|entry| play.records.get(&entry.records.top));
    let evidence = VersionEvidence::Record(VersionRecord {
        leaf: Tree::new(leaves).ok()?.open(at, &leaf)?,
        record: records.and_then(|records| {
            let index = leaf.record.index;
            Tree::new(records)
                .ok()?
                .open(index.into(), records.get(index as usize)?)
        }),
    });
    let (who, salt) = (play.anyone(), play.rng.hash());
    let account = who.to_account_id().into();
    let commitment = version_commitment(&account, datanet, version, &salt, &evidence);
    play.accusations.push((
        who,
        salt,
        Accusation::Version(datanet, version, Box::new(evidence)),
    ));
    Some(Try::signed(
        who,
        datanets::Call::challenge {
            about: Disputed::Version { datanet, version },
            commitment,
        },
    ))
}

/// Says that a record of one contribution is in an earlier one.
fn challenge_duplicate(play: &mut Play) -> Option<Try> {
    let (first, second) = {
        let next = datanets::NextContribution::<Runtime>::get();
        (play.some(next)?, play.some(next)?)
    };
    let leaves = |id| {
        let entry = datanets::Contributions::<Runtime>::get(id)?;
        play.records.get(&entry.records.top).cloned()
    };
    let (of_first, of_second) = (leaves(first)?, leaves(second)?);
    let same = |a: &RecordLeaf| of_second.iter().position(|b| a.content == b.content);
    let (i, j) = of_first
        .iter()
        .enumerate()
        .find_map(|(i, a)| Some((i, same(a)?)))
        .unwrap_or((0, 0));
    let evidence = Duplicate {
        first,
        original: Tree::new(&of_first).ok()?.open(i as u64, &of_first[i])?,
        second,
        copy: Tree::new(&of_second).ok()?.open(j as u64, &of_second[j])?,
    };
    let (who, salt) = (play.anyone(), play.rng.hash());
    let commitment = duplicate_commitment(&who.to_account_id().into(), &salt, &evidence);
    play.accusations
        .push((who, salt, Accusation::Duplicate(Box::new(evidence))));
    Some(Try::signed(
        who,
        datanets::Call::challenge {
            about: Disputed::Contribution(second),
            commitment,
        },
    ))
}

fn prove(play: &mut Play) -> Option<Try> {
    let at = play.some(play.accusations.len() as u64)? as usize;
    let (who, salt, accusation) = play.accusations.swap_remove(at);
    Some(Try::signed(
        who,
        match accusation {
            Accusation::Version(datanet, version, evidence) => datanets::Call::prove_version {
                datanet,
                version,
                salt,
                evidence,
            },
            Accusation::Duplicate(evidence) => datanets::Call::prove_duplicate { salt, evidence },
        },
    ))
}

fn lapse(play: &mut Play) -> Option<Try> {
    let all: Vec<_> = datanets::Challenges::<Runtime>::iter_keys().collect();
    let (about, challenger) = play.rng.pick(&all)?.clone();
    Some(Try::any(play, datanets::Call::lapse { about, challenger }))
}

fn free_version(play: &mut Play) -> Option<Try> {
    let all: Vec<_> = datanets::VersionBonds::<Runtime>::iter_keys().collect();
    let (datanet, version) = *play.rng.pick(&all)?;
    Some(Try::any(play, datanets::Call::free_version { datanet, version }))
}

fn open_channel(play: &mut Play) -> Option<Try> {
    let workers: Vec<_> = pallet_openledger_compute::Workers::<Runtime>::iter_keys().collect();
    let worker = play.rng.pick(&workers)?.clone();
    let deposit = OPEN * u128::from(1 + play.rng.below(50));
    Some(Try::any(play, channels::Call::open { worker, deposit }))
}

fn channel(play: &mut Play) -> Option<(u64, openledger_protocol::channels::Channel<AccountId>)> {
    let all: Vec<_> = channels::Channels::<Runtime>::iter().collect();
    play.rng.pick(&all).cloned()
}

fn top_up(play: &mut Play) -> Option<Try> {
    let (channel, open) = channel(play)?;
    Some(Try::signed(
        actor(&open.consumer)?,
        channels::Call::top_up {
            channel,
            amount: amount(&mut play.rng),
        },
    ))
}

fn close(play: &mut Play) -> Option<Try> {
    let (channel, open) = channel(play)?;
    Some(Try::signed(
        actor(&open.consumer)?,
        channels::Call::close { channel },
    ))
}

fn finish(play: &mut Play) -> Option<Try> {
    let closing: Vec<_> = channels::Channels::<Runtime>::iter()
        .filter(|(_, open)| open.closing.is_some())
        .map(|(channel, _)| channel)
        .collect();
    let channel = *play.rng.pick(&closing)?;
    Some(Try::any(play, channels::Call::finish { channel }))
}

fn stake(play: &mut Play) -> Option<Try> {
    let pool = match play.rng.below(3) {
        0 => Pool::Datanet(play.some(datanets::NextDatanet::<Runtime>::get())?),
        1 => Pool::Model(play.some(pallet_openledger_models::NextModel::<Runtime>::get())?),
        _ => {
            let workers: Vec<_> = pallet_openledger_compute::Workers::<Runtime>::iter_keys().collect();
            Pool::Worker(play.rng.pick(&workers)?.clone())
        }
    };
    let amount = OPEN * u128::from(1 + play.rng.below(1_000));
    Some(Try::any(
        play,
        staking::Call::stake {
            pool,
            amount,
            min_shares: 0,
        },
    ))
}

/// Somebody with a stake, and how many shares.
fn staker(play: &mut Play) -> Option<(Pool<AccountId>, AccountId, u128)> {
    let all: Vec<_> = staking::Stakers::<Runtime>::iter().collect();
    let (pool, who, staker) = play.rng.pick(&all)?.clone();
    Some((pool, who, staker.shares))
}

fn unstake(play: &mut Play) -> Option<Try> {
    let (pool, who, shares) = staker(play)?;
    let shares = if play.rng.chance(30) {
        shares
    } else {
        shares / u128::from(1 + play.rng.below(9))
    };
    Some(Try::signed(actor(&who)?, staking::Call::unstake { pool, shares }))
}

fn withdraw(play: &mut Play) -> Option<Try> {
    let (pool, who, _) = staker(play)?;
    Some(Try::signed(actor(&who)?, staking::Call::withdraw { pool }))
}

fn withdraw_for(play: &mut Play) -> Option<Try> {
    let (pool, who, _) = staker(play)?;
    Some(Try::any(play, staking::Call::withdraw_for { pool, who }))
}

fn claim(play: &mut Play) -> Option<Try> {
    let all: Vec<_> = pallet_openledger_rewards::Credits::<Runtime>::iter_keys().collect();
    let who = actor(play.rng.pick(&all)?)?;
    Some(Try::signed(who, pallet_openledger_rewards::Call::claim {}))
}

fn claim_for(play: &mut Play) -> Option<Try> {
    let all: Vec<_> = pallet_openledger_rewards::Credits::<Runtime>::iter_keys().collect();
    let who = play.rng.pick(&all)?.clone();
    Some(Try::any(play, pallet_openledger_rewards::Call::claim_for { who }))
}

/// A Datanet or a model changes hands.
fn give_away(play: &mut Play) -> Option<Try> {
    let (collection, asset) = if play.rng.chance(50) {
        (
            config::ownership::DATANETS,
            Asset::Datanet(play.some(datanets::NextDatanet::<Runtime>::get())?),
        )
    } else {
        (
            config::ownership::MODELS,
            Asset::Model(play.some(pallet_openledger_models::NextModel::<Runtime>::get())?),
        )
    };
    let owner = actor(&config::ownership::Items::owner(asset)?)?;
    let (Asset::Datanet(item) | Asset::Model(item)) = asset;
    let dest = play.anyone().to_account_id().into();
    Some(Try::signed(
        owner,
        pallet_nfts::Call::transfer {
            collection,
            item: item as u32,
            dest,
        },
    ))
}

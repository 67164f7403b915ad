//! Who acts and what they remember; a table of everything they may try.
//!
//! A new pallet's calls are tried with random arguments as soon as the runtime has them. For a call that needs more than luck,
//! add a move: a function that looks at the chain and at what [`Play`] remembers, and gives a [`Try`] or nothing.

use crate::{
    answers, money,
    random::{value, Rng, Stock},
    records,
};
use codec::DecodeAll;
use frame_support::traits::{GetCallMetadata, PalletInfoData, PalletsInfoAccess};
use openledger_attribution::record::{RecordLeaf, VersionLeaf};
use openledger_protocol::Name;
use openledger_runtime::*;
use scale_info::{MetaType, PortableRegistry, Registry, TypeDef};
use sp_keyring::Sr25519Keyring;
use std::collections::HashMap;

/// Who tries something.
pub(crate) enum Sender {
    Signed(Sr25519Keyring),
    /// Nobody: the call carries its own authority.
    Authorized,
    /// Governance.
    Root,
}

/// A call that somebody tries.
pub(crate) struct Try {
    pub(crate) sender: Sender,
    pub(crate) call: RuntimeCall,
}

impl Try {
    pub(crate) fn signed(who: Sr25519Keyring, call: impl Into<RuntimeCall>) -> Self {
        Try {
            sender: Sender::Signed(who),
            call: call.into(),
        }
    }
    /// By anybody.
    pub(crate) fn any(play: &mut Play, call: impl Into<RuntimeCall>) -> Self {
        Self::signed(play.anyone(), call)
    }
}

/// Gives something to try, if the chain is in a state for it.
pub(crate) type Move = fn(&mut Play) -> Option<Try>;

/// Everything that is tried with a plan, by theme; the numbers say how often.
const THEMES: &[&[(u64, Move)]] = &[records::MOVES, answers::MOVES, money::MOVES];

/// The actors and what they remember.
pub(crate) struct Play {
    pub(crate) rng: Rng,
    pub(crate) actors: Vec<Sr25519Keyring>,
    pub(crate) stock: Stock,
    pub(crate) reserved: Vec<records::Reserved>,
    /// Records by the top of their tree.
    pub(crate) records: HashMap<[u8; 32], Vec<RecordLeaf>>,
    /// Versions' records by the top of their tree.
    pub(crate) versions: HashMap<[u8; 32], Vec<VersionLeaf>>,
    pub(crate) accusations: Vec<(Sr25519Keyring, [u8; 32], records::Accusation)>,
    pub(crate) answers: answers::Memory,
    types: PortableRegistry,
    /// Every pallet with calls: its index, the type of its calls, whether it is ours.
    pallets: Vec<(u8, u32, bool)>,
    moves: Vec<Move>,
}

/// Hashes kept to be used as arguments.
const KEPT: usize = 64;

impl Play {
    pub(crate) fn new(seed: u64) -> Self {
        use Sr25519Keyring::*;
        let mut registry = Registry::new();
        let id = registry.register_type(&MetaType::new::<RuntimeCall>()).id;
        let types = PortableRegistry::from(registry);
        let TypeDef::Variant(outer) = &types.resolve(id).expect("the call is registered").type_def else {
            unreachable!("the outer call is an enumeration")
        };
        let pallets = outer
            .variants
            .iter()
            .map(|of| (of.index, of.fields[0].ty.id, is_own(&of.name)))
            .collect();
        let actors = vec![Alice, Bob, Charlie, Dave, Eve, Ferdie];
        let mut stock = Stock::default();
        stock
            .accounts
            .extend(actors.iter().map(|who| <[u8; 32]>::from(who.to_account_id())));
        let moves = THEMES
            .iter()
            .flat_map(|theme| theme.iter())
            .flat_map(|(weight, of)| std::iter::repeat_n(*of, *weight as usize))
            .collect();
        Play {
            rng: Rng(seed),
            actors,
            stock,
            reserved: vec![],
            records: HashMap::new(),
            versions: HashMap::new(),
            accusations: vec![],
            answers: Default::default(),
            types,
            pallets,
            moves,
        }
    }

    pub(crate) fn anyone(&mut self) -> Sr25519Keyring {
        self.actors[self.rng.below(self.actors.len() as u64) as usize]
    }

    /// A number below `end`, if there is one.
    pub(crate) fn some(&mut self, end: u64) -> Option<u64> {
        (end > 0).then(|| self.rng.below(end))
    }

    /// What is tried next.
    pub(crate) fn next(&mut self) -> Try {
        self.stock.block = System::block_number();
        let excess = self.stock.hashes.len().saturating_sub(KEPT);
        self.stock.hashes.drain(..excess);
        loop {
            let tried = match self.rng.below(100) {
                0..=17 => self.arbitrary(),
                18..=19 => self.nested(),
                _ => self.planned(),
            };
            if let Some(tried) = tried {
                return tried;
            }
        }
    }

    fn planned(&mut self) -> Option<Try> {
        let at = self.rng.below(self.moves.len() as u64) as usize;
        let of = self.moves[at];
        of(self)
    }

    /// Any call with any arguments of the right types; half of them of our own pallets.
    fn arbitrary(&mut self) -> Option<Try> {
        let own = self.rng.chance(50);
        let among: Vec<_> = self.pallets.iter().filter(|of| !own || of.2).collect();
        let (index, calls, _) = **self.rng.pick(&among)?;
        let mut bytes = vec![index];
        value(&mut self.rng, &self.types, &self.stock, calls, 0, &mut bytes)?;
        let call = RuntimeCall::decode_all(&mut &bytes[..]).ok()?;
        let sender = if self.rng.chance(2) && is_own(call.get_call_metadata().pallet_name) {
            Sender::Root
        } else {
            Sender::Signed(self.anyone())
        };
        Some(Try { sender, call })
    }

    /// Planned calls of one account in a batch, some of which will fail.
    fn nested(&mut self) -> Option<Try> {
        let mut calls = Vec::new();
        let mut who = None;
        for _ in 0..1 + self.rng.below(4) {
            let Some(Try {
                sender: Sender::Signed(sender),
                call,
            }) = self.planned()
            else {
                continue;
            };
            who = who.or(Some(sender));
            calls.push(call);
        }
        let call: pallet_utility::Call<Runtime> = match self.rng.below(3) {
            0 => pallet_utility::Call::batch { calls },
            1 => pallet_utility::Call::batch_all { calls },
            _ => pallet_utility::Call::force_batch { calls },
        };
        Some(Try::signed(who?, call))
    }
}

/// Whether the pallet is one of ours.
pub(crate) fn is_own(pallet: &str) -> bool {
    // The runtime numbers the payable AI's pallets from 90.
    let is_high = |info: &PalletInfoData| info.name == pallet && info.index >= 90;
    ["Periods", "Rewards"].contains(&pallet) || AllPalletsWithSystem::infos().iter().any(is_high)
}

/// The keyring's name of an account, if it has one.
pub(crate) fn actor(who: &AccountId) -> Option<Sr25519Keyring> {
    Sr25519Keyring::from_account_id(who)
}

pub(crate) fn name(text: &str) -> Name {
    Name::truncate_from(text.as_bytes().to_vec())
}

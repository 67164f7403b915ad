//! Vouchers tried again: on another channel or chain, lower, too late, after reopening; by either kind of key.

use crate::{mock::*, Error};
use frame_support::{assert_noop, assert_ok, traits::fungible::Inspect};
use openledger_attribution::voucher::{Signature, Voucher};
use openledger_protocol::channels::ChannelClaim;
use openledger_traits::{Charge, PayOut};
use sp_runtime::AccountId32;

/// Who pays, and how it signs.
#[derive(Clone, Copy, Debug)]
enum Payer {
    Sr25519,
    Ethereum,
}

const PAYERS: [Payer; 2] = [Payer::Sr25519, Payer::Ethereum];

impl Payer {
    fn account(self) -> AccountId32 {
        match self {
            Self::Sr25519 => consumer(),
            Self::Ethereum => ethereum(),
        }
    }

    fn open(self) {
        assert_ok!(Channels::open(Some(self.account()).into(), worker(), 10 * OPEN));
    }

    /// A claim on channel `channel` for a voucher that it signs.
    fn claim(self, channel: u64, from: u128, to: u128, voucher: Voucher) -> ChannelClaim {
        let mut claim = claim(from, to, voucher);
        claim.leaf.channel = channel;
        claim.leaf.consumer = self.account().into();
        claim.signature = match self {
            Self::Sr25519 => sr25519_signed(&voucher),
            Self::Ethereum => {
                Signature::Ecdsa(ethereum_key().sign_prehashed(&voucher.eip712_digest(CHAIN)).0)
            }
        };
        claim
    }
}

fn charge(claim: &ChannelClaim) -> sp_runtime::DispatchResult {
    Channels::charge(&worker(), claim)
}

fn settled() -> u128 {
    Balances::total_balance(&Pot::pot()) - 1_000
}

#[test]
fn a_voucher_should_be_worth_nothing_on_another_channel_of_the_same_two() {
    for payer in PAYERS {
        test(|| {
            payer.open();
            payer.open();
            let good = payer.claim(0, 0, OPEN, voucher(0, OPEN));
            let mut moved = good.clone();
            moved.leaf.channel = 1;
            assert_noop!(charge(&moved), Error::<Test>::OtherChannel);
            moved.voucher.channel = 1;
            assert_noop!(charge(&moved), Error::<Test>::BadSignature);
            assert_ok!(charge(&good));
            assert_eq!(settled(), OPEN, "{payer:?}");
        });
    }
}

#[test]
fn a_voucher_should_be_worth_nothing_on_another_chain() {
    for payer in PAYERS {
        test(|| {
            payer.open();
            let elsewhere = Voucher {
                genesis: [9; 32],
                ..voucher(0, OPEN)
            };
            let mut foreign = payer.claim(0, 0, OPEN, elsewhere);
            assert_noop!(charge(&foreign), Error::<Test>::OtherChain);
            // Made to look like one of this chain, it is not what was signed.
            foreign.voucher.genesis = genesis();
            assert_noop!(charge(&foreign), Error::<Test>::BadSignature);
            assert_eq!(settled(), 0, "{payer:?}");
        });
    }
}

#[test]
fn the_cursor_should_only_move_from_where_it_is_and_up() {
    for payer in PAYERS {
        test(|| {
            payer.open();
            assert_ok!(charge(&payer.claim(0, 0, 4 * OPEN, voucher(3 * OPEN, OPEN))));
            let next = |from, to, voucher| charge(&payer.claim(0, from, to, voucher));
            // An older, lower promise, claimed as it was and from the cursor on.
            let lower = voucher(0, 2 * OPEN);
            assert_noop!(next(0, 2 * OPEN, lower), Error::<Test>::WrongCursor);
            assert_noop!(next(4 * OPEN, 2 * OPEN, lower), Error::<Test>::Empty);
            assert_noop!(next(4 * OPEN, 4 * OPEN + 1, lower), Error::<Test>::TooMuch);
            // One that leaves a piece out, or takes a piece twice.
            let newer = voucher(5 * OPEN, OPEN);
            assert_noop!(next(5 * OPEN, 6 * OPEN, newer), Error::<Test>::WrongCursor);
            assert_noop!(next(3 * OPEN, 6 * OPEN, newer), Error::<Test>::WrongCursor);
            // What was accepted has to be settled with it.
            assert_noop!(next(4 * OPEN, 5 * OPEN - 1, newer), Error::<Test>::TooMuch);
            assert_noop!(next(4 * OPEN, 6 * OPEN + 1, newer), Error::<Test>::TooMuch);
            assert_ok!(next(4 * OPEN, 6 * OPEN, newer));
            assert_eq!(settled(), 6 * OPEN, "{payer:?}");
        });
    }
}

#[test]
fn a_voucher_should_be_good_in_its_last_block_and_not_behind_it() {
    for payer in PAYERS {
        let last = 100;
        test(|| {
            payer.open();
            System::set_block_number(last + 1);
            let late = payer.claim(0, 0, OPEN, voucher(0, OPEN));
            assert_eq!(late.voucher.expiry, last);
            assert_noop!(charge(&late), Error::<Test>::Expired);
            // Nor when its end is moved.
            let mut moved = late;
            moved.voucher.expiry += 10;
            assert_noop!(charge(&moved), Error::<Test>::BadSignature);
            System::set_block_number(last);
            assert_ok!(charge(&payer.claim(0, 0, OPEN, voucher(0, OPEN))));
        });
    }
}

#[test]
fn one_kind_of_key_should_not_sign_for_the_other() {
    test(|| {
        Payer::Sr25519.open();
        let mut crossed = Payer::Sr25519.claim(0, 0, OPEN, voucher(0, OPEN));
        crossed.signature = Payer::Ethereum.claim(0, 0, OPEN, voucher(0, OPEN)).signature;
        assert_noop!(charge(&crossed), Error::<Test>::BadSignature);
    });
    test(|| {
        Payer::Ethereum.open();
        let mut crossed = Payer::Ethereum.claim(0, 0, OPEN, voucher(0, OPEN));
        crossed.signature = Payer::Sr25519.claim(0, 0, OPEN, voucher(0, OPEN)).signature;
        assert_noop!(charge(&crossed), Error::<Test>::BadSignature);
    });
}

#[test]
fn a_voucher_should_be_worth_nothing_after_its_channel_ended_and_another_was_opened() {
    for payer in PAYERS {
        test(|| {
            payer.open();
            let kept = payer.claim(0, 0, OPEN, voucher(0, OPEN));
            assert_ok!(Channels::close(Some(payer.account()).into(), 0));
            System::set_block_number(1 + CLOSE);
            assert_ok!(Channels::finish(Some(payer.account()).into(), 0));
            payer.open();
            assert_noop!(charge(&kept), Error::<Test>::NoChannel);
            let mut moved = kept;
            (moved.leaf.channel, moved.voucher.channel) = (1, 1);
            assert_noop!(charge(&moved), Error::<Test>::BadSignature);
            assert_eq!(settled(), 0, "{payer:?}");
        });
    }
}

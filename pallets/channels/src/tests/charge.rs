use crate::{mock::*, Error};
use frame_support::{assert_noop, assert_ok, traits::fungible::Inspect};
use openledger_attribution::voucher::{Signature, Voucher};
use openledger_protocol::channels::ChannelClaim;
use openledger_traits::{Charge, PayOut};

fn open(amount: u128) {
    assert_ok!(Channels::open(Some(consumer()).into(), worker(), amount));
}

#[test]
fn a_claim_should_move_what_it_says_into_the_pot_and_the_cursor_along() {
    test(|| {
        open(10 * OPEN);
        assert_ok!(Channels::charge(
            &worker(),
            &claim(0, 3 * OPEN, voucher(2 * OPEN, OPEN))
        ));
        let after = crate::Channels::<Test>::get(0).unwrap();
        assert_eq!((after.cursor, after.last), (3 * OPEN, [8; 32]));
        assert_eq!(Balances::total_balance(&Pot::pot()), 3 * OPEN + 1_000);
        assert_ok!(Channels::charge(
            &worker(),
            &claim(3 * OPEN, 10 * OPEN, voucher(3 * OPEN, 7 * OPEN))
        ));
    });
}

#[test]
fn a_voucher_should_not_be_settled_twice() {
    test(|| {
        open(10 * OPEN);
        let once = claim(0, OPEN, voucher(0, OPEN));
        assert_ok!(Channels::charge(&worker(), &once));
        assert_noop!(Channels::charge(&worker(), &once), Error::<Test>::WrongCursor);
        // Nor with the cursor set right: the voucher allows no more than it did.
        assert_noop!(
            Channels::charge(&worker(), &claim(OPEN, 2 * OPEN, voucher(0, OPEN))),
            Error::<Test>::TooMuch
        );
    });
}

/// What a claim may not say, each with everything else right.
#[test]
fn a_claim_should_be_refused_when_it_is_not_what_the_consumer_signed() {
    type Spoil = fn(&mut ChannelClaim);
    let lies: [(&str, Error<Test>, Spoil); 9] = [
        ("beyond the promise", Error::<Test>::TooMuch, |c| {
            c.leaf.to = 2 * OPEN + 1
        }),
        ("below what was accepted", Error::<Test>::TooMuch, |c| {
            *c = claim(0, OPEN, voucher(OPEN + 1, OPEN))
        }),
        ("beyond the deposit", Error::<Test>::TooMuch, |c| {
            *c = claim(0, 11 * OPEN, voucher(0, 20 * OPEN))
        }),
        ("nothing", Error::<Test>::Empty, |c| c.leaf.to = 0),
        ("skips the start", Error::<Test>::WrongCursor, |c| c.leaf.from = 1),
        ("another consumer", Error::<Test>::OtherChannel, |c| {
            c.leaf.consumer = [3; 32]
        }),
        ("another chain", Error::<Test>::OtherChain, |c| {
            let other = Voucher {
                genesis: [1; 32],
                ..voucher(OPEN, OPEN)
            };
            *c = claim(0, 2 * OPEN, other)
        }),
        ("expired", Error::<Test>::Expired, |c| {
            let other = Voucher {
                expiry: 0,
                ..voucher(OPEN, OPEN)
            };
            *c = claim(0, 2 * OPEN, other)
        }),
        ("changed after signing", Error::<Test>::BadSignature, |c| {
            c.voucher.terms = [5; 32]
        }),
    ];
    for (what, error, spoil) in lies {
        test(|| {
            open(10 * OPEN);
            let mut bad = claim(0, 2 * OPEN, voucher(OPEN, OPEN));
            spoil(&mut bad);
            println!("{what}");
            assert_noop!(Channels::charge(&worker(), &bad), error);
        });
    }
}

#[test]
fn a_claim_should_be_refused_from_another_worker() {
    test(|| {
        open(10 * OPEN);
        assert_noop!(
            Channels::charge(&consumer(), &claim(0, OPEN, voucher(0, OPEN))),
            Error::<Test>::OtherChannel
        );
    });
}

#[test]
fn an_ethereum_account_should_pay_by_eip_712() {
    test(|| {
        assert_ok!(Channels::open(Some(ethereum()).into(), worker(), 10 * OPEN));
        let mut paid = claim(0, OPEN, voucher(0, OPEN));
        paid.leaf.consumer = ethereum().into();
        let digest = paid.voucher.eip712_digest(CHAIN);
        paid.signature = Signature::Ecdsa(ethereum_key().sign_prehashed(&digest).0);
        let other_chain = paid.voucher.eip712_digest(CHAIN + 1);
        let mut replayed = paid.clone();
        replayed.signature = Signature::Ecdsa(ethereum_key().sign_prehashed(&other_chain).0);
        assert_noop!(
            Channels::charge(&worker(), &replayed),
            Error::<Test>::BadSignature
        );
        assert_ok!(Channels::charge(&worker(), &paid));
        assert_eq!(Balances::total_balance(&ethereum()), 999 * OPEN);
    });
}

//! Against a running development node: `OPENLEDGER_TEST_NODE=ws://127.0.0.1:9955`. Without one these tests have nothing to
//! test and say so.

use openledger_chain::{open, Chain, Error, Head, Key};
use openledger_protocol::Account;

async fn chain() -> Option<Chain> {
    let Ok(url) = std::env::var("OPENLEDGER_TEST_NODE") else {
        eprintln!("skipped: OPENLEDGER_TEST_NODE names no node");
        return None;
    };
    Some(
        Chain::connect(&url)
            .await
            .expect("the node named by OPENLEDGER_TEST_NODE"),
    )
}

/// `Balances.transfer_keep_alive` or `transfer_all`, by the indices that the runtime's own tests freeze.
fn transfer(call: u8, to: &Account, amount: u128) -> Vec<u8> {
    use codec::{Compact, Encode};
    let mut bytes = vec![10, call, 0];
    bytes.extend(to);
    Compact(amount).encode_to(&mut bytes);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn submissions_in_a_row_all_run_and_move_exactly_what_they_say() {
    let Some(chain) = chain().await else { return };
    let bob = Key::dev("Bob", &chain).unwrap();
    let to = Key::create(&std::env::temp_dir().join(format!("openledger-live-{}.key", std::process::id())))
        .unwrap()
        .account();
    let amount = 2_000_000_000_000_000_000u128;
    // All at once from clones, and a run of consecutive numbers.
    let singles: Vec<_> = (0..4)
        .map(|_| {
            let (chain, bob) = (chain.clone(), bob.clone());
            tokio::spawn(async move { chain.submit(&transfer(3, &to, amount), &bob).await })
        })
        .collect();
    let run = chain
        .submit_all(&vec![transfer(3, &to, amount); 5], &bob)
        .await
        .unwrap();
    for single in singles {
        let included = single.await.unwrap().unwrap();
        included.event("Balances", "Transfer").unwrap();
    }
    assert!(run
        .windows(2)
        .all(|w| (w[0].block.number, w[0].index) < (w[1].block.number, w[1].index)));
    let balance = chain.balance(&to, Head::Best).await.unwrap();
    assert_eq!(
        balance.value.free,
        9 * amount,
        "{} at {}",
        open(balance.value.free),
        balance.place()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_names_its_error_and_its_documentation() {
    let Some(chain) = chain().await else { return };
    let charlie = Key::dev("Charlie", &chain).unwrap();
    let to = Key::dev("Dave", &chain).unwrap().account();
    let error = chain
        .submit(&transfer(3, &to, u128::MAX), &charlie)
        .await
        .unwrap_err();
    eprintln!("{error}");
    assert!(
        matches!(&error, Error::Dispatch { error, docs, .. } if !error.is_empty() && !docs.is_empty()),
        "{error}"
    );
    let error = chain.submit(&[255, 0], &charlie).await.unwrap_err().to_string();
    assert!(error.contains("differ in version"), "{error}");
    let error = chain
        .submit(&transfer(3, &to, 1)[..20], &charlie)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("does not take this call"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_or_lost_in_any_block() {
    let Some(chain) = chain().await else { return };
    let mut blocks = chain.blocks(Head::Best).await.unwrap();
    let mut last = None;
    for _ in 0..6 {
        let block = blocks.next().await.unwrap();
        if let Some(last) = last {
            assert!(block.number <= last + 1, "{block} after {last}");
        }
        last = Some(block.number);
        let supply = chain.supply(block).await.unwrap();
        assert!(
            supply.holds(),
            "{} issued, {} held by {} accounts at {block}",
            supply.issuance.value,
            supply.total,
            supply.accounts
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_submission_is_final() {
    let Some(chain) = chain().await else { return };
    let dave = Key::dev("Dave", &chain).unwrap();
    let to = Key::dev("Eve", &chain).unwrap().account();
    let included = chain
        .submit_final(&transfer(3, &to, 1_000_000_000_000_000_000), &dave)
        .await
        .unwrap();
    assert!(chain.is_final(included.block).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_genesis_is_refused() {
    let Some(chain) = chain().await else { return };
    let error = Chain::connect_to(chain.url(), &[7; 32]).await.unwrap_err();
    assert!(matches!(error, Error::OtherGenesis { .. }), "{error}");
    Chain::connect_to(chain.url(), &chain.genesis()).await.unwrap();
}

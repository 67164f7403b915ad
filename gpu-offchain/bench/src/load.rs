//! Paying consumers at a running worker: each has a key and a channel of its own and asks one question after the other, as fast as
//! receipts come. In the end every answer has a receipt, every receipt is in one batch, and each channel has paid on the chain what its
//! receipts add up to: nobody unpaid, nothing paid twice. Prints latencies; exits with an error if anything is missing.

use anyhow::{bail, ensure, Context as _, Result};
use clap::Parser;
use openledger_chain::{open, Chain, Head, Key};
use openledger_cli::{
    args::Args as CliArgs,
    book::Page,
    channels,
    context::Context,
    pay::{self, Question, Wish},
    texts::Parameters,
    wire::hex_of,
    worker::Worker,
};
use openledger_model::{Message, Tokenizer};
use openledger_protocol::{calls, channels::Channel, storage, Account, Hash};
use serde_json::{json, Value};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::Path,
    sync::{Arc, Barrier, Mutex},
    time::{Duration, Instant},
};

/// Paying consumers at a running worker.
#[derive(Parser)]
struct Args {
    /// The node's WebSocket.
    #[arg(long, default_value = "ws://127.0.0.1:9944")]
    node: String,
    /// The worker's public API.
    #[arg(long, default_value = "http://127.0.0.1:8700")]
    worker: String,
    /// Number or name of the model.
    #[arg(long)]
    model: String,
    /// Consumers, each with a channel.
    #[arg(long, default_value_t = 20)]
    consumers: usize,
    /// Questions of each.
    #[arg(long, default_value_t = 3)]
    questions: usize,
    /// Most tokens of an answer.
    #[arg(long, default_value_t = 24)]
    max_tokens: u32,
    /// The development key that gives the consumers their OPEN.
    #[arg(long, default_value = "Alice")]
    funder: String,
    /// Seconds to wait until everything is settled.
    #[arg(long, default_value_t = 300)]
    patience: u64,
}

/// What one answer took, in seconds since it was asked for.
struct Took {
    first: f64,
    last: f64,
    receipt: f64,
    tokens: u32,
    again: u32,
    hash: Hash,
    fee: u128,
}

struct Consumer {
    context: Context,
    chain: Chain,
    channel: u64,
    account: Account,
}

fn consumer(args: &Args, dir: &Path, n: usize, chain: &Chain) -> Result<(Context, Key)> {
    let uri = format!("//load//{n}");
    let file = dir.join(format!("key-{n}"));
    std::fs::write(&file, format!("{uri}\n"))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    }
    let data = dir.join(format!("data-{n}"));
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let typed = [
        "openledger".into(),
        "--json".into(),
        "--node".into(),
        args.node.clone(),
        "--worker".into(),
        args.worker.clone(),
        "--data".into(),
        path(&data),
        "--key".into(),
        path(&file),
        "key".into(),
        "show".into(),
    ];
    let context = Context::new(&CliArgs::try_parse_from(typed)?)?;
    let key = context.key(chain)?;
    Ok((context, key))
}

/// Funds and opens a channel for each.
async fn prepare(args: &Args, dir: &Path, chain: &Chain) -> Result<Vec<Consumer>> {
    const EACH: u128 = 20_000_000_000_000_000_000;
    const DEPOSIT: u128 = 10_000_000_000_000_000_000;
    let funder = Key::dev(&args.funder, chain)?;
    let mut people = Vec::new();
    for n in 0..args.consumers {
        people.push(consumer(args, dir, n, chain)?);
    }
    let transfers: Vec<Vec<u8>> = people
        .iter()
        .map(|(_, key)| calls::balances::transfer_keep_alive(&key.account(), EACH))
        .collect();
    // No more at once than an account may have in the pool.
    for some in transfers.chunks(32) {
        chain.submit_all(some, &funder).await?;
    }
    let to = channels::worker_account(&people.first().context("no consumer")?.0)?;
    let opening = people.into_iter().map(|(context, key)| {
        let chain = chain.clone();
        tokio::spawn(async move {
            chain.submit(&calls::channels::open(&to, DEPOSIT), &key).await?;
            let block = chain.head(Head::Best).await?;
            let channel = pay::own_channels(&chain, &key, &to, block).await?.pop();
            anyhow::Ok(Consumer {
                context,
                channel: channel.context("a channel was opened and is not there")?,
                account: key.account(),
                chain,
            })
        })
    });
    let mut ready = Vec::new();
    for one in opening.collect::<Vec<_>>() {
        ready.push(one.await??);
    }
    Ok(ready)
}

/// Asks one question and waits for its receipt.
fn ask(
    one: &Consumer,
    args: &Args,
    runtime: &tokio::runtime::Handle,
    tokenizer: &Mutex<Option<Arc<Tokenizer>>>,
    words: &str,
) -> Result<Took> {
    let wish = Wish {
        model: args.model.clone(),
        generation: None,
        channel: Some(one.channel),
    };
    let known = tokenizer.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.clone();
    let order = runtime.block_on(pay::look_up(&one.context, one.chain.clone(), &wish, known))?;
    *tokenizer.lock().map_err(|_| anyhow::anyhow!("poisoned"))? = Some(order.tokenizer.clone());
    let data = one.context.data(&one.chain.genesis());
    let mut page = Page::open(&data, one.channel)?;
    runtime.block_on(pay::settle_page(&one.context, &order, &mut page, &data))?;
    let parameters = Parameters {
        max_tokens: args.max_tokens,
        ..Parameters::default()
    };
    let question = Question {
        prompt: order.tokenizer.chat(&[Message::user(words)])?,
        parameters: parameters.clone(),
        seed: None,
        expiry: 1_200,
        shown: words.to_owned(),
    };
    let pending = pay::sign(&order, &page, &question)?;
    page.begin(&pending)?;
    let body = json!({
        "model": format!("{}:{}", order.model, order.generation),
        "messages": [{ "role": "user", "content": words }],
        "max_tokens": args.max_tokens,
        "seed": pending.terms.seed,
        "stream": true,
    });
    let mut again = 0;
    let (begun, response) = loop {
        let begun = Instant::now();
        let response = order.worker.send(
            "POST",
            "/v1/chat/completions",
            &pay::headers(&pending),
            Some(&body),
        )?;
        match response.status().as_u16() {
            200 => break (begun, response),
            429 => {
                again += 1;
                let after = response.headers().get("retry-after");
                let after = after
                    .and_then(|value| value.to_str().ok()?.parse().ok())
                    .unwrap_or(1);
                std::thread::sleep(Duration::from_secs(after));
            }
            status => {
                let mut response = response;
                bail!(
                    "{status}: {}",
                    response.body_mut().read_to_string().unwrap_or_default()
                );
            }
        }
    };
    let (mut text, mut first) = (String::new(), None);
    for line in BufReader::new(response.into_body().into_reader()).lines() {
        let line = line?;
        let Some(data) = line.strip_prefix("data: ").filter(|data| *data != "[DONE]") else {
            continue;
        };
        let event: Value = serde_json::from_str(data)?;
        ensure!(event["error"].is_null(), "{event}");
        if let Some(piece) = event["choices"][0]["delta"]["content"].as_str() {
            if !piece.is_empty() {
                first.get_or_insert_with(|| begun.elapsed());
                text.push_str(piece);
            }
        }
    }
    let last = begun.elapsed();
    let hash = pay::receipt_of(&order.worker, &pending)?.context("an answer without a receipt")?;
    let receipt = begun.elapsed();
    let published = runtime.block_on(pay::take_receipt(&order, &pending, &hash))?;
    pay::check_output(&order, &pending, &published, Some((&parameters, &[text])))?;
    page.finish(&data, &published.answer.receipt, &published.signature)?;
    Ok(Took {
        first: first.unwrap_or(last).as_secs_f64(),
        last: last.as_secs_f64(),
        receipt: receipt.as_secs_f64(),
        tokens: published.answer.receipt.output_tokens,
        again,
        hash,
        fee: published.answer.receipt.fee,
    })
}

/// Waits until each channel has paid on the chain what its receipts add up to, and compares the batches with the answers.
async fn settled(args: &Args, chain: &Chain, all: &[Consumer], answers: &[Took]) -> Result<u128> {
    let worker = Worker::new(&args.worker);
    let start = Instant::now();
    let mut sum = 0_u128;
    for one in all {
        let page = Page::open(&one.context.data(&chain.genesis()), one.channel)?;
        let (accepted, previous) = (page.accepted()?, page.previous()?);
        loop {
            let channel = chain
                .read::<Channel<Account>>(storage::channel(one.channel), Head::Best)
                .await?
                .found(format_args!("channel {}", one.channel))?;
            ensure!(
                channel.value.cursor <= accepted,
                "channel {} paid {} and its receipts add up to {}: something was paid twice",
                one.channel,
                open(channel.value.cursor),
                open(accepted)
            );
            if (channel.value.cursor, channel.value.last) == (accepted, previous) {
                ensure!(
                    channel.value.consumer == one.account,
                    "channel {} is another's",
                    one.channel
                );
                break;
            }
            ensure!(
                start.elapsed() < Duration::from_secs(args.patience),
                "channel {} has paid {} of {} after {} s",
                one.channel,
                open(channel.value.cursor),
                open(accepted),
                args.patience
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        sum += accepted;
    }
    let (mut places, mut fees) = (BTreeSet::new(), 0_u128);
    for took in answers {
        let hash = hex_of(took.hash);
        let shown: Value = worker.json(&format!("/v1/receipts/{hash}"))?;
        let place = shown["batch"].as_u64().zip(shown["position"].as_u64());
        let place = place.with_context(|| format!("receipt {hash} is in no batch on the chain"))?;
        ensure!(
            places.insert(place),
            "receipt {hash} has the place of another: {place:?}"
        );
        fees += took.fee;
    }
    ensure!(
        fees == sum,
        "the receipts add up to {fees} planck and {sum} were paid"
    );
    Ok(sum)
}

fn quantiles(what: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let at = |part: f64| values[((values.len() - 1) as f64 * part).round() as usize];
    println!(
        "{what:<24} median {:.3} s, 95 % {:.3} s, 99 % {:.3} s, most {:.3} s",
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0)
    );
}

fn main() -> Result<()> {
    let args = Arc::new(Args::parse());
    ensure!(
        args.consumers > 0 && args.questions > 0,
        "at least one consumer and one question are needed"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let dir = tempfile::tempdir()?;
    let chain = runtime.block_on(Chain::connect(&args.node))?;
    let all = runtime.block_on(prepare(&args, dir.path(), &chain))?;

    let tokenizer = Arc::new(Mutex::new(None));
    let start = Arc::new(Barrier::new(all.len() + 1));
    let threads: Vec<_> = all
        .into_iter()
        .enumerate()
        .map(|(n, one)| {
            let (args, start, tokenizer) = (args.clone(), start.clone(), tokenizer.clone());
            let handle = runtime.handle().clone();
            std::thread::spawn(move || {
                start.wait();
                let took: Result<Vec<Took>> = (0..args.questions)
                    .map(|q| {
                        ask(
                            &one,
                            &args,
                            &handle,
                            &tokenizer,
                            &format!("Question {q} of consumer {n}: when does the tide turn?"),
                        )
                    })
                    .collect();
                (one, took)
            })
        })
        .collect();
    start.wait();
    let begun = Instant::now();
    let (mut consumers, mut took) = (Vec::new(), Vec::new());
    for thread in threads {
        let (one, own) = thread
            .join()
            .map_err(|_| anyhow::anyhow!("a consumer's thread panicked"))?;
        took.extend(own.with_context(|| format!("the consumer of channel {}", one.channel))?);
        consumers.push(one);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let tokens: u32 = took.iter().map(|took| took.tokens).sum();
    println!(
        "{} consumers, {} answers with receipts in {seconds:.1} s: {:.1} answers and {:.0} tokens a second; {} times told to come again",
        args.consumers,
        took.len(),
        took.len() as f64 / seconds,
        f64::from(tokens) / seconds,
        took.iter().map(|took| took.again).sum::<u32>()
    );
    quantiles("first token", took.iter().map(|took| took.first).collect());
    quantiles("last token", took.iter().map(|took| took.last).collect());
    quantiles("receipt", took.iter().map(|took| took.receipt).collect());
    quantiles(
        "receipt after last token",
        took.iter().map(|took| took.receipt - took.last).collect(),
    );
    let sum = runtime.block_on(settled(&args, &chain, &consumers, &took))?;
    println!(
        "every answer has a receipt and every receipt is in a batch; {} channels paid {} on the chain, what the receipts add up to",
        consumers.len(),
        open(sum)
    );
    Ok(())
}

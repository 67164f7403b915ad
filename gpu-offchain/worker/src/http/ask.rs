//! What OpenAI's clients ask: request bodies, read into what the engine and a voucher need.

use crate::{
    error::{Error, Result},
    formats::Parameters,
    payment::Wanted,
    state::Worker,
};
use openledger_model::Message;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Tokens of an answer if the request names no number.
const DEFAULT_TOKENS: u32 = 128;
/// Likeliest tokens that can be told.
const MOST_LIKELIEST: usize = 20;
/// Stop texts of a request.
const MOST_STOPS: usize = 16;
/// Bytes of a stop text.
const LONGEST_STOP: usize = 1_024;

/// What both kinds of requests have. Fields that are not known are ignored; those that are known and cannot be served are refused.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Common {
    /// A model's name (its newest generation here), or `model:generation`.
    pub(super) model: String,
    /// Send the answer as server-sent events.
    stream: Option<bool>,
    /// With `stream`.
    stream_options: Option<StreamOptions>,
    /// Most tokens of each choice.
    max_tokens: Option<u32>,
    /// 0 (the likeliest token) to 2.
    temperature: Option<f32>,
    /// Above 0, up to 1.
    top_p: Option<f32>,
    /// How many choices; choice i is sampled with the seed plus i.
    n: Option<u32>,
    /// The sampler's seed. Paid requests have it in the terms.
    seed: Option<u64>,
    /// Texts that end a choice and are not shown.
    stop: Option<Stop>,
    /// Tokens that end a choice.
    stop_token_ids: Option<Vec<u32>>,
    /// Only 0.
    frequency_penalty: Option<f32>,
    /// Only 0.
    presence_penalty: Option<f32>,
    /// Only empty.
    logit_bias: Option<BTreeMap<String, f32>>,
}

/// How an answer is streamed.
#[derive(Deserialize, JsonSchema)]
struct StreamOptions {
    /// Whether a chunk with the usage and no choice ends the stream.
    include_usage: Option<bool>,
}

/// One or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Stop {
    One(String),
    Several(Vec<String>),
}

/// `POST /v1/chat/completions`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ChatRequest {
    #[serde(flatten)]
    common: Common,
    /// The conversation.
    messages: Vec<ChatMessage>,
    /// The newer name of `max_tokens`.
    max_completion_tokens: Option<u32>,
    /// Tell each token's probability.
    logprobs: Option<bool>,
    /// How many of the likeliest tokens to tell beside each, with `logprobs`; at most 20.
    top_logprobs: Option<usize>,
    /// Only empty.
    tools: Option<Vec<serde_json::Value>>,
    /// Only empty.
    functions: Option<Vec<serde_json::Value>>,
    /// Only text.
    response_format: Option<ResponseFormat>,
}

/// The form of an answer.
#[derive(Deserialize, JsonSchema)]
struct ResponseFormat {
    /// `text`.
    r#type: String,
}

/// A message.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ChatMessage {
    /// `system` (or `developer`), `user` or `assistant`.
    role: String,
    /// What it says.
    content: Content,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize, JsonSchema)]
struct Part {
    /// `text`.
    r#type: String,
    text: Option<String>,
}

/// `POST /v1/tokenize`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct TokenizeRequest {
    /// A conversation, as the chat template lays it out.
    messages: Option<Vec<ChatMessage>>,
    /// Or a text to be continued.
    prompt: Option<String>,
}

/// `POST /v1/completions`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct TextRequest {
    #[serde(flatten)]
    common: Common,
    /// The text to be continued, or its tokens.
    prompt: Prompt,
    /// Tell each token's probability, and so many of the likeliest beside it; at most 20.
    logprobs: Option<usize>,
    /// Only false.
    echo: Option<bool>,
    /// Only empty.
    suffix: Option<String>,
    /// Only as many as `n`.
    best_of: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Prompt {
    Text(String),
    Tokens(Vec<u32>),
    Texts(Vec<String>),
}

/// A request as it is answered.
pub(super) struct Read {
    /// The model it names.
    pub(super) model: String,
    /// What it wants.
    pub(super) wanted: Wanted,
    /// Whether it is streamed.
    pub(super) stream: bool,
    /// Whether the stream ends with the usage.
    pub(super) include_usage: bool,
}

pub(super) fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| Error::Request(format!("the body cannot be read: {error}")))
}

fn refuse<T>(field: &str, remedy: &str) -> Result<T> {
    Err(Error::Request(format!("{field} is not served here: {remedy}")))
}

fn messages(body: Vec<ChatMessage>) -> Result<Vec<Message>> {
    let read = |message: ChatMessage| {
        let role = match message.role.as_str() {
            "system" | "developer" => "system",
            "user" => "user",
            "assistant" => "assistant",
            other => {
                return Err(Error::Request(format!(
                    "role {other:?} is unknown: use system, user or assistant"
                )))
            }
        };
        let content = match message.content {
            Content::Text(text) => text,
            Content::Parts(parts) => {
                let text = |part: Part| match (part.r#type.as_str(), part.text) {
                    ("text", Some(text)) => Ok(text),
                    (kind, _) => Err(Error::Request(format!(
                        "a message part of type {kind:?} cannot be read: send text"
                    ))),
                };
                parts.into_iter().map(text).collect::<Result<Vec<_>>>()?.concat()
            }
        };
        Ok(Message {
            role: role.into(),
            content,
        })
    };
    let messages: Vec<Message> = body.into_iter().map(read).collect::<Result<_>>()?;
    if messages.is_empty() {
        return Err(Error::Request("there is no message: send at least one".into()));
    }
    Ok(messages)
}

fn conversation(worker: &Worker, body: Vec<ChatMessage>) -> Result<Vec<u32>> {
    worker
        .base
        .tokenizer
        .chat(&messages(body)?)
        .map_err(|error| Error::Request(format!("the messages cannot be read: {error}")))
}

fn text(worker: &Worker, prompt: &str) -> Result<Vec<u32>> {
    worker
        .base
        .tokenizer
        .text_prompt(prompt)
        .map_err(|error| Error::Request(format!("the prompt cannot be read: {error}")))
}

/// The tokens that a request asks for.
pub(super) fn tokens(worker: &Worker, body: &[u8]) -> Result<Vec<u32>> {
    let request: TokenizeRequest = parse(body)?;
    match (request.messages, request.prompt) {
        (Some(messages), None) => conversation(worker, messages),
        (None, Some(prompt)) => text(worker, &prompt),
        _ => Err(Error::Request("send either messages or a prompt".into())),
    }
}

/// Reads a chat request.
pub(super) fn chat(worker: &Worker, body: &[u8]) -> Result<Read> {
    let body: ChatRequest = parse(body)?;
    if body.tools.is_some_and(|tools| !tools.is_empty()) {
        return refuse("tools", "leave it out");
    }
    if body.functions.is_some_and(|functions| !functions.is_empty()) {
        return refuse("functions", "leave it out");
    }
    if body.response_format.is_some_and(|format| format.r#type != "text") {
        return refuse("response_format", "ask for text");
    }
    let likeliest = match (body.logprobs.unwrap_or(false), body.top_logprobs) {
        (true, top) => Some(top.unwrap_or(0)),
        (false, None | Some(0)) => None,
        (false, Some(_)) => return refuse("top_logprobs without logprobs", "set logprobs to true"),
    };
    let prompt = conversation(worker, body.messages)?;
    common(worker, body.common, prompt, body.max_completion_tokens, likeliest)
}

/// Reads a request to continue a text.
pub(super) fn completion(worker: &Worker, body: &[u8]) -> Result<Read> {
    let body: TextRequest = parse(body)?;
    if body.echo.unwrap_or(false) {
        return refuse("echo", "the prompt is yours already");
    }
    if body.suffix.is_some_and(|suffix| !suffix.is_empty()) {
        return refuse("suffix", "leave it out");
    }
    if body
        .best_of
        .is_some_and(|best| best != body.common.n.unwrap_or(1))
    {
        return refuse("best_of", "leave it out");
    }
    let prompt = match body.prompt {
        Prompt::Text(prompt) => text(worker, &prompt)?,
        Prompt::Tokens(tokens) => tokens,
        Prompt::Texts(texts) => match texts.as_slice() {
            [one] => text(worker, one)?,
            _ => return refuse("a list of prompts", "ask once for each"),
        },
    };
    if prompt.is_empty() {
        return Err(Error::Request("the prompt has no token: send some text".into()));
    }
    let vocabulary = worker.base.net.config().vocab_size;
    known(&prompt, vocabulary, "token")?;
    common(worker, body.common, prompt, None, body.logprobs)
}

fn known(tokens: &[u32], vocabulary: usize, what: &str) -> Result<()> {
    let unknown = |id: &&u32| usize::try_from(**id).map_or(true, |id| id >= vocabulary);
    match tokens.iter().find(unknown) {
        Some(id) => Err(Error::Request(format!(
            "{what} {id} is none of the model's {vocabulary}"
        ))),
        None => Ok(()),
    }
}

fn common(
    worker: &Worker,
    body: Common,
    prompt: Vec<u32>,
    newer_max: Option<u32>,
    likeliest: Option<usize>,
) -> Result<Read> {
    let zero = |penalty: Option<f32>| penalty.unwrap_or(0.0) == 0.0;
    if !zero(body.frequency_penalty) || !zero(body.presence_penalty) {
        return refuse("a penalty", "leave it out");
    }
    if body.logit_bias.is_some_and(|bias| !bias.is_empty()) {
        return refuse("logit_bias", "leave it out");
    }
    if likeliest.is_some_and(|most| most > MOST_LIKELIEST) {
        return Err(Error::Request(format!(
            "{} likeliest tokens are asked for: at most {MOST_LIKELIEST} are told",
            likeliest.unwrap_or_default()
        )));
    }
    let (temperature, top_p) = (body.temperature.unwrap_or(1.0), body.top_p.unwrap_or(1.0));
    let is_sampled = (0.0..=2.0).contains(&temperature) && top_p > 0.0 && top_p <= 1.0;
    if !is_sampled {
        return Err(Error::Request(format!(
            "temperature {temperature} and top_p {top_p}: the first is from 0 to 2, the second above 0 up to 1"
        )));
    }
    let max_tokens = newer_max.or(body.max_tokens).unwrap_or(DEFAULT_TOKENS);
    let room = worker.base.context().saturating_sub(prompt.len());
    if max_tokens == 0 || usize::try_from(max_tokens).map_or(true, |tokens| tokens > room) {
        return Err(Error::Request(format!(
            "max_tokens is {max_tokens}: with {} tokens of prompt this model has room for 1 to {room}",
            prompt.len()
        )));
    }
    let n = body.n.unwrap_or(1);
    let most = most_choices(
        worker,
        prompt.len() + usize::try_from(max_tokens).unwrap_or(usize::MAX),
    );
    if n == 0 || usize::try_from(n).map_or(true, |n| n > most) {
        return Err(Error::Request(format!(
            "n is {n}: 1 to {most} choices of {max_tokens} tokens can be given"
        )));
    }
    let mut stop = body.stop_token_ids.unwrap_or_default();
    stop.sort_unstable();
    stop.dedup();
    known(&stop, worker.base.tokenizer.vocab_size(), "stop token")?;
    let mut stop_texts = match body.stop {
        None => Vec::new(),
        Some(Stop::One(text)) => vec![text],
        Some(Stop::Several(texts)) => texts,
    };
    stop_texts.sort_unstable();
    stop_texts.dedup();
    let fits = |text: &String| (1..=LONGEST_STOP).contains(&text.len());
    if stop_texts.len() > MOST_STOPS || !stop_texts.iter().all(fits) {
        return Err(Error::Request(format!(
            "stop has {} texts: at most {MOST_STOPS} of 1 to {LONGEST_STOP} bytes are understood",
            stop_texts.len()
        )));
    }
    // −0 and 0 sample alike and hash differently.
    let parameters = Parameters {
        max_tokens,
        temperature: temperature + 0.0,
        top_p,
        n,
        stop,
        stop_texts,
    };
    Ok(Read {
        model: body.model,
        wanted: Wanted {
            prompt,
            parameters,
            seed: body.seed,
            likeliest,
        },
        stream: body.stream.unwrap_or(false),
        include_usage: body
            .stream_options
            .is_some_and(|options| options.include_usage.unwrap_or(false)),
    })
}

/// Choices of so many tokens that the engine can have under way together.
fn most_choices(worker: &Worker, tokens: usize) -> usize {
    let capacity = worker.base.engine.room().1;
    // Each choice's last page may be begun only.
    let each = tokens.saturating_add(openledger_engine::PAGE);
    worker.config.parallel.min(capacity / each).max(1)
}

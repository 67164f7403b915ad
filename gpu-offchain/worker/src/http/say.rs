//! Answers as OpenAI's clients read them: whole, or as server-sent events.

use crate::{
    answer::{Ended, Piece},
    db::Probability,
    error::{Error, Result},
    formats::hex0x,
};
use axum::{
    response::{
        sse::{Event, KeepAlive, Sse},
        IntoResponse, Response,
    },
    Json,
};
use openledger_model::Tokenizer;
use openledger_protocol::Hash;
use schemars::JsonSchema;
use serde::Serialize;
use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    sync::Arc,
};
use tokio::sync::mpsc;

/// Tokens of a request and its answer.
#[derive(Clone, Copy, Serialize, JsonSchema)]
pub(super) struct Usage {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
}

impl From<&Ended> for Usage {
    fn from(ended: &Ended) -> Self {
        Self {
            prompt_tokens: ended.prompt,
            completion_tokens: ended.output,
            total_tokens: ended.prompt + ended.output,
        }
    }
}

/// What paid an answer.
#[derive(Clone, Serialize, JsonSchema)]
pub(super) struct Paid {
    /// Hash of its voucher.
    voucher: String,
    /// Its receipt, if there is one already.
    receipt: Option<String>,
}

/// A token and how likely it was.
#[derive(Clone, Serialize, JsonSchema)]
struct Likely {
    token: String,
    logprob: f32,
    /// The token's text in UTF-8, unless it is only a part of a character.
    bytes: Option<Vec<u8>>,
}

#[derive(Clone, Serialize, JsonSchema)]
struct LikelyHere {
    #[serde(flatten)]
    this: Likely,
    top_logprobs: Vec<Likely>,
}

/// Probabilities of a chat's tokens.
#[derive(Clone, Serialize, JsonSchema)]
struct ChatProbabilities {
    content: Vec<LikelyHere>,
    refusal: Option<String>,
}

/// Probabilities of a text's tokens.
#[derive(Clone, Serialize, JsonSchema)]
struct TextProbabilities {
    tokens: Vec<String>,
    token_logprobs: Vec<f32>,
    top_logprobs: Vec<BTreeMap<String, f32>>,
    /// Where each token begins in the choice's text, in characters.
    text_offset: Vec<usize>,
}

#[derive(Serialize, JsonSchema)]
struct ChatReply {
    /// `assistant`.
    role: &'static str,
    content: String,
    refusal: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct ChatChoice {
    index: usize,
    message: ChatReply,
    logprobs: Option<ChatProbabilities>,
    /// `stop` or `length`.
    finish_reason: &'static str,
}

/// A whole answer to a chat request.
#[derive(Serialize, JsonSchema)]
pub(super) struct ChatCompletion {
    id: String,
    /// `chat.completion`.
    object: &'static str,
    created: u64,
    model: String,
    choices: Vec<ChatChoice>,
    usage: Usage,
    openledger: Option<Paid>,
}

#[derive(Serialize, JsonSchema, Default)]
struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct ChatChunkChoice {
    index: usize,
    delta: Delta,
    logprobs: Option<ChatProbabilities>,
    finish_reason: Option<&'static str>,
}

/// An event of a streamed answer to a chat request.
#[derive(Serialize, JsonSchema)]
pub(super) struct ChatChunk {
    id: String,
    /// `chat.completion.chunk`.
    object: &'static str,
    created: u64,
    model: String,
    choices: Vec<ChatChunkChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openledger: Option<Paid>,
}

#[derive(Serialize, JsonSchema)]
struct TextChoice {
    index: usize,
    text: String,
    logprobs: Option<TextProbabilities>,
    /// `stop` or `length`; null in the events before a choice's last.
    finish_reason: Option<&'static str>,
}

/// A continued text, and each event of a streamed one.
#[derive(Serialize, JsonSchema)]
pub(super) struct TextCompletion {
    id: String,
    /// `text_completion`.
    object: &'static str,
    created: u64,
    model: String,
    choices: Vec<TextChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openledger: Option<Paid>,
}

/// Which of the two kinds of answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Text,
}

/// An answer's name in responses.
pub(super) struct Name {
    /// Chat or text.
    pub(super) kind: Kind,
    /// What makes it unlike others, in hexadecimal.
    pub(super) id: String,
    /// Hash of the voucher that pays it.
    pub(super) voucher: Option<Hash>,
    /// The model.
    pub(super) model: String,
    /// Unix seconds.
    pub(super) created: u64,
    /// Choices.
    pub(super) n: usize,
    /// Whether a stream ends with the usage.
    pub(super) include_usage: bool,
    /// For tokens as text.
    pub(super) tokenizer: Arc<Tokenizer>,
}

/// Texts and probabilities of one choice, as far as they are here.
#[derive(Default)]
struct Choice {
    text: String,
    probabilities: Vec<Probability>,
    finish: Option<&'static str>,
}

impl Name {
    fn id(&self) -> String {
        let prefix = match self.kind {
            Kind::Chat => "chatcmpl",
            Kind::Text => "cmpl",
        };
        format!("{prefix}-{}", self.id)
    }

    fn paid(&self, ended: &Ended) -> Option<Paid> {
        self.voucher.map(|voucher| Paid {
            voucher: hex0x(voucher),
            receipt: ended.receipt.map(hex0x),
        })
    }

    fn likely(&self, token: u32, logprob: f32) -> Likely {
        let token = self.tokenizer.decode(&[token]).unwrap_or_default();
        Likely {
            bytes: (!token.contains('\u{FFFD}')).then(|| token.clone().into_bytes()),
            token,
            logprob,
        }
    }

    fn chat_probabilities(&self, tokens: &[Probability]) -> Option<ChatProbabilities> {
        let each = tokens.iter().map(|token| LikelyHere {
            this: self.likely(token.token, token.logprob),
            top_logprobs: token
                .top
                .iter()
                .map(|(id, logprob)| self.likely(*id, *logprob))
                .collect(),
        });
        (!tokens.is_empty()).then(|| ChatProbabilities {
            content: each.collect(),
            refusal: None,
        })
    }

    fn text_probabilities(&self, tokens: &[Probability], before: usize) -> Option<TextProbabilities> {
        if tokens.is_empty() {
            return None;
        }
        let mut shown = TextProbabilities {
            tokens: Vec::new(),
            token_logprobs: Vec::new(),
            top_logprobs: Vec::new(),
            text_offset: Vec::new(),
        };
        let mut offset = before;
        for token in tokens {
            let this = self.likely(token.token, token.logprob);
            shown.text_offset.push(offset);
            offset += this.token.chars().count();
            shown.tokens.push(this.token);
            shown.token_logprobs.push(token.logprob);
            let top = token.top.iter().map(|(id, logprob)| {
                let one = self.likely(*id, *logprob);
                (one.token, one.logprob)
            });
            shown.top_logprobs.push(top.collect());
        }
        Some(shown)
    }

    fn complete(&self, choices: Vec<Choice>, ended: &Ended) -> Response {
        let usage = Usage::from(ended);
        let openledger = self.paid(ended);
        let all = choices.into_iter().enumerate();
        match self.kind {
            Kind::Chat => Json(ChatCompletion {
                id: self.id(),
                object: "chat.completion",
                created: self.created,
                model: self.model.clone(),
                choices: all
                    .map(|(index, choice)| ChatChoice {
                        index,
                        logprobs: self.chat_probabilities(&choice.probabilities),
                        message: ChatReply {
                            role: "assistant",
                            content: choice.text,
                            refusal: None,
                        },
                        finish_reason: choice.finish.unwrap_or("stop"),
                    })
                    .collect(),
                usage,
                openledger,
            })
            .into_response(),
            Kind::Text => Json(TextCompletion {
                id: self.id(),
                object: "text_completion",
                created: self.created,
                model: self.model.clone(),
                choices: all
                    .map(|(index, choice)| TextChoice {
                        index,
                        logprobs: self.text_probabilities(&choice.probabilities, 0),
                        text: choice.text,
                        finish_reason: Some(choice.finish.unwrap_or("stop")),
                    })
                    .collect(),
                usage: Some(usage),
                openledger,
            })
            .into_response(),
        }
    }

    /// One event: what is new of one choice, or the usage alone.
    fn event(&self, new: Option<New<'_>>, ended: Option<&Ended>) -> String {
        let usage = ended.map(Usage::from);
        let openledger = ended.and_then(|ended| self.paid(ended));
        let (id, created, model) = (self.id(), self.created, self.model.clone());
        let event = match self.kind {
            Kind::Chat => serde_json::to_string(&ChatChunk {
                id,
                object: "chat.completion.chunk",
                created,
                model,
                choices: new
                    .map(|new| ChatChunkChoice {
                        index: new.choice,
                        delta: Delta {
                            role: new.first.then_some("assistant"),
                            content: new.text.map(str::to_owned),
                        },
                        logprobs: self.chat_probabilities(new.probabilities),
                        finish_reason: new.finish,
                    })
                    .into_iter()
                    .collect(),
                usage,
                openledger,
            }),
            Kind::Text => serde_json::to_string(&TextCompletion {
                id,
                object: "text_completion",
                created,
                model,
                choices: new
                    .map(|new| TextChoice {
                        index: new.choice,
                        text: new.text.unwrap_or_default().to_owned(),
                        logprobs: self.text_probabilities(new.probabilities, new.before),
                        finish_reason: new.finish,
                    })
                    .into_iter()
                    .collect(),
                usage,
                openledger,
            }),
        };
        event.unwrap_or_default()
    }
}

/// What an event tells of a choice.
struct New<'a> {
    choice: usize,
    first: bool,
    text: Option<&'a str>,
    before: usize,
    probabilities: &'a [Probability],
    finish: Option<&'static str>,
}

/// The whole answer in one body.
pub(super) async fn whole(name: &Name, mut pieces: mpsc::UnboundedReceiver<Piece>) -> Result<Response> {
    let mut choices: Vec<Choice> = (0..name.n).map(|_| Choice::default()).collect();
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::More {
                choice,
                text,
                probabilities,
            } => {
                if let Some(choice) = choices.get_mut(choice) {
                    choice.text.push_str(&text);
                    choice.probabilities.extend(probabilities);
                }
            }
            Piece::End { choice, finish } => {
                if let Some(choice) = choices.get_mut(choice) {
                    choice.finish = Some(finish);
                }
            }
            Piece::Failed(error) => return Err(error),
            Piece::Done(ended) => return Ok(name.complete(choices, &ended)),
        }
    }
    Err(Error::Internal("an answer ended without its end".into()))
}

struct Stream {
    name: Name,
    pieces: mpsc::UnboundedReceiver<Piece>,
    ready: VecDeque<String>,
    /// Characters of each choice so far.
    shown: Vec<usize>,
    open: usize,
    /// The end of the choice that ended last, which is told with what the answer came to.
    last: Option<(usize, &'static str)>,
    over: bool,
}

impl Stream {
    fn take(&mut self, piece: Piece) {
        match piece {
            Piece::More {
                choice,
                text,
                probabilities,
            } => {
                if text.is_empty() && probabilities.is_empty() {
                    return;
                }
                let before = self.shown.get(choice).copied().unwrap_or_default();
                let event = self.name.event(
                    Some(New {
                        choice,
                        first: false,
                        text: Some(&text),
                        before,
                        probabilities: &probabilities,
                        finish: None,
                    }),
                    None,
                );
                if let Some(shown) = self.shown.get_mut(choice) {
                    *shown += text.chars().count();
                }
                self.ready.push_back(event);
            }
            Piece::End { choice, finish } => {
                self.open = self.open.saturating_sub(1);
                if self.open == 0 {
                    self.last = Some((choice, finish));
                } else {
                    let event = self.name.event(Some(end_of(choice, finish)), None);
                    self.ready.push_back(event);
                }
            }
            Piece::Done(ended) => {
                let last = self.last.map(|(choice, finish)| end_of(choice, finish));
                let event = self.name.event(last, Some(&ended));
                self.ready.push_back(event);
                if self.name.include_usage {
                    let event = self.name.event(None, Some(&ended));
                    self.ready.push_back(event);
                }
                self.ready.push_back("[DONE]".into());
                self.over = true;
            }
            Piece::Failed(error) => {
                self.ready.push_back(super::error_body(&error).1.to_string());
                self.over = true;
            }
        }
    }
}

fn end_of(choice: usize, finish: &'static str) -> New<'static> {
    New {
        choice,
        first: false,
        text: None,
        before: 0,
        probabilities: &[],
        finish: Some(finish),
    }
}

/// The answer as server-sent events, as it comes.
pub(super) fn streamed(name: Name, pieces: mpsc::UnboundedReceiver<Piece>) -> Response {
    let mut ready = VecDeque::new();
    if name.kind == Kind::Chat {
        for choice in 0..name.n {
            let first = New {
                choice,
                first: true,
                text: Some(""),
                before: 0,
                probabilities: &[],
                finish: None,
            };
            ready.push_back(name.event(Some(first), None));
        }
    }
    let stream = Stream {
        shown: vec![0; name.n],
        open: name.n,
        name,
        pieces,
        ready,
        last: None,
        over: false,
    };
    let events = futures_util::stream::unfold(stream, |mut stream| async move {
        loop {
            if let Some(data) = stream.ready.pop_front() {
                return Some((Ok::<_, Infallible>(Event::default().data(data)), stream));
            }
            if stream.over {
                return None;
            }
            let piece = stream.pieces.recv().await?;
            stream.take(piece);
        }
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

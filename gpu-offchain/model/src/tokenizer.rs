//! `tokenizer.json` and the chat template of `tokenizer_config.json`.

use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::{context, Environment};
use openledger_attribution::hash::{keccak, Hash};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::ModelConfig;
use crate::error::{read, Error, Result};
use crate::example::Example;
use crate::weights::combine;

/// One turn of a conversation.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

impl Message {
    /// A message of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Message {
            role: "user".into(),
            content: content.into(),
        }
    }
}

/// A tokenizer with its chat template.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The same without special tokens in text: a user cannot write an end of turn.
    plain: tokenizers::Tokenizer,
    template: Option<String>,
    bos: String,
    eos_text: String,
    eos: Vec<u32>,
    hash: Hash,
}

fn failed(e: impl std::fmt::Display) -> Error {
    Error::Tokenizer(e.to_string())
}

impl Tokenizer {
    /// Reads `tokenizer.json` and, where there are, `tokenizer_config.json`, `chat_template.jinja` and the end tokens of
    /// `config.json` and `generation_config.json`.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join("tokenizer.json");
        let bytes = read(&path)?;
        let inner = tokenizers::Tokenizer::from_bytes(&bytes).map_err(|e| Error::format(&path, e))?;
        let mut value: Value = serde_json::from_slice(&bytes).map_err(|e| Error::format(&path, e))?;
        if let Some(map) = value.as_object_mut() {
            map.insert("added_tokens".into(), Value::Array(Vec::new()));
            map.insert("post_processor".into(), Value::Null);
        }
        let plain =
            tokenizers::Tokenizer::from_bytes(value.to_string()).map_err(|e| Error::format(&path, e))?;
        let mut parts = vec![keccak(&[&bytes])];
        let path = dir.join("tokenizer_config.json");
        let mut config = Value::Null;
        if path.exists() {
            let bytes = read(&path)?;
            config = serde_json::from_slice(&bytes).map_err(|e| Error::format(&path, e))?;
            parts.push(keccak(&[&bytes]));
        }
        let path = dir.join("chat_template.jinja");
        let template = if path.exists() {
            let bytes = read(&path)?;
            parts.push(keccak(&[&bytes]));
            Some(String::from_utf8(bytes).map_err(|e| Error::format(&path, e))?)
        } else {
            config
                .get("chat_template")
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let token = |key: &str| match config.get(key) {
            Some(Value::String(s)) => s.clone(),
            Some(other) => other
                .get("content")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            None => String::new(),
        };
        let (bos, eos_text) = (token("bos_token"), token("eos_token"));
        let mut eos = if dir.join("config.json").exists() {
            ModelConfig::load(dir)?.eos
        } else {
            Vec::new()
        };
        if let Some(id) = inner.token_to_id(&eos_text) {
            if !eos.contains(&id) {
                eos.push(id);
            }
        }
        Ok(Tokenizer {
            inner,
            plain,
            template,
            bos,
            eos_text,
            eos,
            hash: combine(b"OLT1", &parts),
        })
    }

    /// The tokens of a text; names of special tokens in it are plain text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.plain.encode(text, false).map_err(failed)?.get_ids().to_vec())
    }

    /// The tokens of a rendered template, in which special tokens are recognised.
    pub fn encode_with_specials(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.inner.encode(text, false).map_err(failed)?.get_ids().to_vec())
    }

    /// The text of tokens; special tokens are left out and bytes that are no text become `U+FFFD`.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(failed)
    }

    /// A decoder that hands out text as it becomes complete.
    pub fn stream(&self) -> DecodeStream<'_> {
        DecodeStream {
            tokenizer: self,
            ids: Vec::new(),
            given: 0,
            waiting: 0,
        }
    }

    /// The tokens of a conversation by the chat template, up to where the assistant answers.
    ///
    /// Special tokens written inside a message stay text: each content is rendered as a mark and replaced by its tokens.
    pub fn chat(&self, messages: &[Message]) -> Result<Vec<u32>> {
        if let Some(m) = messages
            .iter()
            .find(|m| m.role.is_empty() || !m.role.bytes().all(|b| b.is_ascii_lowercase()))
        {
            return Err(Error::Template(format!(
                "role is {:?}; use system, user or assistant",
                m.role
            )));
        }
        let marks: Vec<String> = (0..messages.len())
            .map(|i| format!("\u{F0000}{i}\u{F0001}"))
            .collect();
        let marked: Vec<Message> = messages
            .iter()
            .zip(&marks)
            .map(|(m, mark)| Message {
                role: m.role.clone(),
                content: mark.clone(),
            })
            .collect();
        let rendered = self.render(&marked)?;
        let mut ids = Vec::new();
        let mut rest = rendered.as_str();
        while let Some(start) = rest.find('\u{F0000}') {
            let end = rest[start..].find('\u{F0001}').map(|e| start + e);
            let (Some(end), head) = (end, &rest[..start]) else {
                break;
            };
            let index: Option<usize> = rest[start + '\u{F0000}'.len_utf8()..end].parse().ok();
            let content = index.and_then(|i| messages.get(i)).map(|m| m.content.trim());
            let Some(content) = content else {
                return Err(Error::Template(
                    "the template changed a message's content; use it unchanged".into(),
                ));
            };
            ids.extend(self.encode_with_specials(head)?);
            ids.extend(self.encode(content)?);
            rest = &rest[end + '\u{F0001}'.len_utf8()..];
        }
        ids.extend(self.encode_with_specials(rest)?);
        Ok(ids)
    }

    fn render(&self, messages: &[Message]) -> Result<String> {
        let wrong = |e: minijinja::Error| Error::Template(format!("{e:#}"));
        let template = self.template.as_deref().ok_or_else(|| {
            Error::Template(
                "the model has none; add chat_template to tokenizer_config.json or send plain text".into(),
            )
        })?;
        let mut env = Environment::new();
        env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        // As transformers renders templates.
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(wrong)?;
        env.set_syntax(syntax);
        env.add_function(
            "raise_exception",
            |message: String| -> std::result::Result<String, minijinja::Error> {
                Err(minijinja::Error::new(
                    minijinja::ErrorKind::InvalidOperation,
                    message,
                ))
            },
        );
        let turns: Vec<minijinja::Value> = messages
            .iter()
            .map(|m| context! { role => m.role.as_str(), content => m.content.as_str() })
            .collect();
        env.add_template("chat", template).map_err(wrong)?;
        env.get_template("chat")
            .map_err(wrong)?
            .render(context! {
                messages => turns,
                add_generation_prompt => true,
                bos_token => self.bos.as_str(),
                eos_token => self.eos_text.as_str(),
            })
            .map_err(wrong)
    }

    /// A training record: the prompt as a user's turn, then the response and its end, which alone count.
    pub fn record(&self, prompt: &str, response: &str) -> Result<Example> {
        let prompt = self.chat(&[Message::user(prompt)])?;
        let mut output = self.encode(response.trim())?;
        output.extend(self.eos.first());
        Ok(Example::answer(&prompt, &output))
    }

    /// The tokens that end an answer.
    pub fn eos(&self) -> &[u32] {
        &self.eos
    }

    /// Number of tokens, specials included.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The id of a token by its text.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Keccak of `OLT1` and the hashes of `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja`, as far as there are.
    pub fn hash(&self) -> Hash {
        self.hash
    }
}

/// Decodes token by token, giving whole characters.
pub struct DecodeStream<'t> {
    tokenizer: &'t Tokenizer,
    ids: Vec<u32>,
    given: usize,
    waiting: usize,
}

impl DecodeStream<'_> {
    /// Adds a token; gives the text that has become complete, if any.
    pub fn push(&mut self, id: u32) -> Result<Option<String>> {
        self.ids.push(id);
        let text = self.tokenizer.decode(&self.ids)?;
        if text.ends_with('\u{FFFD}') && self.waiting < 4 {
            self.waiting += 1;
            return Ok(None); // perhaps an unfinished character, which has at most four bytes
        }
        self.waiting = 0;
        let piece = text.get(self.given..).unwrap_or_default().to_owned();
        self.given = text.len();
        Ok((!piece.is_empty()).then_some(piece))
    }

    /// The rest, unfinished characters replaced.
    pub fn finish(self) -> Result<String> {
        let text = self.tokenizer.decode(&self.ids)?;
        Ok(text.get(self.given..).unwrap_or_default().to_owned())
    }
}

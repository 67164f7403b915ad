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
    /// As `plain`, for text after a special token, where some vocabularies do not put a space before the first word.
    later: Option<tokenizers::Tokenizer>,
    specials: Vec<Special>,
    template: Option<String>,
    bos: String,
    eos_text: String,
    pad_text: String,
    eos: Vec<u32>,
    /// Whether the vocabulary spells bytes as GPT-2's does.
    byte_level: bool,
    hash: Hash,
}

/// A special token, and whether it swallows the white space beside it.
struct Special {
    text: String,
    id: u32,
    strips_left: bool,
    strips_right: bool,
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
        let added = value.get("added_tokens").and_then(Value::as_array);
        let specials = added.into_iter().flatten().filter_map(Special::read).collect();
        let byte_level = ["decoder", "pre_tokenizer"]
            .iter()
            .any(|part| value.get(part).is_some_and(has_byte_level));
        if let Some(map) = value.as_object_mut() {
            map.insert("post_processor".into(), Value::Null);
        }
        let make = |value: &Value| {
            let made = tokenizers::Tokenizer::from_bytes(value.to_string());
            made.map(|mut t| {
                t.set_encode_special_tokens(true);
                t
            })
            .map_err(|e| Error::format(&path, e))
        };
        let plain = make(&value)?;
        let later = if never_prepend(&mut value) {
            Some(make(&value)?)
        } else {
            None
        };
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
        let (bos, eos_text, pad_text) = (token("bos_token"), token("eos_token"), token("pad_token"));
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
            later,
            specials,
            template,
            bos,
            eos_text,
            pad_text,
            eos,
            byte_level,
            hash: combine(b"OLT1", &parts),
        })
    }

    /// The tokens of a text; names of special tokens in it are plain text. As transformers with `add_special_tokens=False,
    /// split_special_tokens=True`.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.plain.encode(text, false).map_err(failed)?.get_ids().to_vec())
    }

    /// The tokens of a text to be continued: as [`Tokenizer::encode`], after the token a text begins with, if the vocabulary has one.
    pub fn text_prompt(&self, text: &str) -> Result<Vec<u32>> {
        let ids = |special: bool| -> Result<Vec<u32>> {
            Ok(self
                .inner
                .encode("a", special)
                .map_err(failed)?
                .get_ids()
                .to_vec())
        };
        let (with, without) = (ids(true)?, ids(false)?);
        let before = with
            .windows(without.len().max(1))
            .position(|w| w == without)
            .unwrap_or(0);
        Ok([&with[..before], &self.encode(text)?].concat())
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
            pieces: Pieces::default(),
        }
    }

    /// The tokens of a conversation by the chat template, up to where the assistant answers.
    ///
    /// Special tokens written inside a message stay text.
    pub fn chat(&self, messages: &[Message]) -> Result<Vec<u32>> {
        Ok(self.lay_out(messages, true)?.tokens)
    }

    /// A whole conversation for training: what the assistant says and the end of each of its turns count, nothing else does.
    pub fn conversation(&self, messages: &[Message]) -> Result<Example> {
        let laid = self.lay_out(messages, false)?;
        let says = |owner: &Option<usize>| {
            owner
                .and_then(|i| messages.get(i))
                .is_some_and(|m| m.role == "assistant")
        };
        let mut mask: Vec<bool> = laid.owners.iter().map(says).collect();
        // The template's own tokens after a turn, up to the one that ends it, are the assistant's to write as well.
        let mut at = 1;
        while at < mask.len() {
            if mask[at - 1] && laid.owners[at].is_none() {
                let rest = laid.owners[at..].iter().take_while(|o| o.is_none()).count();
                let end = laid.tokens[at..at + rest]
                    .iter()
                    .position(|t| self.eos.contains(t));
                mask[at..at + end.map_or(0, |e| e + 1)].fill(true);
                at += rest;
            }
            at += 1;
        }
        Ok(Example {
            tokens: laid.tokens,
            mask,
        })
    }

    /// Renders and encodes. Contents are rendered as marks, so that special tokens are looked for in the template's own text only.
    fn lay_out(&self, messages: &[Message], prompt: bool) -> Result<LaidOut> {
        if let Some(m) = messages
            .iter()
            .find(|m| m.role.is_empty() || !m.role.bytes().all(|b| b.is_ascii_lowercase()))
        {
            return Err(Error::Template(format!(
                "role is {:?}; use system, user or assistant",
                m.role
            )));
        }
        // The wide space shows whether the template trims.
        let mark = |(i, m): (usize, &Message)| Message {
            role: m.role.clone(),
            content: format!("{PAD}{OPEN}{i}{CLOSE}{PAD}"),
        };
        let marked = self.render(&messages.iter().enumerate().map(mark).collect::<Vec<_>>(), prompt)?;
        let changed = || Error::Template("the template changed a message's content; use it unchanged".into());
        let mut parts: Vec<(&str, Option<usize>)> = Vec::new();
        let mut rest = marked.as_str();
        while let Some(start) = rest.find(OPEN) {
            let end = rest[start..].find(CLOSE).map(|e| start + e).ok_or_else(changed)?;
            let index: usize = rest[start + OPEN.len_utf8()..end]
                .parse()
                .map_err(|_| changed())?;
            let mut content = messages.get(index).ok_or_else(changed)?.content.as_str();
            let mut head = &rest[..start];
            rest = &rest[end + CLOSE.len_utf8()..];
            match head.strip_suffix(PAD) {
                Some(padded) => head = padded,
                None => content = content.trim_start(),
            }
            match rest.strip_prefix(PAD) {
                Some(padded) => rest = padded,
                None => content = content.trim_end(),
            }
            parts.push((head, None));
            parts.push((content, Some(index)));
        }
        parts.push((rest, None));
        // A template may trim its own text together with an empty message, or look at what a message says. What it really writes decides.
        let text = self.render(messages, prompt)?;
        let mut runs = Runs::default();
        let mut left = text.as_str();
        for (part, owner) in parts {
            let trimmed = [part, part.trim_end(), part.trim_start(), part.trim()];
            let found = trimmed
                .into_iter()
                .find(|p| left.starts_with(p))
                .ok_or_else(changed)?;
            match owner {
                Some(index) => runs.content(found, index),
                None => runs.template(found, &self.specials),
            }
            left = &left[found.len()..];
        }
        if !left.is_empty() {
            return Err(changed());
        }
        let mut laid = LaidOut::default();
        for (place, run) in runs.all.iter().enumerate() {
            if let Some(id) = run.special {
                laid.tokens.push(id);
                laid.owners.push(None);
            }
            if run.text.is_empty() {
                continue;
            }
            let first = place == 0 && run.special.is_none();
            let tokenizer = match &self.later {
                Some(later) if !first => later,
                _ => &self.plain,
            };
            let encoded = tokenizer.encode(run.text.as_str(), false).map_err(failed)?;
            laid.tokens.extend(encoded.get_ids());
            laid.owners.extend(
                encoded
                    .get_offsets()
                    .iter()
                    .map(|&(from, to)| run.owner(from, to)),
            );
        }
        Ok(laid)
    }

    fn render(&self, messages: &[Message], prompt: bool) -> Result<String> {
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
                add_generation_prompt => prompt,
                bos_token => self.bos.as_str(),
                eos_token => self.eos_text.as_str(),
                pad_token => self.pad_text.as_str(),
            })
            .map_err(wrong)
    }

    /// A training record: the prompt as a user's turn, then the response and its end, which alone count. Space around both is left out.
    pub fn record(&self, prompt: &str, response: &str) -> Result<Example> {
        let prompt = self.chat(&[Message::user(prompt.trim())])?;
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

    /// What each token stands for in a text, by id: its bytes, which need not be whole characters. None for special tokens and
    /// for ids that the vocabulary leaves out. A space that the vocabulary spells as a letter of its own is a space here.
    pub fn token_bytes(&self) -> Vec<Option<Vec<u8>>> {
        let vocabulary = self.inner.get_vocab(true);
        let ids = vocabulary.values().max().map_or(0, |most| *most as usize + 1);
        let mut all = vec![None; ids];
        for (text, id) in vocabulary {
            let is_special = self.specials.iter().any(|special| special.id == id);
            if let Some(place) = all.get_mut(id as usize).filter(|_| !is_special) {
                *place = Some(if self.byte_level {
                    spelled_bytes(&text)
                } else {
                    piece_bytes(&text)
                });
            }
        }
        all
    }

    /// Keccak of `OLT1` and the hashes of `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja`, as far as there are.
    pub fn hash(&self) -> Hash {
        self.hash
    }
}

const OPEN: char = '\u{F0000}';
const CLOSE: char = '\u{F0001}';
const PAD: char = '\u{2003}';

impl Special {
    /// The added token, if it is a special one.
    fn read(token: &Value) -> Option<Self> {
        let flag = |key: &str| token.get(key).and_then(Value::as_bool).unwrap_or(false);
        let text = token.get("content")?.as_str()?.to_owned();
        (flag("special") && !text.is_empty()).then_some(Special {
            text,
            id: token.get("id")?.as_u64()?.try_into().ok()?,
            strips_left: flag("lstrip"),
            strips_right: flag("rstrip"),
        })
    }
}

/// Makes word splitting that puts a space before the first word put none; false if it never did so.
fn never_prepend(value: &mut Value) -> bool {
    match value {
        Value::Object(map) => {
            let mut found = false;
            if map.get("prepend_scheme").is_some_and(|s| s == "first") {
                map.insert("prepend_scheme".into(), "never".into());
                found = true;
            }
            for key in ["pre_tokenizer", "pretokenizers"] {
                found |= map.get_mut(key).is_some_and(never_prepend);
            }
            found
        }
        Value::Array(all) => {
            let mut found = false;
            // All of them are changed, whatever the first gives.
            for value in all {
                found |= never_prepend(value);
            }
            found
        }
        _ => false,
    }
}

/// Whether a part of a tokenizer spells bytes as letters, at any depth.
fn has_byte_level(part: &Value) -> bool {
    match part {
        Value::Object(map) => {
            map.get("type").is_some_and(|kind| kind == "ByteLevel") || map.values().any(has_byte_level)
        }
        Value::Array(all) => all.iter().any(has_byte_level),
        _ => false,
    }
}

/// The bytes of a token that is spelled in GPT-2's letters: bytes that print are themselves, the others, in order, the letters
/// from U+0100 on. A letter that spells no byte (of a token that was added whole) is itself.
fn spelled_bytes(text: &str) -> Vec<u8> {
    let prints = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut bytes = Vec::with_capacity(text.len());
    for letter in text.chars() {
        let code = u32::from(letter);
        let own = u8::try_from(code).ok().filter(prints);
        let other = || {
            let place = code.checked_sub(256)? as usize;
            (0..=u8::MAX).filter(|byte| !prints(byte)).nth(place)
        };
        match own.or_else(other) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}

/// The bytes of a token that is spelled as text: `▁` is a space, `<0xE3>` a byte.
fn piece_bytes(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
        return vec![byte];
    }
    text.replace('\u{2581}', " ").into_bytes()
}

/// A conversation in tokens, and whose content each of them is.
#[derive(Default)]
struct LaidOut {
    tokens: Vec<u32>,
    owners: Vec<Option<usize>>,
}

/// Text between special tokens.
#[derive(Default)]
struct Run {
    /// The special token before it.
    special: Option<u32>,
    text: String,
    /// Bytes of the text that are a message's content.
    contents: Vec<(std::ops::Range<usize>, usize)>,
}

impl Run {
    fn owner(&self, from: usize, to: usize) -> Option<usize> {
        let inside = |range: &std::ops::Range<usize>| from < range.end && to > range.start;
        self.contents
            .iter()
            .find(|(r, _)| inside(r))
            .map(|(_, index)| *index)
    }
}

struct Runs {
    all: Vec<Run>,
    /// The last special token swallows the space after it.
    stripping: bool,
}

impl Default for Runs {
    fn default() -> Self {
        Runs {
            all: vec![Run::default()],
            stripping: false,
        }
    }
}

impl Runs {
    fn push(&mut self, text: &str, owner: Option<usize>) {
        let text = if self.stripping { text.trim_start() } else { text };
        if text.is_empty() {
            return;
        }
        self.stripping = false;
        if let Some(run) = self.all.last_mut() {
            let start = run.text.len();
            run.text.push_str(text);
            run.contents
                .extend(owner.map(|index| (start..run.text.len(), index)));
        }
    }

    fn content(&mut self, text: &str, index: usize) {
        self.push(text, Some(index));
    }

    /// Adds the template's own text, cut at special tokens: the leftmost first, the longest of those that begin there.
    fn template(&mut self, mut text: &str, specials: &[Special]) {
        loop {
            let next = specials
                .iter()
                .filter_map(|s| Some((text.find(&s.text)?, s)))
                .min_by_key(|(at, s)| (*at, std::cmp::Reverse(s.text.len())));
            let Some((at, special)) = next else {
                return self.push(text, None);
            };
            self.push(&text[..at], None);
            if special.strips_left {
                if let Some(run) = self.all.last_mut() {
                    run.text.truncate(run.text.trim_end().len());
                }
            }
            self.all.push(Run {
                special: Some(special.id),
                ..Run::default()
            });
            self.stripping = special.strips_right;
            text = &text[at + special.text.len()..];
        }
    }
}

/// Decodes token by token, giving whole characters; holds its tokenizer.
pub struct DecodeStream<'t> {
    tokenizer: &'t Tokenizer,
    pieces: Pieces,
}

impl DecodeStream<'_> {
    /// Adds a token; gives the text that has become complete, if any.
    pub fn push(&mut self, id: u32) -> Result<Option<String>> {
        self.pieces.push(self.tokenizer, id)
    }

    /// The rest, unfinished characters replaced.
    pub fn finish(self) -> Result<String> {
        self.pieces.finish(self.tokenizer)
    }
}

/// The state of decoding token by token; always to be used with the same tokenizer.
#[derive(Debug, Clone, Default)]
pub struct Pieces {
    /// Tokens whose text was given last, which decide how the next begins, and those after them.
    ids: Vec<u32>,
    /// How many of them have been given.
    given: usize,
    waiting: usize,
}

impl Pieces {
    fn next(&self, tokenizer: &Tokenizer) -> Result<Option<(String, bool)>> {
        let before = tokenizer.decode(&self.ids[..self.given])?;
        let text = tokenizer.decode(&self.ids)?;
        let whole = !text.ends_with('\u{FFFD}');
        Ok(text
            .strip_prefix(&before)
            .filter(|piece| !piece.is_empty())
            .map(|piece| (piece.to_owned(), whole)))
    }

    /// Adds a token; gives the text that has become complete, if any.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Result<Option<String>> {
        self.ids.push(id);
        match self.next(tokenizer)? {
            Some((piece, whole)) if whole || self.waiting >= 4 => {
                self.waiting = 0;
                self.ids.drain(..self.given);
                self.given = self.ids.len();
                Ok(Some(piece))
            }
            Some(_) => {
                self.waiting += 1;
                Ok(None) // perhaps an unfinished character, which has at most four bytes
            }
            None => Ok(None),
        }
    }

    /// The rest, unfinished characters replaced.
    pub fn finish(&self, tokenizer: &Tokenizer) -> Result<String> {
        Ok(self.next(tokenizer)?.map(|(piece, _)| piece).unwrap_or_default())
    }
}

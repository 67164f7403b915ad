//! What consumer and worker compute alike: salted texts and sampling parameters.

use openledger_attribution::{
    hash::{keccak, Hash},
    text::{text_leaves, TextLeaf},
    tree::Tree,
    wire::Field,
};
use serde_json::Value;

/// The salted chunks of a prompt: chunk `n` has the salt keccak(`prompt` ‖ salt ‖ n).
pub fn prompt_leaves(tokens: &[u32], salt: &Hash) -> Vec<TextLeaf> {
    text_leaves(tokens, |n| keccak(&[b"prompt", salt, &n.to_be_bytes()]))
}

/// The salted chunks of an answer, under salts of their own.
pub fn output_leaves(tokens: &[u32], salt: &Hash) -> Vec<TextLeaf> {
    text_leaves(tokens, |n| keccak(&[b"output", salt, &n.to_be_bytes()]))
}

/// What a receipt says of a text. Nothing if a chunk is too long to be one.
pub fn text_root(leaves: &[TextLeaf]) -> Option<Hash> {
    Some(Tree::new(leaves).ok()?.root().hash::<TextLeaf>())
}

/// How an answer is sampled and when it ends: what a voucher commits to beside the prompt and the seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Most tokens of each choice.
    pub max_tokens: u32,
    /// 0 takes the likeliest token.
    pub temperature: f32,
    /// Share of the probability to choose from.
    pub top_p: f32,
    /// Choices: answers to the same prompt.
    pub n: u32,
    /// Tokens that end a choice beside the model's own; ascending, distinct.
    pub stop: Vec<u32>,
    /// Texts that end a choice and are not shown; ascending by their bytes, distinct.
    pub stop_texts: Vec<String>,
}

impl Default for Parameters {
    /// The worker's: what a request that names nothing asks for.
    fn default() -> Self {
        Self {
            max_tokens: 128,
            temperature: 1.0,
            top_p: 1.0,
            n: 1,
            stop: Vec::new(),
            stop_texts: Vec::new(),
        }
    }
}

impl Parameters {
    /// What a request in OpenAI's form asks for, as the worker reads it. The worker checks the bounds.
    pub fn of_request(body: &Value) -> Result<Self, String> {
        let standard = Self::default();
        let field = |name: &str| Some(&body[name]).filter(|value| !value.is_null());
        let whole = |name: &str| match field(name) {
            None => Ok(None),
            Some(value) => value
                .as_u64()
                .and_then(|value| u32::try_from(value).ok())
                .map(Some)
                .ok_or_else(|| format!("{name} is {value}: it must be a whole number")),
        };
        let real = |name: &str| match field(name) {
            None => Ok(None),
            Some(value) => value
                .as_f64()
                .map(|value| Some(value as f32))
                .ok_or_else(|| format!("{name} is {value}: it must be a number")),
        };
        let mut stop_texts = match field("stop") {
            None => Vec::new(),
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(texts)) => texts
                .iter()
                .map(|text| {
                    text.as_str()
                        .map(str::to_owned)
                        .ok_or("stop has something else than texts")
                })
                .collect::<Result<_, _>>()?,
            Some(other) => return Err(format!("stop is {other}: it must be a text or a list of texts")),
        };
        stop_texts.sort_unstable();
        stop_texts.dedup();
        let mut stop = match field("stop_token_ids") {
            None => Vec::new(),
            Some(list) => serde_json::from_value::<Vec<u32>>(list.clone())
                .map_err(|e| format!("stop_token_ids cannot be read: {e}"))?,
        };
        stop.sort_unstable();
        stop.dedup();
        Ok(Self {
            max_tokens: whole("max_completion_tokens")?
                .or(whole("max_tokens")?)
                .unwrap_or(standard.max_tokens),
            // −0 and 0 sample alike and hash differently.
            temperature: real("temperature")?.unwrap_or(standard.temperature) + 0.0,
            top_p: real("top_p")?.unwrap_or(standard.top_p),
            n: whole("n")?.unwrap_or(standard.n),
            stop,
            stop_texts,
        })
    }

    /// What the voucher's terms say of them.
    pub fn hash(&self) -> Hash {
        let mut bytes = b"OpenLedger parameters 2".to_vec();
        self.max_tokens.write(&mut bytes);
        self.temperature.to_bits().write(&mut bytes);
        self.top_p.to_bits().write(&mut bytes);
        self.n.write(&mut bytes);
        self.stop.write(&mut bytes);
        let length = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        length(self.stop_texts.len()).write(&mut bytes);
        for text in &self.stop_texts {
            length(text.len()).write(&mut bytes);
            bytes.extend_from_slice(text.as_bytes());
        }
        keccak(&[&bytes])
    }

    /// Most tokens of all choices together.
    pub fn most_tokens(&self) -> Option<u32> {
        self.max_tokens.checked_mul(self.n)
    }

    /// A choice's text up to where a stop text begins.
    pub fn cut<'a>(&self, text: &'a str) -> &'a str {
        let end = self
            .stop_texts
            .iter()
            .filter_map(|stop| text.find(stop.as_str()))
            .min();
        end.and_then(|end| text.get(..end)).unwrap_or(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompt_and_answer_have_different_roots_and_each_depends_on_the_salt() {
        let tokens: Vec<u32> = (0..300).collect();
        let roots = [
            text_root(&prompt_leaves(&tokens, &[1; 32])),
            text_root(&output_leaves(&tokens, &[1; 32])),
            text_root(&prompt_leaves(&tokens, &[2; 32])),
        ];
        assert!(roots.iter().all(Option::is_some));
        assert!(roots[0] != roots[1] && roots[0] != roots[2]);
        assert_eq!(prompt_leaves(&tokens, &[1; 32]).len(), 2);
    }

    /// The same bytes as in the worker's `formats::tests`.
    #[test]
    fn parameters_are_the_bytes_that_the_api_defines() {
        let body = serde_json::json!({
            "max_tokens": 1, "max_completion_tokens": 128, "top_p": 0.5, "n": 2, "stop": "END", "stop_token_ids": [7, 7], "seed": null,
        });
        let parameters = Parameters::of_request(&body).unwrap();
        let mut bytes = b"OpenLedger parameters 2".to_vec();
        bytes.extend([0, 0, 0, 128, 0x3f, 0x80, 0, 0, 0x3f, 0, 0, 0, 0, 0, 0, 2]);
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 3]);
        bytes.extend(b"END");
        assert_eq!(parameters.hash(), keccak(&[&bytes]));
        assert_eq!(
            (parameters.most_tokens(), parameters.cut("abENDc")),
            (Some(256), "ab")
        );
        for wrong in [
            serde_json::json!({ "n": -1 }),
            serde_json::json!({ "temperature": "hot" }),
            serde_json::json!({ "stop": 3 }),
            serde_json::json!({ "stop": [3] }),
            serde_json::json!({ "stop_token_ids": ["x"] }),
        ] {
            assert!(Parameters::of_request(&wrong).is_err(), "{wrong}");
        }
    }
}

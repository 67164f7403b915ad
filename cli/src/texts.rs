//! What consumer and worker compute alike: salted texts and sampling parameters.

use openledger_attribution::{
    hash::{keccak, Hash},
    text::{text_leaves, TextLeaf},
    tree::Tree,
    wire::Field,
};

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

/// How an answer is sampled, without stop tokens of one's own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// Most tokens of the answer.
    pub max_tokens: u32,
    /// 0 takes the likeliest token.
    pub temperature: f32,
    /// Share of the probability to choose from.
    pub top_p: f32,
}

impl Parameters {
    /// What the voucher's terms say of them.
    pub fn hash(&self) -> Hash {
        let mut bytes = b"OpenLedger parameters 1".to_vec();
        self.max_tokens.write(&mut bytes);
        self.temperature.to_bits().write(&mut bytes);
        self.top_p.to_bits().write(&mut bytes);
        Vec::<u32>::new().write(&mut bytes);
        keccak(&[&bytes])
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

    #[test]
    fn parameters_are_the_bytes_that_the_api_defines() {
        let parameters = Parameters {
            max_tokens: 128,
            temperature: 1.0,
            top_p: 0.5,
        };
        let mut bytes = b"OpenLedger parameters 1".to_vec();
        bytes.extend([0, 0, 0, 128, 0x3f, 0x80, 0, 0, 0x3f, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(parameters.hash(), keccak(&[&bytes]));
    }
}

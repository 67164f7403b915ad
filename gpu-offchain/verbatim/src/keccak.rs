//! Four Keccak-256 hashes at a time, for trees of suffixes: there are two hashes for every token of a corpus,
//! all of messages that fit one block, so they go side by side through the vector registers. Where the
//! processor has none of these the tree is built as any other.

use openledger_attribution::{
    hash::Hash,
    tree::{Leaf, Node},
    verbatim::SuffixLeaf,
};

/// Hashes at a time.
const LANES: usize = 4;

/// Bytes of a block.
const RATE: usize = 136;

/// Four states side by side: word by word, of each word those of the four.
type States = [[u64; LANES]; 25];

/// Permutes four states.
type Permute = fn(&mut States);

const ROUNDS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808A,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808B,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008A,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000A,
    0x0000_0000_8000_808B,
    0x8000_0000_0000_008B,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800A,
    0x8000_0000_8000_000A,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// Where each word goes, and by how much it is rotated, along the one cycle that all words but the first are
/// on: `$step(to, by)` for each.
#[cfg(target_arch = "x86_64")]
macro_rules! cycle {
    ($step:ident) => {
        $step!(
            10 1, 7 3, 11 6, 17 10, 18 15, 3 21, 5 28, 16 36, 8 45, 21 55, 24 2, 4 14,
            15 27, 23 41, 19 56, 13 8, 12 25, 2 43, 20 62, 14 18, 22 39, 9 61, 6 20, 1 44
        )
    };
}

#[cfg(target_arch = "x86_64")]
mod vector {
    use super::{States, ROUNDS};
    use std::arch::x86_64::*;

    fn load(states: &States) -> [__m256i; 25] {
        // SAFETY: a word of four states and a vector have the same size, and any bits are both.
        states.map(|word| unsafe { std::mem::transmute::<[u64; 4], __m256i>(word) })
    }

    fn store(words: [__m256i; 25]) -> States {
        // SAFETY: as above.
        words.map(|word| unsafe { std::mem::transmute::<__m256i, [u64; 4]>(word) })
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(states: &mut States) {
        let mut s = load(states);
        for constant in ROUNDS {
            let mut column = [_mm256_setzero_si256(); 5];
            for x in 0..5 {
                let (a, b) = (
                    _mm256_xor_si256(s[x], s[x + 5]),
                    _mm256_xor_si256(s[x + 10], s[x + 15]),
                );
                column[x] = _mm256_xor_si256(_mm256_xor_si256(a, b), s[x + 20]);
            }
            for x in 0..5 {
                let next = column[(x + 1) % 5];
                let turned = _mm256_or_si256(_mm256_slli_epi64(next, 1), _mm256_srli_epi64(next, 63));
                let mixed = _mm256_xor_si256(column[(x + 4) % 5], turned);
                for y in 0..5 {
                    s[x + 5 * y] = _mm256_xor_si256(s[x + 5 * y], mixed);
                }
            }
            let mut carried = s[1];
            macro_rules! step {
                ($($to:literal $by:literal),*) => {$(
                    let next = s[$to];
                    let (up, down) = (_mm256_slli_epi64(carried, $by), _mm256_srli_epi64(carried, 64 - $by));
                    s[$to] = _mm256_or_si256(up, down);
                    carried = next;
                )*};
            }
            cycle!(step);
            let _ = carried;
            for y in 0..5 {
                let row: [__m256i; 5] = [s[5 * y], s[5 * y + 1], s[5 * y + 2], s[5 * y + 3], s[5 * y + 4]];
                for x in 0..5 {
                    let other = _mm256_andnot_si256(row[(x + 1) % 5], row[(x + 2) % 5]);
                    s[5 * y + x] = _mm256_xor_si256(row[x], other);
                }
            }
            s[0] = _mm256_xor_si256(s[0], _mm256_set1_epi64x(constant.cast_signed()));
        }
        *states = store(s);
    }

    /// With rotations, and three operands combined at once: a XOR b XOR c, and a XOR (NOT b AND c).
    #[target_feature(enable = "avx512f,avx512vl")]
    pub(super) fn avx512(states: &mut States) {
        const XOR: i32 = 0x96;
        const CHI: i32 = 0xD2;
        let mut s = load(states);
        for constant in ROUNDS {
            let mut column = [_mm256_setzero_si256(); 5];
            for x in 0..5 {
                let three = _mm256_ternarylogic_epi64::<XOR>(s[x], s[x + 5], s[x + 10]);
                column[x] = _mm256_ternarylogic_epi64::<XOR>(three, s[x + 15], s[x + 20]);
            }
            for x in 0..5 {
                let turned = _mm256_rol_epi64::<1>(column[(x + 1) % 5]);
                for y in 0..5 {
                    s[x + 5 * y] =
                        _mm256_ternarylogic_epi64::<XOR>(s[x + 5 * y], column[(x + 4) % 5], turned);
                }
            }
            let mut carried = s[1];
            macro_rules! step {
                ($($to:literal $by:literal),*) => {$(
                    let next = s[$to];
                    s[$to] = _mm256_rol_epi64::<$by>(carried);
                    carried = next;
                )*};
            }
            cycle!(step);
            let _ = carried;
            for y in 0..5 {
                let row: [__m256i; 5] = [s[5 * y], s[5 * y + 1], s[5 * y + 2], s[5 * y + 3], s[5 * y + 4]];
                for x in 0..5 {
                    s[5 * y + x] =
                        _mm256_ternarylogic_epi64::<CHI>(row[x], row[(x + 1) % 5], row[(x + 2) % 5]);
                }
            }
            s[0] = _mm256_xor_si256(s[0], _mm256_set1_epi64x(constant.cast_signed()));
        }
        *states = store(s);
    }
}

/// The best that this processor has.
pub(crate) fn permutation() -> Option<Permute> {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512vl") {
            // SAFETY: the processor has what the function needs.
            return Some(|states| unsafe { vector::avx512(states) });
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function needs.
            return Some(|states| unsafe { vector::avx2(states) });
        }
    }
    None
}

/// Hashes of four messages of `length` bytes, less than a block, each at the start of its block.
fn hash(permute: Permute, blocks: &mut [[u8; RATE]; LANES], length: usize) -> [Hash; LANES] {
    let mut states: States = [[0; LANES]; 25];
    for (lane, block) in blocks.iter_mut().enumerate() {
        block[length..].fill(0);
        block[length] = 1;
        block[RATE - 1] |= 0x80;
        let (words, _) = block.as_chunks::<8>();
        for (word, bytes) in states.iter_mut().zip(words) {
            word[lane] = u64::from_le_bytes(*bytes);
        }
    }
    permute(&mut states);
    std::array::from_fn(|lane| {
        let mut hash = [0; 32];
        for (bytes, word) in hash.as_chunks_mut::<8>().0.iter_mut().zip(&states) {
            *bytes = word[lane].to_le_bytes();
        }
        hash
    })
}

/// The common node of suffix leaves: those at `first` of a tree, positions `from` behind these offsets. Their
/// number is a power of two, at least 8.
pub(crate) fn suffix_top(permute: Permute, first: u64, from: u64, offsets: &[u32]) -> Node {
    let mut blocks = [[0u8; RATE]; LANES];
    let mut level: Vec<Hash> = Vec::with_capacity(offsets.len());
    let (groups, _) = offsets.as_chunks::<LANES>();
    for (index, group) in (first..).step_by(LANES).zip(groups) {
        for (lane, (block, offset)) in blocks.iter_mut().zip(group).enumerate() {
            // 00 ‖ tag ‖ index ‖ position
            block[0] = 0;
            block[1..5].copy_from_slice(&SuffixLeaf::TAG);
            block[5..13].copy_from_slice(&(index + lane as u64).to_be_bytes());
            block[13..21].copy_from_slice(&(from + u64::from(*offset)).to_be_bytes());
        }
        level.extend(hash(permute, &mut blocks, 21));
    }
    while level.len() >= 2 * LANES {
        let mut next = Vec::with_capacity(level.len() / 2);
        let (groups, _) = level.as_chunks::<{ 2 * LANES }>();
        for group in groups {
            for (block, pair) in blocks.iter_mut().zip(group.as_chunks::<2>().0) {
                // 01 ‖ sum ‖ left ‖ sum ‖ right, sums being 0
                block[..97].fill(0);
                block[0] = 1;
                block[17..49].copy_from_slice(&pair[0]);
                block[65..97].copy_from_slice(&pair[1]);
            }
            next.extend(hash(permute, &mut blocks, 97));
        }
        level = next;
    }
    let mut nodes: Vec<Node> = level.iter().map(|hash| Node { sum: 0, hash: *hash }).collect();
    while nodes.len() > 1 {
        // Sums of zeros always fit.
        let join = |pair: &[Node]| Node::join(pair.first()?, pair.get(1)?);
        nodes = nodes.chunks(2).filter_map(join).collect();
    }
    nodes.first().copied().unwrap_or(Node {
        sum: 0,
        hash: Hash::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use openledger_attribution::tree::Tree;

    #[test]
    fn the_node_is_that_of_the_tree() {
        let mut all: Vec<Permute> = permutation().into_iter().collect();
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            all.push(|states| unsafe { vector::avx2(states) });
        }
        for permute in all {
            for (count, first) in [(8u64, 0), (8, 7 << 40), (16, 1_024), (1_024, 2_048)] {
                let from = first * 3;
                let offsets: Vec<u32> = (0..count).map(|at| (at * 2_654_435_761) as u32).collect();
                let leaf = |(at, offset): (u64, &u32)| {
                    let position = from + u64::from(*offset);
                    SuffixLeaf { position }.node(first + at).unwrap()
                };
                let nodes = (0..).zip(&offsets).map(leaf).collect();
                let tree = Tree::<SuffixLeaf>::from_nodes(nodes).unwrap();
                let top = suffix_top(permute, first, from, &offsets);
                assert_eq!((top.sum, top.hash), (0, tree.root().top));
            }
        }
    }
}

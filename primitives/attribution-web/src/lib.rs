//! `openledger-attribution` for browsers and other WebAssembly hosts, as plain C exports.
//!
//! Built with `cargo build --release --target wasm32v1-none -p openledger-attribution-web`, this is one file
//! without imports: no bindings generator, no JavaScript beside it.
//!
//! ```js
//! const { instance } = await WebAssembly.instantiate(bytes);
//! const { memory, ol_alloc, ol_keccak } = instance.exports;
//! const text = new TextEncoder().encode("hello");
//! const input = ol_alloc(text.length), output = ol_alloc(32);
//! new Uint8Array(memory.buffer, input, text.length).set(text);
//! ol_keccak(input, text.length, output);
//! const digest = new Uint8Array(memory.buffer, output, 32);
//! ```
//!
//! Take `memory.buffer` anew after each `ol_alloc`: growing the memory replaces it. Objects are passed in
//! their canonical bytes (`docs/attribution-formats.md`); numbers in results are little-endian, as
//! WebAssembly's memory is. Every function returns a [status](api::Status), 0 if all went well.
//!
//! | Export | Does |
//! | --- | --- |
//! | `ol_version()` | the version of this interface |
//! | `ol_alloc(length)` | address of so many bytes, 0 if there is no memory; they stay until `ol_reset` |
//! | `ol_reset()` | forgets all allocations and rules |
//! | `ol_keccak(bytes, length, out[32])` | hashes |
//! | `ol_rule(layout, length, rules[11])` | number of a rule made of a layout and an index's numbers, or a negative status |
//! | `ol_score(rule, query, row, out[16])` | the exact score of two sketches (exponents, then lanes) |
//! | `ol_evaluate(rule, query, row, out[17])` | the same for valid sketches only, with a byte that says whether it is eligible |
//! | `ol_hash(tag[4], object, length, out[32])` | reads an object of that tag and hashes it |
//! | `ol_check_receipt(receipt, length)` | what the receipt shows by itself |
//! | `ol_shares(weights, count, out)` | 16-byte weights to 4-byte shares in parts per billion |
//! | `ol_amounts(attribution, length, mix[12], amount[16], out, room, count)` | who gets how much: 32-byte accounts with 16-byte amounts |
//! | `ol_verify(tag[4], root[56], opening, length, out[16])` | whether a root commits to a leaf, and the sum before it |

#![cfg_attr(target_arch = "wasm32", no_std)]
#![deny(missing_docs)]

extern crate alloc;

pub mod api;

#[cfg(target_arch = "wasm32")]
pub mod exports;

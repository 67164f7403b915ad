// What BABE writes into headers and answers about itself.
import { call, batch } from './rpc.mjs'

/** Height of a header as JSON-RPC gives it. */
export const height = (header) => Number.parseInt(header.number, 16)

/**
 * Slot and author of a header, from its BABE pre-digest.
 *
 * @param {object} header as `chain_getHeader` gives it
 * @returns {{ slot: number, authority: number }} `authority` is an index into the epoch's authorities
 */
export function slotOf(header) {
  for (const log of header.digest.logs) {
    const bytes = Buffer.from(log.slice(2), 'hex')
    // DigestItem::PreRuntime is 6, then the engine's four letters, then a compact length.
    if (bytes[0] !== 6 || bytes.toString('latin1', 1, 5) !== 'BABE') continue
    // 1 primary, 2 secondary, 3 secondary with VRF; all begin with authority index (u32) and slot (u64).
    const at = 5 + compactLength(bytes[5])
    if (bytes[at] < 1 || bytes[at] > 3) break
    return { authority: bytes.readUInt32LE(at + 1), slot: Number(bytes.readBigUInt64LE(at + 5)) }
  }
  throw new Error(`block ${height(header)} has no BABE pre-digest; is this chain run by BABE?`)
}

/** How many bytes a SCALE compact integer takes, from its first byte. */
function compactLength(first) {
  const mode = first & 3
  return mode === 0 ? 1 : mode === 1 ? 2 : mode === 2 ? 4 : (first >> 2) + 5
}

function compact(bytes, at) {
  const length = compactLength(bytes[at])
  if (length > 4) throw new Error('a list of more than 2^30 authorities is not believable')
  return { value: bytes.readUIntLE(at, length === 1 ? 1 : length) >>> 2, next: at + length }
}

/** Slot duration (ms) and epoch length (slots) of the chain. */
export async function babeConfig(url) {
  const bytes = Buffer.from((await call(url, 'state_call', ['BabeApi_configuration', '0x'])).slice(2), 'hex')
  return { slotMs: Number(bytes.readBigUInt64LE(0)), epochSlots: Number(bytes.readBigUInt64LE(8)) }
}

/**
 * The epochs seen so far. Which key an authority index means is in the state of a block of that epoch, and nodes forget
 * old states, so whoever wants to know authors afterwards has to look in time.
 */
export class Epochs {
  #list = []

  /** Remembers the epoch of the node's best block. */
  async note(url) {
    const bytes = Buffer.from((await call(url, 'state_call', ['BabeApi_current_epoch', '0x'])).slice(2), 'hex')
    // Index, first slot, number of slots; then the authorities, each a key of 32 bytes and a weight of 8.
    const [start, duration] = [8, 16].map((at) => Number(bytes.readBigUInt64LE(at)))
    const { value: count, next } = compact(bytes, 24)
    const authorities = Array.from({ length: count }, (_, i) => `0x${bytes.toString('hex', next + i * 40, next + i * 40 + 32)}`)
    if (this.#list.some((epoch) => epoch.start === start)) return
    this.#list = [...this.#list, { start, end: start + duration, authorities }].slice(-100)
  }

  /** The author's public key in hex, or its index where the epoch was not seen. */
  author({ slot, authority }) {
    const epoch = this.#list.find(({ start, end }) => slot >= start && slot < end)
    return epoch?.authorities[authority] ?? `authority ${authority}`
  }
}

/** Headers of the best chain from height `from` to `to`, both included, in order and each the child of the one before. */
export async function headers(url, from, to, chunk = 50) {
  const list = []
  for (let low = from; low <= to; low += chunk) {
    const heights = Array.from({ length: Math.min(chunk, to - low + 1) }, (_, i) => low + i)
    const hashes = await batch(url, heights.map((n) => ['chain_getBlockHash', [n]]), 20_000)
    const missing = hashes.indexOf(null)
    if (missing >= 0) throw new Error(`${url}: has no block ${heights[missing]}`)
    const found = await batch(url, hashes.map((hash) => ['chain_getHeader', [hash]]), 20_000)
    found.forEach((header, i) => list.push({ ...header, hash: hashes[i] }))
  }
  for (let i = 1; i < list.length; i++)
    if (list[i].parentHash !== list[i - 1].hash)
      throw new Error(`${url}: block ${height(list[i])} is not the child of block ${height(list[i - 1])}; the chain switched forks, run again`)
  return list
}

/**
 * How many slots carried a block, from consecutive headers of one node's best chain.
 *
 * The slots after the newest block count as well, so that a chain that stopped is not called full; the slot in
 * progress does not.
 *
 * @param {string} url
 * @param {number} from height after whose block counting begins
 * @param {{ slotMs: number }} config
 * @param {Epochs} epochs
 * @returns {Promise<{ from: number, to: number, blocks: number, slots: number, filled: number, longestGap: number,
 *   authored: Map<string, number> }>} `filled` in percent; `authored` by the author's public key in hex
 */
export async function slotsFilled(url, from, { slotMs }, epochs) {
  const best = await call(url, 'chain_getHeader')
  const finished = Math.floor(Date.now() / slotMs) - 1
  return countSlots(await headers(url, from, height(best)), finished, (mark) => epochs.author(mark))
}

/** The counting of `slotsFilled`, on headers at hand. `finished` is the newest slot that is over. */
export function countSlots(list, finished, authorOf) {
  const marks = list.map(slotOf)
  const last = marks.at(-1).slot
  let longestGap = Math.max(0, finished - last)
  const authored = new Map()
  for (let i = 1; i < list.length; i++) {
    const gap = marks[i].slot - marks[i - 1].slot
    if (gap < 1) throw new Error(`block ${height(list[i])} is in slot ${marks[i].slot}, not after its parent's`)
    longestGap = Math.max(longestGap, gap - 1)
    const author = authorOf(marks[i])
    authored.set(author, (authored.get(author) ?? 0) + 1)
  }
  const blocks = list.length - 1
  const slots = Math.max(last, finished) - marks[0].slot
  const filled = slots ? (100 * blocks) / slots : 100
  return { from: height(list[0]), to: height(list.at(-1)), blocks, slots, filled, longestGap, authored }
}

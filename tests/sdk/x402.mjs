// x402 version 2 with the package @x402/core: the scheme `upto` on this chain is registered through its public API, and nothing of
// OpenLedger's own code is used. What is signed is written in docs/worker-api.md and docs/attribution-formats.md.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { cryptoWaitReady, keccakAsU8a, sr25519PairFromSeed, sr25519Sign, keyExtractSuri, mnemonicToMiniSecret, keyFromPath } from '@polkadot/util-crypto'
import { x402Client, x402HTTPClient } from '@x402/core/client'
import { json, until } from './world.mjs'

const DEV_PHRASE = 'bottom drive obey lake curtain smoke basket hold race lonely fit walk'
const bytes = (hex) => Buffer.from(hex.slice(2), 'hex')
const hex = (buffer) => `0x${Buffer.from(buffer).toString('hex')}`
const number = (value, width) => {
  const buffer = Buffer.alloc(width)
  for (let rest = BigInt(value), at = width - 1; at >= 0; rest >>= 8n, at--) buffer[at] = Number(rest & 255n)
  return buffer
}
const keccak = (...parts) => Buffer.from(keccakAsU8a(Buffer.concat(parts)))
const tag = (text) => Buffer.from(text, 'ascii')

/** Root hash of the tree of salted chunks of a prompt. */
function promptRoot(tokens, salt) {
  const chunks = []
  for (let at = 0; at < tokens.length; at += 256) chunks.push(tokens.slice(at, at + 256))
  let level = chunks.map((chunk, n) => {
    const own = keccak(tag('prompt'), salt, number(n, 8))
    const padded = [...chunk, ...Array(256 - chunk.length).fill(0)].map((token) => number(token, 4))
    const hash = keccak(Buffer.of(0), tag('TXT1'), number(n, 8), own, number(chunk.length, 2), ...padded)
    return { sum: chunk.length, hash }
  })
  while (level.length > 1) {
    const next = []
    for (let at = 0; at < level.length; at += 2) {
      const [left, right] = level.slice(at, at + 2)
      if (!right) next.push(left)
      else {
        const hash = keccak(Buffer.of(1), number(left.sum, 16), left.hash, number(right.sum, 16), right.hash)
        next.push({ sum: left.sum + right.sum, hash })
      }
    }
    level = next
  }
  return keccak(Buffer.of(2), tag('TXT1'), number(chunks.length, 8), number(tokens.length, 16), level[0].hash)
}

/** The channel voucher as a scheme of x402: what `@x402/core` calls when a 402 asks for it. */
class ChannelVoucher {
  scheme = 'upto'
  constructor(pair, channel, tokens) {
    Object.assign(this, { pair, channel, tokens })
  }
  async createPaymentPayload(x402Version, { extra: quote, amount }) {
    const state = await this.channel()
    const salt = randomBytes(32)
    const terms = Buffer.concat([
      Buffer.of(1), number(quote.model, 8), number(quote.generation, 4), bytes(quote.index),
      bytes(quote.tariff).subarray(1), // a field within the terms has no version byte
      Buffer.of(0), promptRoot(await this.tokens(), salt), bytes(quote.parameters), number(11, 8),
    ])
    const voucher = Buffer.concat([
      Buffer.of(1), bytes(quote.genesis), number(state.channel, 8), number(state.accepted, 16), bytes(state.previous),
      number(amount, 16), number(quote.expiry.least + 500, 8), keccak(Buffer.of(3), tag('TRM1'), terms),
    ])
    const message = Buffer.concat([tag('<Bytes>OpenLedger voucher:'), voucher, tag('</Bytes>')])
    const signed = Buffer.concat([voucher, Buffer.of(0), sr25519Sign(message, this.pair)])
    return {
      x402Version,
      payload: { voucher: signed.toString('base64'), terms: terms.toString('base64'), salt: hex(salt) },
    }
  }
}

export async function x402({ workerUrl, model, channel, suri }) {
  await cryptoWaitReady()
  const { path } = keyExtractSuri(`${DEV_PHRASE}${suri}`)
  const pair = keyFromPath(sr25519PairFromSeed(mnemonicToMiniSecret(DEV_PHRASE)), path, 'sr25519')
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'When does the tide turn?' }], max_tokens: 12, seed: 11 })
  const post = (path, headers = {}) =>
    fetch(`${workerUrl}${path}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })
  const state = () => json(`${workerUrl}/v1/channels/${channel}`)
  const tokens = async () => (await (await post('/v1/tokenize')).json()).tokens

  const unpaid = await post('/v1/chat/completions')
  assert.equal(unpaid.status, 402)
  const core = new x402HTTPClient(undefined)
  const required = core.getPaymentRequiredResponse((name) => unpaid.headers.get(name), await unpaid.json())
  const { network } = required.accepts[0]
  const client = new x402HTTPClient(
    new x402Client().setSpendControls(false).register(network, new ChannelVoucher(pair, state, tokens)),
  )
  const payment = await client.createPaymentPayload(required)
  const paid = await post('/v1/chat/completions', client.encodePaymentSignatureHeader(payment))
  const answer = await paid.json()
  assert.equal(paid.status, 200, JSON.stringify(answer))
  assert.ok(answer.usage.completion_tokens > 0)
  const settled = client.getPaymentSettleResponse((name) => paid.headers.get(name))
  assert.equal(settled.success, true)
  assert.equal(settled.transaction, answer.openledger.voucher)
  const receipt = await until('the receipt', 60, async () => {
    const { state, receipt } = await json(`${workerUrl}/v1/answers/${answer.openledger.voucher}?wait=5`)
    return state === 'done' && receipt
  })
  const { fee } = await json(`${workerUrl}/v1/receipts/${receipt}`)
  const after = await state()
  assert.equal(after.previous, receipt)
  assert.equal(after.accepted, fee, 'the channel stands where the receipt says')
  assert.ok(BigInt(fee) <= BigInt(required.accepts[0].amount), 'no more than was promised')
  return [`402, paid by ${payment.accepted.scheme} on ${network.slice(0, 20)}…, receipt for ${fee} planck`]
}

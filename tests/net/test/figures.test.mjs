import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countSlots, slotOf } from '../lib/babe.mjs'
import { choose, random, readOptions } from '../lib/options.mjs'
import { median, percentile, Promises, table } from '../lib/report.mjs'

const le = (value, bytes) => {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntLE(value, 0, Math.min(bytes, 6))
  return buffer.toString('hex')
}
const preDigest = (kind, authority, slot, rest = '') => {
  const body = `${le(kind, 1)}${le(authority, 4)}${le(slot, 8)}${rest}`
  const length = body.length / 2
  const prefix = length < 64 ? le(length << 2, 1) : le((length << 2) | 1, 2)
  return `0x0642414245${prefix}${body}`
}
const seal = '0x05424142450101' + 'ab'.repeat(64)
const chain = (slots) => slots.map((slot, i) => ({ number: `0x${i.toString(16)}`, hash: `h${i}`, digest: { logs: [preDigest(2, i % 4, slot)] } }))
const author = ({ authority }) => 'abcd'[authority]

test('slot and author should be read from all three kinds of pre-digest', () => {
  const vrf = 'cd'.repeat(96)
  for (const [kind, rest] of [[1, vrf], [2, ''], [3, vrf]])
    assert.deepEqual(slotOf({ number: '0x1', digest: { logs: ['0x0446524e4b00', preDigest(kind, 3, 871_234_567, rest), seal] } }), { authority: 3, slot: 871_234_567 })
})

test('a header of another consensus should be refused', () => {
  assert.throws(() => slotOf({ number: '0x7', digest: { logs: ['0x066175726120' + '00'.repeat(8)] } }), /block 7 has no BABE pre-digest/)
})

test('counting should find every slot filled', () => {
  const counted = countSlots(chain([100, 101, 102, 103]), 103, author)
  assert.deepEqual([counted.blocks, counted.slots, counted.filled, counted.longestGap], [3, 3, 100, 0])
  assert.equal([...counted.authored.values()].reduce((a, b) => a + b), 3)
})

test('counting should see empty slots between blocks', () => {
  const counted = countSlots(chain([100, 101, 104, 105]), 105, author)
  assert.deepEqual([counted.blocks, counted.slots, counted.filled, counted.longestGap], [3, 5, 60, 2])
})

test('counting should not call a chain full that stopped', () => {
  const counted = countSlots(chain([100, 101, 102]), 122, author)
  assert.deepEqual([counted.blocks, counted.slots, counted.longestGap], [2, 22, 20])
})

test('the slot in progress should not count against the chain', () => {
  assert.equal((countSlots(chain([100, 101]), 100, author)).filled, 100)
})

test('counting should refuse a slot that does not rise', () => {
  assert.throws(() => countSlots(chain([100, 100]), 100, author), /not after its parent/)
})

test('percentiles should be values that occurred', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i)
  assert.equal(percentile(values, 99), 99)
  assert.equal(percentile(values, 100), 100)
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 2, 3]), 2)
  assert.ok(Number.isNaN(median([])))
})

test('no samples at all should break a promise about lag', () => {
  // NaN compares false with everything, so an empty measurement cannot pass as a good one.
  assert.equal(median([]) <= 4, false)
})

test('a table should align numbers right and names left', () => {
  assert.equal(table(['name', 'n'], [['alice', 5], ['b', 123]]), 'name     n\n-----  ---\nalice    5\nb      123')
})

test('broken promises should be listed, shown figures never', () => {
  const promises = new Promises()
  promises.note('shown', 1)
  promises.check('good', 2, '>= 1', true)
  promises.check('bad', 0, '>= 1', false)
  assert.deepEqual(promises.broken.map((row) => row.what), ['bad'])
  assert.match(promises.toString(), /bad +0 +>= 1 +BROKEN/)
})

test('the same seed should choose the same victims', () => {
  const names = ['alice', 'bob', 'charlie', 'dave']
  const picks = (seed) => {
    const next = random(seed)
    return [choose(names, 1, next), choose(names, 2, next)]
  }
  assert.deepEqual(picks(7), picks(7))
  const all = new Set(Array.from({ length: 50 }, (_, seed) => picks(seed)[0][0]))
  assert.equal(all.size, 4)
  for (let seed = 0; seed < 50; seed++) assert.equal(new Set(picks(seed)[1]).size, 2)
})

test('flags should be read as what they are', () => {
  assert.deepEqual(readOptions([]).scenario, 'up')
  const { scenario, options } = readOptions(['faults', '--watch-slots', '5', '--keep'])
  assert.deepEqual([scenario, options.watchSlots, options.keep, options.minFilled, options.seed], ['faults', 5, true, 97, null])
  assert.throws(() => readOptions(['--slots', 'many']), /--slots is "many"/)
  assert.throws(() => readOptions(['a', 'b']), /one scenario/)
})

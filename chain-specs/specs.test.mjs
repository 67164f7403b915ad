import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { accountOf, launched, parseJson, placeholderOf, planck, reviewed, SUPPLY, writeJson } from './specs.mjs'

const OPEN = 10n ** 18n
const ALICE = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY'

function ss58(bytes) {
  const body = Buffer.concat([Buffer.from([42]), bytes])
  const sum = createHash('blake2b512').update('SS58PRE').update(body).digest().subarray(0, 2)
  let value = BigInt(`0x${Buffer.concat([body, sum]).toString('hex')}`)
  let text = ''
  for (; value > 0n; value /= 58n) text = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'[Number(value % 58n)] + text
  return text
}
const account = (n) => ss58(Buffer.alloc(32, n))
const placeholder = (name) => ss58(Buffer.from(`openledger:${name}`.padEnd(32, '-')))

const spec = () => ({
  id: 'test',
  bootNodes: [],
  genesis: {
    runtimeGenesis: {
      code: `0x${'ab'.repeat(600)}`,
      patch: {
        balances: { balances: [[placeholder('team'), 150n * 10n ** 24n], [placeholder('liquidity'), 50n * 10n ** 24n], [account(99), 800n * 10n ** 24n]] },
        vesting: { vesting: [[placeholder('team'), 15_778_800, 47_336_400, 0]] },
        session: { keys: [] },
        staking: { validatorCount: 3, stakers: [], minValidatorBond: 10_000n * OPEN },
        technicalCommittee: { members: [] },
      },
    },
  },
})
const validator = (n) => ({ stash: account(n), bond: '10000', babe: account(n + 100), grandpa: account(n + 120), authorityDiscovery: account(n + 140) })
const launch = () => ({
  chain: 'main',
  holders: {
    team: [[account(1), '100000000'], [account(2), '50000000']],
    liquidity: [[account(3), '49979999.5'], [account(4), '20000.5']],
  },
  validators: [validator(3), validator(4)],
  committee: [account(9), account(8)],
  bootNodes: ['/dns/boot.example/tcp/30333/p2p/12D3KooWQCkBm1BYtkHpocxCwMgR8yjitEeHGx8spzcDLGt2gkBm'],
})

test('numbers of any size should survive reading and writing', () => {
  const text = writeJson({ a: [1, 2n ** 100n], b: 'ab, 1234567890123456789', c: { d: 10n ** 27n } })
  assert.match(text, /1267650600228229401496703205376/)
  const again = parseJson(text)
  assert.equal(again.a[1], 2n ** 100n)
  assert.equal(again.c.d, 10n ** 27n)
  assert.equal(again.a[0], 1)
  assert.equal(writeJson(again), text)
})

test('addresses should be read as wallets show them', () => {
  assert.equal(accountOf(ALICE).toString('hex'), 'd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d')
  // The same account under a prefix of two bytes and under Polkadot's.
  assert.deepEqual(accountOf('15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5'), accountOf(ALICE))
  assert.throws(() => accountOf(ALICE.replace('5G', '5H')), /checksum/)
  assert.throws(() => accountOf('5Grw'), /wrong length/)
  assert.throws(() => accountOf('0xd43593'), /contains "0"/)
})

test('placeholders should be known by their bytes', () => {
  assert.equal(placeholderOf(placeholder('team')), 'team')
  assert.equal(placeholderOf(ALICE), null)
})

test('amounts should be exact', () => {
  assert.equal(planck('1000.000000000000000001', 'x'), 1000n * OPEN + 1n)
  for (const bad of ['1e6', '-1', '1.', '', 5, '0.0000000000000000001']) assert.throws(() => planck(bad, 'x'), /is not OPEN/)
})

test('the reviewed form should leave out the code and nothing else', () => {
  const text = reviewed(spec())
  const read = parseJson(text)
  assert.equal(read.genesis.runtimeGenesis.code, '0x')
  assert.deepEqual(read.genesis.runtimeGenesis.patch, spec().genesis.runtimeGenesis.patch)
  const empty = spec()
  empty.genesis.runtimeGenesis.code = '0x'
  assert.throws(() => reviewed(empty), /carries no code/)
})

test('a launch file should replace every placeholder and keep the supply', () => {
  const { genesis, bootNodes } = launched(spec(), launch())
  const { patch } = genesis.runtimeGenesis
  assert.equal(patch.balances.balances.reduce((sum, [, amount]) => sum + amount, 0n), SUPPLY)
  assert.deepEqual(patch.vesting.vesting, [[account(1), 15_778_800, 47_336_400, 0], [account(2), 15_778_800, 47_336_400, 0]])
  assert.deepEqual(patch.session.keys[0], [account(3), account(3), { babe: account(103), grandpa: account(123), authority_discovery: account(143) }])
  assert.deepEqual(patch.staking.stakers[1], [account(4), account(4), 10_000n * OPEN, 'Validator'])
  assert.deepEqual(patch.technicalCommittee.members, [account(8), account(9)])
  assert.equal(bootNodes.length, 1)
  assert.equal(genesis.runtimeGenesis.code, spec().genesis.runtimeGenesis.code)
})

const refused = {
  'a holder that is missing': [(l) => delete l.holders.team, /nobody is named for "team"/],
  'a holder the preset does not know': [(l) => (l.holders.friends = [[account(7), '1']]), /has no "friends"/],
  'amounts that add up to less': [(l) => (l.holders.team[0][1] = '99999999'), /holders.team: adds up to 149999999/],
  'one account twice': [(l) => (l.holders.liquidity[1][0] = account(1)), /holds something already/],
  'a placeholder as holder': [(l) => (l.holders.team[0][0] = placeholder('team')), /is a placeholder/],
  'dust': [(l) => { l.holders.liquidity[0][1] = '49999999.5'; l.holders.liquidity[1][1] = '0.5' }, /less than 1 OPEN/],
  'no validators': [(l) => (l.validators = []), /validators: is empty/],
  'more validators than seats': [(l) => l.validators.push(validator(5), validator(6)), /4 for 3 seats/],
  'a key of two validators': [(l) => (l.validators[1].grandpa = l.validators[0].grandpa), /is used by validators\[0\] too/],
  'a stash that holds nothing': [(l) => (l.validators[0].stash = account(5)), /not among the holders/],
  'a stash that is vesting': [(l) => (l.validators[0].stash = account(1)), /is vesting/],
  'a bond too small': [(l) => (l.validators[0].bond = '9999'), /preset asks for/],
  'a bond that leaves nothing': [(l) => (l.validators[1].bond = '20000.5'), /leave 1 OPEN free/],
  'an empty committee': [(l) => (l.committee = []), /committee: is empty/],
  'a field that means nothing': [(l) => (l.sudo = ALICE), /"sudo", which means nothing/],
  'a field left out': [(l) => delete l.bootNodes, /lacks "bootNodes"/],
}
for (const [what, [spoil, message]] of Object.entries(refused))
  test(`a launch should refuse ${what}`, () => {
    const file = launch()
    spoil(file)
    assert.throws(() => launched(spec(), file), message)
  })

test('a launch should refuse a preset with a placeholder outside the balances', () => {
  const preset = spec()
  preset.genesis.runtimeGenesis.patch.rewards = { pot: placeholder('pot') }
  assert.throws(() => launched(preset, launch()), /placeholders are left: pot \(rewards\)/)
})

// polkadot.js: bond, nominate, validate; an era is paid from the emission pot to the planck, and nothing is minted.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseEther } from 'viem'
import { rpc, useNode } from './lib/node.mjs'
import { balance, connect, eachBlockUntil, natives, send } from './lib/substrate.mjs'
import { moneyAt, watchSupply } from './supply.mjs'

const chain = await useNode({ sealing: 'interval=150' })
const supply = await watchSupply(chain)
const api = await connect(chain)
const { alice, bob, charlie, dave, eve, ferdie } = natives
const { staking, session, voterList } = api.query
const PARTS = 1_000_000_000n // a Perbill's parts
const COMMISSION = PARTS / 10n

/** Elections count in 64 bits: all of the issuance is 2^64 votes, and an exposure is exact to one of them. */
const VOTE_UNIT = (parseEther('1000000000') >> 64n) + 1n

const activeEra = async () => (await staking.activeEra()).unwrap().index.toNumber()
/** Development eras are 60 blocks; `eras` of them, and some. */
const waitFor = (what, eras, check) => eachBlockUntil(api, check, { what, blocks: eras * 60 + 20 })

test('bond, register session keys with their proof, validate', async () => {
  const bond = parseEther('2000000')
  await send(api, api.tx.staking.bond(bond, 'Stash'), bob)
  const ledger = (await staking.ledger(bob.address)).unwrap()
  assert.equal(ledger.active.toBigInt(), bond)

  // The node makes the keys and signs that they are for this account; without the proof the chain refuses them.
  const owner = `0x${Buffer.from(bob.publicKey).toString('hex')}`
  const { keys, proof } = await rpc(chain.httpUrl, 'author_rotateKeysWithOwner', [owner])
  await assert.rejects(send(api, api.tx.session.setKeys(keys, '0x'), bob), /session\.InvalidProof/)
  await assert.rejects(send(api, api.tx.session.setKeys(keys, proof), charlie), /session\.InvalidProof/)
  await send(api, api.tx.session.setKeys(keys, proof), bob)
  assert.ok((await session.nextKeys(bob.address)).isSome)

  await send(api, api.tx.staking.validate({ commission: COMMISSION, blocked: false }), bob)
  assert.equal((await staking.validators(bob.address)).commission.toBigInt(), COMMISSION)
})

test('bond and nominate', async () => {
  const targets = [alice.address, bob.address]
  for (const [nominator, amount] of [
    [charlie, parseEther('1000000')],
    [dave, parseEther('700000')],
  ]) {
    await send(api, api.tx.staking.bond(amount, 'Stash'), nominator)
    await send(api, api.tx.staking.nominate(targets), nominator)
    assert.deepEqual((await staking.nominators(nominator.address)).unwrap().targets.map(String), targets)
    assert.ok((await voterList.listNodes(nominator.address)).isSome)
  }
  // Whoever has not bonded nominates nobody.
  await assert.rejects(send(api, api.tx.staking.nominate(targets), eve), /staking\.NotController/)
})

test('join a nomination pool', async () => {
  const { nominationPools: pools } = api.tx
  await send(api, pools.create(parseEther('1000'), ferdie.address, ferdie.address, ferdie.address), ferdie)
  const id = (await api.query.nominationPools.lastPoolId()).toNumber()
  await send(api, pools.nominate(id, [alice.address]), ferdie)
  await send(api, pools.join(parseEther('500'), id), eve)
  const pool = (await api.query.nominationPools.bondedPools(id)).unwrap()
  assert.equal(pool.points.toBigInt(), parseEther('1500'))
  assert.equal((await api.query.nominationPools.poolMembers(eve.address)).unwrap().points.toBigInt(), parseEther('500'))
})

/** The era that the last tests look at: the first in which Bob validates. */
let era

test('the new validator is elected, makes blocks and carries its nominators', async () => {
  await waitFor('the election of Bob', 3, async () => {
    const now = await activeEra()
    if ((await staking.erasStakersOverview(now, bob.address)).isNone) return false
    era = now
    return true
  })
  const overview = (await staking.erasStakersOverview(era, bob.address)).unwrap()
  near(overview.own.toBigInt(), parseEther('2000000'), VOTE_UNIT)
  const validators = (await session.validators()).map(String)
  assert.ok(validators.includes(alice.address) && validators.includes(bob.address))

  // Between them the two validators carry all that was nominated.
  let carried = 0n
  for (const validator of [alice, bob]) {
    const page = (await staking.erasStakersPaged(era, validator.address, 0)).unwrapOrDefault()
    for (const { value } of page.others) carried += value.toBigInt()
  }
  near(carried, parseEther('1701500'), 8n * VOTE_UNIT)
  const { individual } = await waitFor('a block of Bob', 1, async () => {
    const points = await staking.erasRewardPoints(era)
    return [...points.individual.keys()].some((who) => who.eq(bob.address)) && points
  })
  assert.ok(individual.size >= 1)
})

test('eras are funded from the emission pot, as the schedule says', async () => {
  await waitFor(`the end of era ${era}`, 2, async () => (await activeEra()) > era)
  const initial = parseEther('250000000')
  // Half of the pot in four years of 365.25 days, evenly: what has been emitted after so many milliseconds.
  const emitted = (millis) => ((initial / 2n) * millis) / (4n * 31_557_600_000n)
  const pot = potAccount()
  let time = 0n
  let funded = 0
  const head = await api.rpc.chain.getHeader()
  let before
  for (let number = 1; number <= head.number.toNumber(); number++) {
    const at = await api.at(await api.rpc.chain.getBlockHash(number))
    const held = (await at.query.system.account(pot)).data.free.toBigInt()
    const events = (await at.query.system.events())
      .map(({ event }) => event)
      .filter(({ section }) => section === 'rewards')
    let moved = 0n
    for (const { method, data } of events) {
      if (method === 'EraFunded') {
        const [millis, amount, reserve] = [data.millis, data.amount, data.reserve].map((value) => value.toBigInt())
        assert.equal(amount, emitted(time + millis) - emitted(time), `block ${number}`)
        time += millis
        moved -= amount + reserve
        funded++
      } else if (method === 'SpareReturned') moved += data.amount.toBigInt()
      else assert.fail(`block ${number}: rewards.${method} is not expected here`)
    }
    if (number > 1) assert.equal(held - before, moved, `block ${number}: what the pot says and what it holds`)
    before = held
  }
  assert.ok(funded > era, `${funded} eras were funded and era ${era} is over`)
  console.log(`staking: ${funded} eras funded, the pot holds ${before} of ${initial} planck at block ${head.number}`)
})

test('the era is paid from the pot: what stakers get is what the pot loses, and nothing is minted', async () => {
  const payout = (await staking.erasValidatorReward(era)).unwrap().toBigInt()
  assert.ok(payout > 0n, 'the era earned nothing')
  const points = await staking.erasRewardPoints(era)
  const total = points.total.toBigInt()

  let paid = 0n
  for (const validator of [alice, bob]) {
    const sent = await send(api, api.tx.staking.payoutStakers(validator.address, era), eve)
    const rewarded = sent.events.filter(({ section, method }) => section === 'staking' && method === 'Rewarded')
    const byStash = new Map(rewarded.map(({ data }) => [data.stash.toString(), data.amount.toBigInt()]))
    const sum = [...byStash.values()].reduce((a, b) => a + b, 0n)
    paid += sum

    // This validator's part of the era goes by its points, in billionths.
    const own = [...points.individual].find(([who]) => who.eq(validator.address))[1].toBigInt()
    const share = (payout * own) / total
    const slack = payout / PARTS + BigInt(rewarded.length)
    assert.ok(sum <= share + slack && sum >= share - 4n * slack, `${validator.meta.name}: ${sum} of ${share}`)

    // Commission first, the rest by stake.
    const overview = (await staking.erasStakersOverview(era, validator.address)).unwrap()
    const { commission } = await staking.erasValidatorPrefs(era, validator.address)
    const cut = (share * commission.toBigInt()) / PARTS
    const expected = cut + ((share - cut) * overview.own.toBigInt()) / overview.total.toBigInt()
    const got = byStash.get(validator.address)
    near(got, expected, 8n * slack)

    // Every planck that arrived left the pots, and the supply did not notice.
    const { parentHash } = await api.rpc.chain.getHeader(sent.blockHash)
    const [then, now] = [await moneyAt(chain.httpUrl, parentHash.toHex()), await moneyAt(chain.httpUrl, sent.blockHash)]
    assert.equal(now.issuance, then.issuance)
    const losers = [...now.accounts].filter(([who, planck]) => planck < (then.accounts.get(who) ?? 0n))
    const fromPots = losers
      .filter(([who]) => isPalletAccount(who))
      .reduce((lost, [who, planck]) => lost + then.accounts.get(who) - planck, 0n)
    assert.equal(fromPots, sum, 'the pots lost what stakers got')
    for (const { data } of rewarded) {
      // A pool asks for its rewards on an account of their own.
      const to = data.dest.isAccount ? data.dest.asAccount : data.stash
      const key = to.toHex()
      const gained = now.accounts.get(key) - (then.accounts.get(key) ?? 0n)
      // The author's part of the transaction's fee comes on top, to whoever made the block.
      assert.ok(gained >= data.amount.toBigInt(), `${to} gained ${gained}, the event says ${data.amount}`)
    }
  }
  assert.ok(paid <= payout && paid >= payout - 8n * (payout / PARTS + 1n), `${paid} paid of ${payout}`)
  console.log(`staking: era ${era} was worth ${payout} planck, ${paid} were paid out, issuance unchanged`)
  await assert.rejects(
    send(api, api.tx.staking.payoutStakers(bob.address, era), eve),
    /staking\.(AlreadyClaimed|InvalidPage)/,
  )
})

test('unbond and chill', async () => {
  await send(api, api.tx.staking.chill(), charlie)
  assert.ok((await staking.nominators(charlie.address)).isNone)
  await send(api, api.tx.staking.unbond(parseEther('1000000')), charlie)
  const { unlocking } = (await staking.ledger(charlie.address)).unwrap()
  assert.equal(unlocking.length, 1)
  assert.equal(unlocking[0].value.toBigInt(), parseEther('1000000'))
  const { reserved } = await balance(api, charlie.address)
  assert.ok(reserved >= parseEther('1000000'), 'unbonding stake stays on hold')
})

supply.test()

function near(value, wanted, slack) {
  const off = value > wanted ? value - wanted : wanted - value
  assert.ok(off <= slack, `${value} is ${off} away from ${wanted}; ${slack} is allowed`)
}

/** The emission pot's account: "modl", the pallet's id, zeros. */
function potAccount() {
  const account = new Uint8Array(32)
  account.set(new TextEncoder().encode('modlop/emiss'))
  return account
}

/** Accounts of pallets begin with "modl". */
function isPalletAccount(hex) {
  return hex.startsWith('0x6d6f646c')
}

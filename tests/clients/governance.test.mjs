// polkadot.js: a referendum from preimage to enactment that changes a parameter, and one that fails.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseEther } from 'viem'
import { useNode } from './lib/node.mjs'
import { balance, connect, natives, send } from './lib/substrate.mjs'
import { decide, propose, readByteFee, setByteFee, stateOf, vote } from './lib/referendum.mjs'
import { watchSupply } from './supply.mjs'

const chain = await useNode({ sealing: 'interval=150' })
const supply = await watchSupply(chain)
const api = await connect(chain)
const { alice, bob, charlie, dave, eve, ferdie } = natives

test('a referendum on the parameters track changes the byte fee, and fees follow', async () => {
  const before = await readByteFee(api)
  const next = before * 3n
  // A signed transfer, quoted with and without the change: its bytes tell how much dearer it must get.
  const probe = api.tx.balances.transferKeepAlive(ferdie.address, 1n)
  const signed = await probe.signAsync(bob)
  const length = signed.encodedLength
  // Only the part for its bytes: the rest moves with how full blocks are.
  const quote = async () =>
    (await api.call.transactionPaymentApi.queryFeeDetails(signed.toU8a(), length)).inclusionFee.unwrap().lenFee.toBigInt()
  const cheap = await quote()
  assert.equal(cheap, BigInt(length) * before)

  const index = await propose(api, eve, { Origins: 'ParametersAdmin' }, setByteFee(api, next))
  const info = (await api.query.referenda.referendumInfoFor(index)).unwrap().asOngoing
  const [, track] = api.consts.referenda.tracks.find(([id]) => id.eq(info.track))
  assert.equal(track.name.toHuman().replace(/\0/g, ''), 'parameters')

  const votes = [
    [alice, parseEther('200000000'), 'Locked1x'],
    [bob, parseEther('90000000'), 'Locked2x'],
    [charlie, parseEther('90000000'), 'Locked1x'],
    [dave, parseEther('90000000'), 'None'],
  ]
  for (const [voter, amount, conviction] of votes) await vote(api, voter, index, { aye: true, amount, conviction })
  const { tally } = (await api.query.referenda.referendumInfoFor(index)).unwrap().asOngoing
  assert.equal(tally.support.toBigInt(), parseEther('470000000'))
  // Conviction: 200 x 1 + 90 x 2 + 90 x 1 + 90 x 0.1 million.
  assert.equal(tally.ayes.toBigInt(), parseEther('479000000'))
  assert.equal(tally.nays.toBigInt(), 0n)

  const outcome = await decide(api, index, async () => (await readByteFee(api)) === next)
  assert.equal(outcome, 'Approved')
  assert.equal(await readByteFee(api), next)
  assert.equal(await quote(), BigInt(length) * next)
})

test("the proposer's deposits come back, votes stay locked as long as promised", async () => {
  const index = 0
  const reserved = (await balance(api, eve.address)).reserved
  await send(api, api.tx.referenda.refundDecisionDeposit(index), eve)
  await send(api, api.tx.referenda.refundSubmissionDeposit(index), eve)
  const track = api.consts.referenda.tracks.find(([id]) => id.eq(10))[1]
  const back = track.decisionDeposit.toBigInt() + api.consts.referenda.submissionDeposit.toBigInt()
  assert.equal(reserved - (await balance(api, eve.address)).reserved, back)

  // Dave voted without conviction: removing the vote frees him. Bob's conviction binds him for a while longer.
  for (const voter of [dave, bob]) {
    await send(api, api.tx.convictionVoting.removeVote(10, index), voter)
    await send(api, api.tx.convictionVoting.unlock(10, voter.address), voter)
  }
  const locks = async (who) => (await api.query.balances.locks(who.address)).toJSON()
  assert.deepEqual(await locks(dave), [])
  assert.equal((await locks(bob)).length, 1)
})

test('a referendum that most vote against is rejected and changes nothing', async () => {
  // This track has the shortest decision period.
  const index = await propose(api, eve, { Origins: 'StakingAdmin' }, api.tx.staking.setMinCommission(123_456_789))
  await vote(api, ferdie, index, { aye: true, amount: parseEther('5000000'), conviction: 'Locked1x' })
  await vote(api, alice, index, { aye: false, amount: parseEther('200000000'), conviction: 'Locked6x' })
  const { tally } = (await api.query.referenda.referendumInfoFor(index)).unwrap().asOngoing
  assert.equal(tally.nays.toBigInt(), parseEther('1200000000'))
  const outcome = await decide(api, index, async () => (await stateOf(api, index)) !== 'Ongoing')
  assert.equal(outcome, 'Rejected')
  assert.equal((await api.query.staking.minCommission()).toNumber(), 0)
})

test('a call that the track may not make is enacted as a failure, not as a change', async () => {
  const forbidden = api.tx.system.setStorage([['0x1234', '0x01']])
  const index = await propose(api, eve, { Origins: 'ParametersAdmin' }, forbidden)
  for (const voter of [alice, bob, charlie, dave]) {
    const amount = parseEther(voter === alice ? '200000000' : '90000000')
    await vote(api, voter, index, { aye: true, amount, conviction: 'Locked1x' })
  }
  // Enactments are scheduled under a name; the referendum's own alarms are not.
  let dispatched
  const isEnactment = ({ section, method, data }) =>
    section === 'scheduler' && method === 'Dispatched' && data.id.isSome
  const stop = await api.query.system.events((events) => {
    dispatched ??= events.map(({ event }) => event).find(isEnactment)
  })
  await decide(api, index, async () => dispatched)
  stop()
  assert.ok(dispatched.data.result.isErr, 'the scheduler must report the refusal')
  assert.ok((await api.rpc.state.getStorage('0x1234')).isNone)
})

supply.test()

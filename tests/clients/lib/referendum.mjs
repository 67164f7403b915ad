// Steps of a referendum with polkadot.js, as the tests and the demo take them.
import { blake2AsHex } from '@polkadot/util-crypto'
import { eachBlockUntil, send } from './substrate.mjs'

/** Blocks within which a referendum of these tests is over: the shortest decision period of a track is 120. */
export const OUTCOME_BLOCKS = 160

/** The call that sets the price of a transaction's byte, in planck. */
export const setByteFee = (api, planck) => api.tx.parameters.setParameter({ Fees: { ByteFee: [null, planck] } })

const BYTE_FEE = { Fees: 'ByteFee' }

/** Storage key under which a decided byte fee lies; nothing is there while the built-in value holds. */
export const byteFeeKey = (api) => api.query.parameters.parameters.key(BYTE_FEE)

/** The byte fee that holds, in planck: the decided one, or the one built into the runtime. */
export async function readByteFee(api, blockHash) {
  const at = blockHash ? await api.at(blockHash) : api
  const decided = await at.query.parameters.parameters(BYTE_FEE)
  if (decided.isNone) return 16n * 10n ** 9n
  return decided.unwrap().asFees.asByteFee.toBigInt()
}

/**
 * Notes the preimage of `call`, submits the referendum and places its decision deposit.
 *
 * @param {object} origin who the referendum speaks as, for example `{ Origins: 'ParametersAdmin' }`
 * @param {(text: string, sent: object) => void} [tell] called after each step
 * @returns {Promise<number>} the referendum's index
 */
export async function propose(api, proposer, origin, call, tell = () => {}) {
  const encoded = call.method.toHex()
  const hash = blake2AsHex(encoded)
  const length = (encoded.length - 2) / 2
  tell(`preimage of ${length} bytes noted as ${hash}`, await send(api, api.tx.preimage.notePreimage(encoded), proposer))
  const submitted = await send(
    api,
    api.tx.referenda.submit(origin, { Lookup: { hash, len: length } }, { After: 1 }),
    proposer,
  )
  const { index, track } = submitted.find('referenda.Submitted').data
  tell(`referendum ${index} submitted on track ${track}`, submitted)
  const deposited = await send(api, api.tx.referenda.placeDecisionDeposit(index), proposer)
  tell('decision deposit placed', deposited)
  return index.toNumber()
}

/** Votes with `amount` planck and a conviction such as `None` or `Locked1x`. */
export function vote(api, voter, index, { aye, amount, conviction }) {
  const standard = { Standard: { vote: { aye, conviction }, balance: amount } }
  return send(api, api.tx.convictionVoting.vote(index, standard), voter)
}

/** What became of a referendum: `Ongoing`, `Approved`, `Rejected`, … */
export async function stateOf(api, index) {
  return (await api.query.referenda.referendumInfoFor(index)).unwrap().type
}

/** Where a referendum stands, in words. */
export async function phaseOf(api, index) {
  const info = (await api.query.referenda.referendumInfoFor(index)).unwrap()
  if (!info.isOngoing) return `${info.type.toLowerCase()}, waiting for its enactment`
  const { deciding } = info.asOngoing
  if (deciding.isNone) return 'preparing'
  const { confirming } = deciding.unwrap()
  return confirming.isSome ? `passing, to be confirmed at block ${confirming.unwrap()}` : 'being decided'
}

/** Waits until `done()` and returns what became of the referendum. */
export async function decide(api, index, done, progress) {
  await eachBlockUntil(api, done, { what: `referendum ${index}`, blocks: OUTCOME_BLOCKS, progress })
  return stateOf(api, index)
}

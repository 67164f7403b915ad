// The same session keys in two processes: the chain must notice, disable and slash, and nobody may fall over.
import { cryptoWaitReady } from '@polkadot/util-crypto'
import { connect, Events, stashes } from '../lib/chain.mjs'
import { twinOf } from '../lib/network.mjs'

export const about = "a fifth process with alice's keys: reported, disabled and slashed, nobody crashes"

const OFFENDER = 'alice'

export async function play(run) {
  const { options, promises } = run
  await cryptoWaitReady()
  await run.up()
  const honest = run.names.filter((name) => name !== OFFENDER)
  const api = await connect(run.processes.get(honest[0]).spec)
  try {
    const stash = stashes([OFFENDER])[OFFENDER].address
    const isOffender = (account) => account.toString() === api.createType('AccountId', stash).toString()
    const staked = async () => (await api.query.staking.ledger(stash)).unwrapOrDefault().active.toBigInt()
    const before = await staked()
    if (before === 0n) throw new Error(`${OFFENDER} (${stash}) has nothing staked, so nothing could be slashed; the preset should bond it`)
    const finalized = run.monitor.finalized(honest)
    const events = new Events(api, finalized + 1)
    const twin = twinOf(run.network, OFFENDER)
    await run.processes.add(twin)
    const from = Date.now()
    run.say(`${twin.name} runs with ${OFFENDER}'s session keys, from finalised block ${finalized}`)

    const seen = (name, test) => run.until(`event ${name}`, async () => (await events.read()) && events.of(name, test)[0])
    const offence = await seen('offences.Offence')
    const kind = Buffer.from(offence.data.kind.toU8a(true)).toString('latin1').replace(/[^\x20-\x7e]/g, '')
    promises.check('offence reported', `${kind} in block ${offence.at}`, 'reported', true)
    run.say(`offence ${kind} in block ${offence.at}`)

    const disabled = await seen('session.ValidatorDisabled', (data) => isOffender(data.validator))
    promises.check('offender disabled', `block ${disabled.at}`, 'disabled', true)
    const reported = await seen('staking.SlashReported', (data) => isOffender(data.validator))
    promises.note('part of the stake to be slashed', `${reported.data.fraction.toNumber() / 1e7} %`)
    const others = events.of('staking.SlashReported', (data) => !isOffender(data.validator))
    promises.check('others reported for a slash', others.length, '0', others.length === 0)

    // A slash may be deferred by some eras, so that governance can cancel it.
    const defer = api.consts.staking.slashDeferDuration.toNumber()
    run.say(`waiting for the slash (deferred by ${defer} eras)`)
    const slashed = await seen('staking.Slashed', (data) => isOffender(data.staker))
    const lost = before - (await staked())
    promises.check('stake lost', `${Number(lost) / 1e18} of ${Number(before) / 1e18} OPEN in block ${slashed.at}`, '> 0', lost > 0n)

    const watch = options.watchSlots ?? 20
    const mark = run.monitor.finalized(honest)
    await run.slots(watch)
    const gained = run.monitor.finalized(honest) - mark
    const least = Math.floor(watch / 2)
    promises.check(`blocks finalised afterwards in ${watch} slots`, gained, `>= ${least}`, gained >= least)
    promises.check('processes running', run.running.length, `${run.names.length}`, run.running.length === run.names.length)
    const still = Math.max(...honest.map((name) => run.monitor.longestStandstill(name, from))) / run.config.slotMs
    promises.note('longest pause of finality', `${still.toFixed(1)} slots`)
  } finally {
    await api.disconnect()
  }
}

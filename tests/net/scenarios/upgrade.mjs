// A runtime upgrade by referendum, from preimage to new code, while finality goes on.
import { existsSync, readFileSync } from 'node:fs'
import { blake2AsHex, cryptoWaitReady } from '@polkadot/util-crypto'
import { connect, send, stashes } from '../lib/chain.mjs'
import { percentile, seconds } from '../lib/report.mjs'
import { call } from '../lib/rpc.mjs'

export const about = 'a referendum on the root track replaces the runtime; needs --wasm or UPGRADE_WASM'

export async function play(run) {
  const { options, promises } = run
  const code = readWasm(options.wasm)
  await cryptoWaitReady()
  await run.up()
  const spec = run.processes.nodes[0].spec
  const api = await connect(spec)
  try {
    const before = api.runtimeVersion.specVersion.toNumber()
    const hash = blake2AsHex(code, 256)
    run.say(`runtime is version ${before}; proposing code ${hash} (${code.length} bytes)`)
    await decide(run, api, hash)

    const from = Date.now()
    // The call checks the hash itself, so anybody may bring the code.
    const applied = await send(api, api.tx.system.applyAuthorizedUpgrade(`0x${code.toString('hex')}`), stashes(['bob']).bob)
    const names = applied.events.map((event) => `${event.section}.${event.method}`)
    promises.check('system.CodeUpdated', names.includes('system.CodeUpdated') ? 'seen' : names.join(' '), 'seen', names.includes('system.CodeUpdated'))
    const at = (await api.rpc.chain.getHeader(applied.hash)).number.toNumber()
    run.say(`new code set in block ${at}`)

    const watch = options.watchSlots ?? 30
    await run.until(`block ${at} to be finalised everywhere`, () => run.monitor.finalized(run.names) >= at)
    const passed = Date.now() - from
    await run.slots(watch)
    const versions = await Promise.all(run.names.map(async (name) => (await call(run.url(name), 'state_getRuntimeVersion')).specVersion))
    const after = Math.min(...versions)
    promises.check('runtime version, every node', `${before} -> ${versions.join(' ')}`, 'raised', after > before && new Set(versions).size === 1)
    promises.note('upgrade block finalised everywhere after', seconds(passed))
    const gained = run.monitor.finalized(run.names) - at
    const least = Math.floor(watch / 2)
    promises.check(`blocks finalised after the upgrade in ${watch} slots`, gained, `>= ${least}`, gained >= least)
    const still = Math.max(...run.names.map((name) => run.monitor.longestStandstill(name, from))) / run.config.slotMs
    promises.check('longest pause of finality', `${still.toFixed(1)} slots`, `<= ${options.maxStandstillSlots}`, still <= options.maxStandstillSlots)
    promises.note('finality lag across the upgrade, p99', `${percentile(run.monitor.since(from).map((sample) => sample.lag), 99)} blocks`)
  } finally {
    await api.disconnect()
  }
  await promiseTransfer(run)
}

function readWasm(file) {
  if (!file || !existsSync(file))
    throw new Error(`${file ? `no runtime at ${file}` : 'no runtime to upgrade to'}; build one with \`scripts/net.sh build-upgrade\` or give --wasm FILE`)
  return readFileSync(file)
}

/** Preimage, referendum, votes of all validators, until the code is authorised. */
async function decide(run, api, codeHash) {
  const { promises } = run
  const accounts = stashes(run.names)
  const [proposer] = Object.values(accounts)
  const authorize = api.tx.system.authorizeUpgrade(codeHash).method
  const bytes = authorize.toU8a()
  const index = (await api.query.referenda.referendumCount()).toNumber()
  const begin = Date.now()
  await send(
    api,
    api.tx.utility.batchAll([
      api.tx.preimage.notePreimage(authorize.toHex()),
      api.tx.referenda.submit({ system: 'Root' }, { Lookup: { hash: blake2AsHex(bytes, 256), len: bytes.length } }, { After: 1 }),
      api.tx.referenda.placeDecisionDeposit(index),
    ]),
    proposer,
  )
  run.say(`referendum ${index} on the root track, decision deposit placed`)
  await Promise.all(
    Object.values(accounts).map(async (account) => {
      const { data } = await api.query.system.account(account.address)
      // Nearly everything, held or free; what is left pays fees.
      const balance = ((data.free.toBigInt() + data.reserved.toBigInt()) * 9n) / 10n
      await send(api, api.tx.convictionVoting.vote(index, { Standard: { vote: { aye: true, conviction: 'Locked1x' }, balance } }), account)
    }),
  )
  run.say(`${run.names.join(', ')} voted aye`)

  let told = ''
  await run.until(`referendum ${index} to be carried out`, async () => {
    const info = (await api.query.referenda.referendumInfoFor(index)).unwrap()
    const stage = stageOf(info)
    if (stage !== told) run.say(`referendum ${index}: ${(told = stage)}`)
    if (info.isRejected || info.isTimedOut || info.isCancelled || info.isKilled) throw new Error(`referendum ${index} ended ${info.type}`)
    const authorized = await api.query.system.authorizedUpgrade()
    return authorized.isSome && authorized.unwrap().codeHash.toHex() === codeHash
  })
  promises.note('referendum: submission to authorised code', seconds(Date.now() - begin))
}

function stageOf(info) {
  if (!info.isOngoing) return info.type.toLowerCase()
  const { deciding, tally } = info.asOngoing
  if (deciding.isNone) return 'preparing'
  const { confirming } = deciding.unwrap()
  const open = 10n ** 18n
  const votes = `ayes ${tally.ayes.toBigInt() / open} OPEN, support ${tally.support.toBigInt() / open} OPEN`
  return confirming.isSome ? `confirming until block ${confirming.unwrap()}; ${votes}` : `deciding; ${votes}`
}

/** The upgraded chain still takes a transaction, read with its own metadata. */
async function promiseTransfer(run) {
  const api = await connect(run.processes.nodes[1].spec)
  try {
    const { alice, dave } = stashes(['alice', 'dave'])
    const free = async () => (await api.query.system.account(dave.address)).data.free.toBigInt()
    const before = await free()
    const { hash } = await send(api, api.tx.balances.transferKeepAlive(dave.address, 10n ** 18n), alice)
    const at = (await api.rpc.chain.getHeader(hash)).number.toNumber()
    await run.until('the transfer to be finalised', () => run.monitor.finalized(run.names) >= at)
    const got = (await free()) - before
    run.promises.check('transfer of 1 OPEN on the new runtime', `${got} planck`, `${10n ** 18n} planck`, got === 10n ** 18n)
  } finally {
    await api.disconnect()
  }
}

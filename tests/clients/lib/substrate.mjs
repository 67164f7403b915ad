// polkadot.js on the chain under test.
import { ApiPromise, Keyring, WsProvider } from '@polkadot/api'
import { cryptoWaitReady } from '@polkadot/util-crypto'

/** The six endowed native accounts of the dev preset, as polkadot.js key pairs. Needs `connect()` or `ready()` first. */
export let natives

/** Loads the cryptography and fills `natives`. */
export async function ready() {
  await cryptoWaitReady()
  const keyring = new Keyring({ type: 'sr25519' })
  natives ??= Object.fromEntries(
    ['Alice', 'Bob', 'Charlie', 'Dave', 'Eve', 'Ferdie'].map((name) => [
      name.toLowerCase(),
      keyring.addFromUri(`//${name}`, { name }),
    ]),
  )
  return keyring
}

/** An API on a running chain; it is disconnected before the chain is stopped. */
export async function connect(chain) {
  await ready()
  const provider = new WsProvider(chain.wsUrl, 1000, {}, 120_000)
  const api = await ApiPromise.create({ provider, noInitWarn: true, throwOnConnect: true })
  chain.beforeStop.push(() => api.disconnect())
  return api
}

/** A dispatch error in words: `pallet.Name: documentation`. */
export function explain(api, error) {
  if (!error.isModule) return error.toString()
  const { section, name, docs } = api.registry.findMetaError(error.asModule)
  return `${section}.${name}: ${docs.join(' ')}`
}

/**
 * Signs and sends a call, waits until it is in a block, and refuses a failed dispatch.
 *
 * @returns {Promise<{ blockHash: string, blockNumber: number, events: object[], find: Function }>} the events of this
 * extrinsic; `find('balances.Transfer')` gives the first of a kind
 */
export function send(api, call, signer, options = {}) {
  return new Promise((resolve, reject) => {
    let unsubscribe
    let settled = false
    const finish = (settle, value) => {
      unsubscribe?.()
      settle(value)
    }
    call
      .signAndSend(signer, { nonce: -1, ...options }, async ({ status, events, dispatchError }) => {
        if (status.isInvalid || status.isDropped || status.isUsurped)
          return finish(reject, new Error(`${call.method.section}.${call.method.method}: transaction ${status.type}`))
        // A chain that seals blocks as final may report the second without the first.
        if (!status.isInBlock && !status.isFinalized) return
        if (settled) return
        settled = true
        if (dispatchError)
          return finish(
            reject,
            new Error(`${call.method.section}.${call.method.method}: ${explain(api, dispatchError)}`),
          )
        try {
          const blockHash = (status.isInBlock ? status.asInBlock : status.asFinalized).toHex()
          const header = await api.rpc.chain.getHeader(blockHash)
          const own = events.map(({ event }) => event)
          const find = (path) => own.find((event) => `${event.section}.${event.method}` === path)
          finish(resolve, { blockHash, blockNumber: header.number.toNumber(), events: own, find })
        } catch (error) {
          finish(reject, error)
        }
      })
      .then((stop) => (unsubscribe = stop), reject)
  })
}

/** What the sender of a `send()` paid for it, in planck: from TransactionPayment.TransactionFeePaid. */
export function feePaid(sent) {
  const event = sent.find('transactionPayment.TransactionFeePaid')
  if (!event) throw new Error('the block has no TransactionFeePaid event for this transaction')
  return event.data.actualFee.toBigInt()
}

/** Free and reserved balance of an account (32-byte hex or SS58), at a block or now, in planck. */
export async function balance(api, account, blockHash) {
  const at = blockHash ? await api.at(blockHash) : api
  const { data } = await at.query.system.account(account)
  return { free: data.free.toBigInt(), reserved: data.reserved.toBigInt() }
}

/**
 * Waits until `check()` returns something true, looking again at every new block.
 *
 * @param {object} options
 * @param {string} options.what what is waited for, for the error
 * @param {number} options.blocks how many blocks to wait at most
 * @param {(number: number) => void} [options.progress] called with each block's number
 */
export async function eachBlockUntil(api, check, { what, blocks, progress }) {
  const early = await check()
  if (early) return early
  return new Promise((resolve, reject) => {
    let stop
    let seen = 0
    let busy = false
    const finish = (settle, value) => {
      stop?.()
      settle(value)
    }
    api.rpc.chain
      .subscribeNewHeads(async (header) => {
        if (busy) return
        busy = true
        try {
          await progress?.(header.number.toNumber())
          const result = await check()
          if (result) finish(resolve, result)
          else if (++seen > blocks) finish(reject, new Error(`${what}: not after ${blocks} blocks`))
        } catch (error) {
          finish(reject, error)
        } finally {
          busy = false
        }
      })
      .then((unsubscribe) => (stop = unsubscribe), reject)
  })
}

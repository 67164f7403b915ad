// polkadot.js on one node of the network: accounts, transactions, events.
import { ApiPromise, Keyring, WsProvider } from '@polkadot/api'

/** Connects to a node. The metadata is read once; connect anew after an upgrade. */
export async function connect(spec) {
  const provider = new WsProvider(spec.wsUrl, 1_000)
  return ApiPromise.create({ provider, noInitWarn: true })
}

/** The validators' accounts by node name: the development keys //Alice and so on, both stash and session key's seed. */
export function stashes(names) {
  const ring = new Keyring({ type: 'sr25519' })
  return Object.fromEntries(names.map((name) => [name, ring.addFromUri(`//${name[0].toUpperCase()}${name.slice(1)}`)]))
}

/** The error of a failed dispatch, as pallet.Name. */
export function errorName(api, error) {
  if (!error.isModule) return error.toString()
  const { section, name } = api.registry.findMetaError(error.asModule)
  return `${section}.${name}`
}

/**
 * Signs and sends a call, and waits until it is in a block.
 *
 * @returns {Promise<{ hash: string, events: object[] }>} the block's hash and the transaction's events
 * @throws when the pool refuses it, it is dropped, or it fails
 */
export function send(api, call, signer) {
  const { section, method } = call.method
  const what = `${section}.${method}`
  return new Promise((resolve, reject) => {
    let stop = () => {}
    const end = (settle, value) => {
      stop()
      settle(value)
    }
    call
      .signAndSend(signer, { nonce: -1 }, ({ status, events, dispatchError }) => {
        if (status.isInvalid || status.isDropped || status.isUsurped)
          return end(reject, new Error(`${what}: the transaction became ${status.type.toLowerCase()}`))
        if (!status.isInBlock) return
        if (dispatchError) return end(reject, new Error(`${what} failed: ${errorName(api, dispatchError)}`))
        // A batch that stops half way succeeds as a whole; say so.
        const interrupted = events.find(({ event }) => api.events.utility?.BatchInterrupted?.is(event))
        if (interrupted) return end(reject, new Error(`${what} stopped: ${errorName(api, interrupted.event.data.error)}`))
        end(resolve, { hash: status.asInBlock.toHex(), events: events.map(({ event }) => event) })
      })
      .then((unsubscribe) => (stop = unsubscribe))
      .catch((error) => reject(new Error(`${what} was refused: ${error.message}`)))
  })
}

/** Walks the finalised blocks from height `next` on and hands every event to the listeners. */
export class Events {
  constructor(api, next) {
    Object.assign(this, { api, next })
    /** Events seen so far: `{ at, name, data }`, name as pallet.Name. */
    this.seen = []
  }

  /** Reads the blocks finalised since the last call. */
  async read() {
    const { api } = this
    const finalized = (await api.rpc.chain.getHeader(await api.rpc.chain.getFinalizedHead())).number.toNumber()
    for (; this.next <= finalized; this.next++) {
      const hash = await api.rpc.chain.getBlockHash(this.next)
      const records = await (await api.at(hash)).query.system.events()
      for (const { event } of records)
        this.seen.push({ at: this.next, name: `${event.section}.${event.method}`, data: event.data })
    }
    return this.seen
  }

  /** Those seen of a name whose data pass `test`. */
  of(name, test = () => true) {
    return this.seen.filter((event) => event.name === name && test(event.data))
  }
}

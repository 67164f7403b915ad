// Watches all nodes: once a second, each one's best and finalised block and number of peers.
import { setTimeout as sleep } from 'node:timers/promises'
import { height } from './babe.mjs'
import { batch, call, Unreachable } from './rpc.mjs'

/**
 * @typedef {object} Sample
 * @property {number} at milliseconds since the epoch
 * @property {number} best height
 * @property {number} finalized height
 * @property {number} lag best minus finalised, in blocks
 * @property {number} peers
 */

/** Samples of every node, until stopped. */
export class Monitor {
  #heights = new Map()
  #stopped = true
  #loop = Promise.resolve()

  /**
   * @param {() => { name: string, running: boolean, spec: { url: string } }[]} nodes asked anew each time, as nodes may be added
   * @param {number} intervalMs
   */
  constructor(nodes, intervalMs = 1_000) {
    this.nodes = nodes
    this.intervalMs = intervalMs
    /** @type {Map<string, Sample[]>} */
    this.samples = new Map()
    /** @type {Map<string, Sample|null>} newest sample by node; null while it does not answer */
    this.latest = new Map()
    /** Seconds in which a running node did not answer. */
    this.silent = 0
  }

  start() {
    if (!this.#stopped) return
    this.#stopped = false
    this.#loop = (async () => {
      while (!this.#stopped) {
        const next = Date.now() + this.intervalMs
        await Promise.all(this.nodes().map((node) => this.#sample(node)))
        await sleep(Math.max(0, next - Date.now()), undefined, { ref: !this.#stopped })
      }
    })()
  }

  async stop() {
    this.#stopped = true
    await this.#loop
  }

  async #sample(node) {
    if (!node.running) return void this.latest.set(node.name, null)
    try {
      const { url } = node.spec
      // Finalised first: asked in one request, best cannot be older.
      const [finalizedHash, best, health] = await batch(url, [['chain_getFinalizedHead'], ['chain_getHeader'], ['system_health']], 4_000)
      let finalized = this.#heights.get(finalizedHash)
      if (finalized === undefined) {
        finalized = height(await call(url, 'chain_getHeader', [finalizedHash], 4_000))
        if (this.#heights.size > 10_000) this.#heights.clear()
        this.#heights.set(finalizedHash, finalized)
      }
      const sample = { at: Date.now(), best: height(best), finalized, peers: health.peers }
      sample.lag = Math.max(0, sample.best - finalized)
      this.latest.set(node.name, sample)
      if (!this.samples.has(node.name)) this.samples.set(node.name, [])
      this.samples.get(node.name).push(sample)
    } catch (error) {
      if (!(error instanceof Unreachable) && node.running) this.lastError = error
      if (node.running && this.latest.get(node.name)) this.silent += 1
      this.latest.set(node.name, null)
    }
  }

  /** Samples of all (or the named) nodes since `from`, in milliseconds since the epoch. */
  since(from, names) {
    const wanted = names ?? [...this.samples.keys()]
    return wanted.flatMap((name) => (this.samples.get(name) ?? []).filter((sample) => sample.at >= from))
  }

  /** Newest samples of the named nodes; those that do not answer are left out. */
  now(names) {
    return names.map((name) => this.latest.get(name)).filter(Boolean)
  }

  /** Highest best block any of the named nodes has. */
  best(names) {
    return Math.max(0, ...this.now(names).map((sample) => sample.best))
  }

  /** Lowest finalised height among the named nodes; -1 when one does not answer. */
  finalized(names) {
    const samples = this.now(names)
    return samples.length === names.length ? Math.min(...samples.map((sample) => sample.finalized)) : -1
  }

  /** Longest time (ms) since `from` in which the finalised head of the named node stood still, up to now. */
  longestStandstill(name, from) {
    const samples = this.since(from, [name])
    let longest = 0
    let since = samples[0]
    for (const sample of samples) {
      if (sample.finalized > since.finalized) since = sample
      longest = Math.max(longest, sample.at - since.at)
    }
    return longest
  }
}

/**
 * Waits until `test` is true, asking twice a second.
 *
 * @param {string} what completes "waited … for"
 * @param {() => unknown} test may be async; its first truthy value is returned
 * @param {{ timeoutMs: number, alive?: () => void, state?: () => string }} options `alive` throws when waiting is pointless
 */
export async function until(what, test, { timeoutMs, alive = () => {}, state = () => '' }) {
  const begin = Date.now()
  for (;;) {
    alive()
    const value = await test()
    if (value) return value
    if (Date.now() - begin > timeoutMs)
      throw new Error(`waited ${Math.round(timeoutMs / 1000)} s for ${what}${state() ? `; ${state()}` : ''}; raise --timeout if this machine is slow`)
    await sleep(Math.min(500, Math.max(20, timeoutMs / 100)))
  }
}

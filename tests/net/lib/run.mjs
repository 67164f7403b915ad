// What every scenario shares: a started network, a monitor on it, and the questions asked again and again.
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { babeConfig, Epochs, slotsFilled } from './babe.mjs'
import { Monitor, until } from './monitor.mjs'
import { shown } from './network.mjs'
import { makeSpec } from './processes.mjs'
import { median, percent, percentile, Promises } from './report.mjs'
import { call } from './rpc.mjs'

/** A network under test. */
export class Run {
  constructor({ network, processes, options, stopped, log = (text) => console.log(text) }) {
    Object.assign(this, { network, processes, options, stopped, log })
    this.promises = new Promises()
    this.monitor = new Monitor(() => processes.nodes, options.sampleMs)
    this.timeoutMs = options.timeout * 1000
    this.begin = Date.now()
  }

  get names() {
    return this.processes.nodes.map((node) => node.name)
  }

  /** The nodes that run now. */
  get running() {
    return this.processes.nodes.filter((node) => node.running).map((node) => node.name)
  }

  /** One line of progress, with the time since the start. */
  say(text) {
    this.log(`[${((Date.now() - this.begin) / 1000).toFixed(0).padStart(4)} s] ${text}`)
  }

  /** The url of a node; of the first running one unless named. */
  url(name = this.running[0]) {
    return this.processes.get(name).spec.url
  }

  /** Where every node stands, in a line. */
  state() {
    return this.names
      .map((name) => {
        const sample = this.monitor.latest.get(name)
        return sample ? `${name} best ${sample.best} finalised ${sample.finalized} peers ${sample.peers}` : `${name} silent`
      })
      .join(', ')
  }

  until(what, test) {
    return until(what, test, { timeoutMs: this.timeoutMs, alive: () => this.processes.assertAlive(), state: () => this.state() })
  }

  /** Starts all nodes and waits until every one of them has finalised a block. */
  async up() {
    await this.processes.check()
    await makeSpec(this.network, this.stopped)
    if (!this.options.keep) this.processes.wipe()
    this.starting = Date.now()
    this.processes.startAll()
    this.monitor.start()
    this.say(`started ${this.names.join(', ')}; logs in ${shown(this.network.dir)}/*.log`)
    await this.until('all nodes to answer', () => this.monitor.now(this.names).length === this.names.length)
    this.config = await babeConfig(this.url())
    const others = this.names.length - 1
    await this.until('all nodes to find each other', () => this.monitor.now(this.names).every((sample) => sample.peers >= others))
    const from = this.options.keep ? this.monitor.best(this.names) : 0
    await this.until('finality on every node', () => this.monitor.finalized(this.names) > from)
    this.say(`all ${this.names.length} nodes see each other and finalise: ${this.state()}`)
    return Date.now() - this.starting
  }

  /** Lets `count` slots pass; ends early, with the reason, when a node dies. */
  async slots(count) {
    const end = Date.now() + count * this.config.slotMs
    while (Date.now() < end) {
      this.processes.assertAlive()
      await sleep(Math.min(500, Math.max(1, end - Date.now())))
    }
  }

  /** Percent of slots that carried a block, and lag of finality, over `slots` slots; both become promises. */
  async measure(slots) {
    const { minFilled, maxLagMedian, maxLagP99 } = this.options
    const from = Date.now()
    const start = this.monitor.best(this.names)
    const epochs = new Epochs()
    for (let left = slots; left > 0; left -= 5) {
      await epochs.note(this.url())
      await this.slots(Math.min(5, left))
    }
    await epochs.note(this.url())
    const counted = await slotsFilled(this.url(), start, this.config, epochs)
    const lags = this.monitor.since(from).map((sample) => sample.lag)
    const p = this.promises
    p.note('blocks looked at', `${counted.from} to ${counted.to}`)
    p.check('slots filled', `${percent(counted.filled)} (${counted.blocks} of ${counted.slots})`, `>= ${minFilled} %`, counted.filled >= minFilled)
    p.note('longest run of empty slots', counted.longestGap)
    p.check('finality lag, median', `${median(lags)} blocks`, `<= ${maxLagMedian}`, median(lags) <= maxLagMedian)
    p.check('finality lag, p99', `${percentile(lags, 99)} blocks`, `<= ${maxLagP99}`, percentile(lags, 99) <= maxLagP99)
    p.note('finality lag, highest', `${Math.max(...lags)} blocks in ${lags.length} samples`)
    p.check('silent samples', this.monitor.silent, '0', this.monitor.silent === 0)
    // In a short measurement chance alone may leave one out.
    if (slots >= 40) p.check('validators that authored', counted.authored.size, `${this.names.length}`, counted.authored.size === this.names.length)
    return counted
  }

  /** Kills with -9, watches for `slots`, and promises that finality goes on among the others. */
  async killOne(name, slots) {
    const others = this.running.filter((other) => other !== name)
    const before = this.monitor.finalized(others)
    await this.processes.kill(name)
    this.say(`killed ${name} with -9 at finalised block ${before}`)
    await this.slots(slots)
    const gained = this.monitor.finalized(others) - before
    // Votes on their way may finalise three more blocks even if finality stopped; a dead validator leaves a fifth of the
    // slots empty, so that a quarter of a block a slot is well under what goes on.
    const least = Math.max(4, Math.floor(slots / 4))
    this.promises.check(`${name} dead: blocks finalised in ${slots} slots`, gained, `>= ${least}`, gained >= least)
  }

  /** Starts a killed node again and promises that it catches up with the others, in blocks and in finality. */
  async restart(name) {
    const goal = this.monitor.best(this.running)
    const from = Date.now()
    this.processes.start(name)
    this.say(`started ${name} again; the others are at block ${goal}`)
    await this.until(`${name} to catch up with block ${goal}`, () => this.caughtUp(name, goal))
    this.promises.check(`${name} back: level with the others after`, `${((Date.now() - from) / 1000).toFixed(0)} s`, 'catches up', true)
    this.say(`${name} caught up: ${this.state()}`)
  }

  /** Whether a node has finalised beyond `goal` and is within two blocks of the others' best. */
  caughtUp(name, goal) {
    const sample = this.monitor.latest.get(name)
    return sample && sample.finalized >= goal && sample.best >= this.monitor.best(this.names) - 2
  }

  /** Promises that no process ended by itself and no log tells of a panic or a failed task of the node. */
  promiseNoCrash() {
    const ended = this.processes.crashed().map((node) => `${node.name}: ${node.exit}`)
    this.promises.check('processes that ended by themselves', ended.join(', ') || '0', '0', ended.length === 0)
    // A panic inside the wasm runtime is an error the node handles; these are the node's own.
    const bad = /Thread '.*' panicked at|Essential task .* failed/
    const lines = this.processes.nodes.flatMap(({ spec }) =>
      existsSync(spec.logFile) ? readFileSync(spec.logFile, 'utf8').split('\n').filter((line) => bad.test(line)) : [],
    )
    this.promises.check('panics of the node in the logs', lines[0] ?? '0', '0', lines.length === 0)
  }

  /** What the nodes run, asked of one of them. */
  async version() {
    const [version, runtime] = await Promise.all([call(this.url(), 'system_version'), call(this.url(), 'state_getRuntimeVersion')])
    return `${version}, runtime ${runtime.specName}-${runtime.specVersion}`
  }
}

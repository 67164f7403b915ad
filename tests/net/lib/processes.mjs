// The processes of a network: started with their output in log files, and ended by process id, never by name.
import { spawn } from 'node:child_process'
import {
  closeSync, existsSync, fstatSync, mkdirSync, openSync, readFileSync, readSync, renameSync, rmSync, statSync, writeFileSync,
} from 'node:fs' // prettier-ignore
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { shown } from './network.mjs'

/** Whether something holds `port` on loopback. */
export function portTaken(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(true))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(false)))
  })
}

/** The last `count` lines of a file; nothing when there is no file. Reads at most the last 256 KiB. */
export function tail(file, count = 20) {
  if (!existsSync(file)) return []
  const fd = openSync(file, 'r')
  try {
    const { size } = fstatSync(fd)
    const length = Math.min(size, 256 * 1024)
    const buffer = Buffer.alloc(length)
    readSync(fd, buffer, 0, length, size - length)
    const lines = buffer.toString('utf8').split('\n')
    if (lines.at(-1) === '') lines.pop()
    return lines.slice(-count)
  } finally {
    closeSync(fd)
  }
}

/** Whether `pid` is a process that was started with `mark` among its arguments (a pid may have been given out again). */
export function runsWith(pid, mark) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(mark)
  } catch {
    return false
  }
}

/**
 * Writes the chain's raw specification to the network's folder, unless it is there from the same binary.
 *
 * A node that is given a chain by name compiles the runtime to build its genesis; four doing so at once take most of a
 * minute on two cores. From one raw file each starts at once, and the genesis is the same.
 */
export async function makeSpec({ command, chain, specFile, specGiven, dir }, signal) {
  if (specGiven) {
    if (!existsSync(specFile)) throw new Error(`the chain specification ${specFile} does not exist`)
    return
  }
  const { size, mtimeMs } = statSync(command)
  const stamp = JSON.stringify({ command, size, mtimeMs, chain })
  const stampFile = `${specFile}.from`
  if (existsSync(specFile) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return
  mkdirSync(dir, { recursive: true })
  const fd = openSync(`${specFile}.new`, 'w')
  const child = spawn(command, ['export-chain-spec', '--chain', chain, '--raw'], { stdio: ['ignore', fd, 'pipe'], signal })
  closeSync(fd)
  let said = ''
  child.stderr.on('data', (data) => (said += data))
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  if (code !== 0) throw new Error(`${command} export-chain-spec --chain ${chain} failed: ${said.trim().split('\n').at(-1)}`)
  renameSync(`${specFile}.new`, specFile)
  writeFileSync(stampFile, stamp)
}

/** One node's process; may be started again after it ended. */
class NodeProcess {
  #child = null
  #exited = Promise.resolve()

  constructor(spec) {
    this.spec = spec
    this.name = spec.name
    /** How the last process ended, as text; null while it runs or before it was started. */
    this.exit = null
    /** Whether its end was asked for. */
    this.expected = false
    this.starts = 0
  }

  get pid() {
    return this.running ? this.#child.pid : null
  }

  get running() {
    return this.#child !== null && this.exit === null
  }

  start() {
    if (this.running) throw new Error(`${this.name} runs already, as process ${this.pid}`)
    const { spec } = this
    mkdirSync(spec.basePath, { recursive: true })
    writeFileSync(spec.keyFile, spec.nodeKey, { mode: 0o600 })
    const log = openSync(spec.logFile, 'a')
    // A group of its own, so that Ctrl-C in the terminal reaches this program only, which then ends the nodes in order.
    const child = spawn(spec.command, spec.args, { stdio: ['ignore', log, log], detached: true })
    closeSync(log)
    this.#child = child
    this.exit = null
    this.expected = false
    this.starts += 1
    this.#exited = new Promise((resolve) => {
      const ended = (text) => {
        if (this.#child === child && this.exit === null) this.exit = text
        resolve()
      }
      child.once('error', (error) => ended(`could not start: ${error.message}`))
      child.once('exit', (code, signal) => ended(signal ? `signal ${signal}` : `code ${code}`))
    })
  }

  /** Sends a signal that ends the process, and waits for that. */
  async end(signal, patienceMs = 20_000) {
    if (!this.running) return true
    this.expected = true
    this.#child.kill(signal)
    const inTime = await Promise.race([this.#exited.then(() => true), sleep(patienceMs, false, { ref: false })])
    if (!inTime) {
      this.#child.kill('SIGKILL')
      await this.#exited
    }
    return inTime
  }

  /** For use while this program itself is ending. */
  killNow() {
    if (this.running) this.#child.kill('SIGKILL')
  }
}

/** All the processes of a network, and the file that lets a later run find what a killed one left behind. */
export class Processes {
  constructor(network) {
    this.network = network
    this.runFile = join(network.dir, 'run.json')
    this.nodes = network.nodes.map((spec) => new NodeProcess(spec))
    process.on('exit', () => this.nodes.forEach((node) => node.killNow()))
  }

  get(name) {
    const node = this.nodes.find((node) => node.name === name)
    if (!node) throw new Error(`no node is named ${name}; there are ${this.nodes.map((n) => n.name).join(', ')}`)
    return node
  }

  /** Throws when another run is going on or a port is held. */
  async check() {
    const left = leftovers(this.network.dir)
    if (left.length)
      throw new Error(
        `a network runs in ${shown(this.network.dir)} already (${left.map((n) => `${n.name}: process ${n.pid}`).join(', ')}); ` +
          'end it with Ctrl-C where it was started, or with `scripts/net.sh stop`',
      )
    for (const { name, spec } of this.nodes)
      for (const port of [spec.rpcPort, spec.p2pPort, spec.prometheusPort])
        if (await portTaken(port))
          throw new Error(`port ${port} of ${name} is in use; free it, or move all ports with --port-offset`)
  }

  /** Forgets the databases and logs of an earlier run of these nodes; nothing else in the folder is touched. */
  wipe() {
    for (const { spec } of this.nodes)
      for (const path of [spec.basePath, spec.logFile, spec.keyFile]) rmSync(path, { recursive: true, force: true })
  }

  start(name) {
    mkdirSync(this.network.dir, { recursive: true })
    this.get(name).start()
    this.#remember()
  }

  startAll() {
    for (const node of this.nodes) this.start(node.name)
  }

  /** Adds a node that is not in the network file, and starts it. */
  async add(spec) {
    for (const port of [spec.rpcPort, spec.p2pPort, spec.prometheusPort])
      if (await portTaken(port)) throw new Error(`port ${port} of ${spec.name} is in use; move all with --port-offset`)
    for (const path of [spec.basePath, spec.logFile]) rmSync(path, { recursive: true, force: true })
    this.nodes.push(new NodeProcess(spec))
    this.start(spec.name)
  }

  /** Ends a process at once, as a power cut would. */
  async kill(name) {
    await this.get(name).end('SIGKILL')
    this.#remember()
  }

  /**
   * Asks all to end, together; kills what still runs after `patienceMs`.
   * @returns {Promise<string[]>} what went wrong, by node: killed, or ended with an error
   */
  async stopAll(patienceMs = 20_000) {
    const running = this.nodes.map((node) => node.running)
    const inTime = await Promise.all(this.nodes.map((node) => node.end('SIGTERM', patienceMs)))
    // When none was started, the file is another run's.
    if (this.nodes.some((node) => node.starts)) rmSync(this.runFile, { force: true })
    return this.nodes.flatMap(({ name, exit }, i) => {
      if (!inTime[i]) return [`${name}: killed`]
      return running[i] && exit !== 'code 0' ? [`${name}: ${exit}`] : []
    })
  }

  /** The nodes that ended without being told to. */
  crashed() {
    return this.nodes.filter((node) => node.exit !== null && !node.expected)
  }

  /** Throws, with the end of its log, when a node ended without being told to. */
  assertAlive() {
    const [node] = this.crashed()
    if (!node) return
    const lines = tail(node.spec.logFile, 20).map((line) => `  ${line}`)
    throw new Error([`${node.name} ended by itself (${node.exit}); its log ends:`, ...lines].join('\n'))
  }

  #remember() {
    const nodes = this.nodes
      .filter((node) => node.running)
      .map(({ name, pid, spec }) => ({ name, pid, basePath: spec.basePath }))
    writeFileSync(this.runFile, `${JSON.stringify({ launcher: process.pid, nodes }, null, 2)}\n`)
  }
}

/** Node processes of an earlier run in `dir` that still run. */
export function leftovers(dir) {
  const file = join(dir, 'run.json')
  if (!existsSync(file)) return []
  const { nodes } = JSON.parse(readFileSync(file, 'utf8'))
  return nodes.filter(({ pid, basePath }) => runsWith(pid, basePath))
}

/** Ends what an earlier run left behind; returns the names. */
export async function stopLeftovers(dir, patienceMs = 20_000) {
  const left = leftovers(dir)
  for (const { pid } of left) process.kill(pid, 'SIGTERM')
  const deadline = Date.now() + patienceMs
  while (leftovers(dir).length && Date.now() < deadline) await sleep(100)
  for (const { pid } of leftovers(dir)) process.kill(pid, 'SIGKILL')
  rmSync(join(dir, 'run.json'), { force: true })
  return left.map((node) => node.name)
}

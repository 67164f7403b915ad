// Starts and stops the chain a test talks to: openledger-node, or (PEER=anvil) anvil as a reference.
//
// Every test file starts its own on free loopback ports with a throw-away database, so files neither share state nor
// collide with a developer's running node. What was started is killed by its process id, never by name.
import { spawn } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ethAccounts, CHAIN_ID } from './accounts.mjs'
import { foundryBinary, nodeBinary } from './paths.mjs'

/** `node` or `anvil`: what the EVM tests run against. */
export const peer = process.env.PEER || 'node'
if (!['node', 'anvil'].includes(peer)) throw new Error(`PEER is "${peer}"; it must be "node" or "anvil"`)

/** A TCP port nobody listens on, on loopback. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

/** Whether something accepts or holds `port` on loopback. */
export function portTaken(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(true))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(false)))
  })
}

/** One JSON-RPC call over HTTP; throws an `Error` with `code` and `data` when the server answers with an error. */
export async function rpc(url, method, params = []) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(60_000),
  })
  const text = await response.text()
  let answer
  try {
    answer = JSON.parse(text)
  } catch {
    throw new Error(`${method}: HTTP ${response.status}: ${text.slice(0, 200)}`)
  }
  if (answer.error) {
    const { code, message, data } = answer.error
    throw Object.assign(new Error(`${method}: ${message} (${code})`), { code, data })
  }
  return answer.result
}

/** How long a chain may take until it answers: compiling the runtime takes seconds, on a busy machine many. */
const READY_MS = 180_000

/** A running chain. */
class Chain {
  #child
  #lines = []
  #stopped = false
  exit = null
  /** What uses the chain puts its own end here. */
  beforeStop = []

  constructor({ name, binary, args, basePath, rpcPort, ethPort }) {
    Object.assign(this, { name, binary, args, basePath, rpcPort, ethPort })
    /** Substrate JSON-RPC; null for anvil, which has none. */
    this.wsUrl = rpcPort ? `ws://127.0.0.1:${rpcPort}` : null
    this.httpUrl = rpcPort ? `http://127.0.0.1:${rpcPort}` : null
    /** Ethereum JSON-RPC over HTTP, and over WebSocket on the same port. */
    this.ethUrl = `http://127.0.0.1:${ethPort}`
    this.ethWsUrl = `ws://127.0.0.1:${ethPort}`
  }

  get pid() {
    return this.#child?.pid
  }

  /** The last `count` lines the process wrote. */
  log(count = 400) {
    return this.#lines.slice(-count).join('\n')
  }

  launch() {
    this.#child = spawn(this.binary, this.args, { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      let rest = ''
      stream.setEncoding('utf8')
      stream.on('data', (chunk) => {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop()
        this.#lines.push(...lines)
        // Enough to explain a failure; a long run must not keep everything.
        if (this.#lines.length > 20_000) this.#lines.splice(0, 10_000)
        if (process.env.SHOW_NODE_LOG) for (const line of lines) process.stderr.write(`[${this.name}] ${line}\n`)
      })
    }
    this.exited = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve((this.exit = `could not start: ${error.message}`)))
      this.#child.once('exit', (code, signal) => resolve((this.exit = signal ? `signal ${signal}` : `code ${code}`)))
    })
    running.add(this)
    leaveNothingBehind()
  }

  /** Sends a signal to the process (`SIGKILL` for crash tests). */
  signal(name) {
    this.#child.kill(name)
  }

  async waitReady(timeoutMs) {
    const deadline = Date.now() + timeoutMs
    const ready = [() => rpc(this.ethUrl, 'eth_blockNumber')]
    if (this.httpUrl) ready.push(() => rpc(this.httpUrl, 'system_health'))
    let last
    while (Date.now() < deadline) {
      if (this.exit) throw new Error(`${this.name} ended (${this.exit}) before it answered:\n${this.log(30)}`)
      try {
        for (const ask of ready) await ask()
        return
      } catch (error) {
        last = error
        await sleep(100)
      }
    }
    throw new Error(`${this.name} did not answer within ${timeoutMs / 1000} s (${last?.message}):\n${this.log(30)}`)
  }

  /** Asks the process to end, insists after ten seconds, and removes its database. Safe to call twice. */
  async stop() {
    if (this.#stopped) return
    this.#stopped = true
    for (const close of this.beforeStop) await close()
    if (!this.exit) {
      this.#child.kill('SIGTERM')
      const insist = setTimeout(() => this.#child.kill('SIGKILL'), 10_000)
      await this.exited
      clearTimeout(insist)
    }
    running.delete(this)
    if (this.basePath) await rm(this.basePath, { recursive: true, force: true })
  }

  /** The same at once, for a process that is ending. */
  killNow() {
    if (!this.exit) this.#child.kill('SIGKILL')
    if (this.basePath) rmSync(this.basePath, { recursive: true, force: true })
  }
}

const running = new Set()
process.on('exit', () => {
  for (const chain of running) chain.killNow()
})

/** Lets signals end this process by way of `exit`, so that no chain outlives it. A program with a handler of its own keeps it. */
function leaveNothingBehind() {
  for (const [signal, number] of Object.entries({ SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }))
    if (process.listenerCount(signal) === 0) process.once(signal, () => process.exit(128 + number))
}

/**
 * Starts a chain and waits until it answers.
 *
 * @param {object} [options]
 * @param {string} [options.sealing] `instant`, `interval=MS` or `slots` (BABE's own 2 s); default `interval=200`
 * @param {string[]} [options.args] further flags for openledger-node
 * @param {'node'|'anvil'} [options.kind] overrides PEER
 * @param {number} [options.rpcPort] fixed Substrate RPC port instead of a free one
 * @param {number} [options.ethPort] fixed Ethereum RPC port instead of a free one
 */
export async function startNode({ sealing = 'interval=200', args = [], kind = peer, rpcPort, ethPort, binary } = {}) {
  ethPort ??= await freePort()
  const chain = kind === 'anvil' ? anvil(sealing, ethPort) : await openledger(sealing, args, rpcPort, ethPort, binary)
  chain.launch()
  try {
    await chain.waitReady(READY_MS)
    if (kind === 'anvil') {
      for (const account of Object.values(ethAccounts))
        await rpc(chain.ethUrl, 'anvil_setBalance', [account.address, '0x' + (10n ** 24n).toString(16)])
    }
  } catch (error) {
    await chain.stop()
    throw error
  }
  return chain
}

async function openledger(sealing, extra, rpcPort, ethPort, binary = nodeBinary()) {
  if (!existsSync(binary))
    throw new Error(`no node binary at ${binary}; build it with \`make build\` or set OPENLEDGER_NODE`)
  rpcPort ??= await freePort()
  const basePath = await mkdtemp(join(tmpdir(), 'openledger-clients-'))
  const args = ['--dev', '--base-path', basePath, '--rpc-port', rpcPort, '--eth-rpc-port', ethPort]
  args.push('--port', await freePort(), '--no-prometheus', '--no-telemetry', '--no-mdns')
  if (sealing !== 'slots') args.push('--sealing', sealing)
  // Further flags for every node of a run, to try something out.
  args.push(...(process.env.NODE_ARGS ?? '').split(' ').filter(Boolean))
  return new Chain({
    name: 'openledger-node',
    binary,
    args: [...args, ...extra].map(String),
    basePath,
    rpcPort,
    ethPort,
  })
}

function anvil(sealing, ethPort) {
  const args = ['--port', ethPort, '--chain-id', CHAIN_ID, '--accounts', 1]
  const interval = /^interval=(\d+)$/.exec(sealing)
  if (interval) args.push('--block-time', Number(interval[1]) / 1000)
  if (sealing === 'slots') args.push('--block-time', 2)
  return new Chain({ name: 'anvil', binary: foundryBinary('anvil'), args: args.map(String), ethPort })
}

/**
 * Gives a test file its own chain, stopped after its last test. Call it with `await` at the top of the file. With
 * SHOW_LOG_TAIL=1 the end of the chain's log is printed at the end.
 */
export async function useNode(options) {
  const chain = await startNode(options)
  after(async () => {
    if (process.env.SHOW_LOG_TAIL) process.stderr.write(`${chain.log(80)}\n`)
    await chain.stop()
  })
  return chain
}

/**
 * On anvil, waits for a block in a later second; elsewhere does nothing.
 *
 * A Uniswap pair does more work in its first use within a second. anvil estimates with the newest block's time, so with
 * several blocks a second an estimate may miss that work. openledger-node must estimate for the block to come.
 */
export async function settleAnvilClock(latestBlock) {
  if (peer !== 'anvil') return
  const { timestamp } = await latestBlock()
  while ((await latestBlock()).timestamp <= timestamp) await sleep(50)
}

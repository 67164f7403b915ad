// A development chain, a worker with a small trained model, a consumer with channels, a proxy that pays for it: what the tests of this
// folder ask. Everything listens on free loopback ports and ends with the process.
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..')
const target = process.env.CARGO_TARGET_DIR ?? join(process.env.HOME, '.cache/openledger/target')
const bin = (name, variable) => process.env[variable] ?? join(target, 'release', name)
const NODE = bin('openledger-node', 'OPENLEDGER_NODE')
const WORKER = bin('openledger-worker', 'OPENLEDGER_WORKER')
export const CLI = bin('openledger', 'OPENLEDGER_CLI')
const shipped = join(root, 'gpu-offchain/shipped')

const sleep = (millis) => new Promise((done) => setTimeout(done, millis))

function freePort() {
  return new Promise((done, fail) => {
    const server = createServer()
    server.on('error', fail)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => done(port))
    })
  })
}

/** Waits until `probe` gives something. */
export async function until(what, seconds, probe) {
  const limit = Date.now() + seconds * 1000
  for (;;) {
    let last
    try {
      const value = await probe()
      if (value) return value
    } catch (error) {
      last = error
    }
    if (Date.now() > limit) throw new Error(`${what}: not within ${seconds} s${last ? ` (${last.message})` : ''}`)
    await sleep(100)
  }
}

export const json = async (url, init) => {
  const answer = await fetch(url, init)
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`)
  return answer.json()
}

/** Everything, running. `channels` are opened for the consumer; `worker` are further arguments of the worker. */
export async function begin({ channels = 2, worker: more = [], deposit = '40', proxy: limits = [] } = {}) {
  const home = mkdtempSync(join(tmpdir(), 'openledger-sdk-'))
  const children = []
  const log = (name) => join(home, `${name}.log`)
  const start = (name, program, args, stdout) => {
    const out = openSync(log(name), 'a')
    const child = spawn(program, args, { stdio: ['ignore', stdout ?? out, out], cwd: home })
    child.on('exit', () => (child.gone = true))
    child.on('error', (error) => {
      throw new Error(`cannot start ${program}: ${error.message}; run make build`)
    })
    children.push(child)
    return child
  }
  const end = async () => {
    for (const child of children.toReversed()) if (!child.gone) child.kill('SIGTERM')
    for (const child of children) while (!child.gone) await sleep(20)
    rmSync(home, { recursive: true, force: true })
  }
  try {
    const [rpc, http, operator, pays] = [await freePort(), await freePort(), await freePort(), await freePort()]
    const [nodeUrl, workerUrl, adminUrl] = [`ws://127.0.0.1:${rpc}`, `http://127.0.0.1:${http}`, `http://127.0.0.1:${operator}`]
    const person = (name) => {
      const key = join(home, name)
      writeFileSync(key, `//sdk//${name}\n`, { mode: 0o600 })
      return ['--node', nodeUrl, '--worker', workerUrl, '--data', join(home, 'people', name), '--key', key]
    }
    const say = (who, ...args) => {
      const result = spawnSync(CLI, [...who, ...args, '--json'], { encoding: 'utf8', maxBuffer: 1 << 26 })
      if (result.error) throw new Error(`cannot start ${CLI}: ${result.error.message}; run make build`)
      if (result.status !== 0) throw new Error(`openledger ${args.join(' ')}: ${result.stdout}${result.stderr}`)
      const last = result.stdout.trim().split('\n').at(-1)
      return last ? JSON.parse(last) : undefined
    }
    const tool = (...args) => {
      const result = spawnSync(WORKER, args, { encoding: 'utf8' })
      if (result.status !== 0) throw new Error(`openledger-worker ${args[0]}: ${result.stderr}`)
      return JSON.parse(result.stdout)
    }
    const data = join(home, 'worker')
    mkdirSync(data)
    writeFileSync(join(data, 'account.key'), '//sdk//worker\n', { mode: 0o600 })
    const { account } = tool('init', '--data', data)
    start('node', NODE, [
      '--dev', '--port', String(await freePort()), '--base-path', join(home, 'node'), '--sealing', 'interval=200',
      '--rpc-port', String(rpc), '--eth-rpc-port', String(await freePort()), '--no-prometheus', '--worker', workerUrl, '--worker-secret-file', join(data, 'secret'),
    ])
    const alice = ['--node', nodeUrl, '--worker', workerUrl, '--data', join(home, 'people/alice'), '--dev-key', 'Alice']
    await until('the node answers', 60, () => spawnSync(CLI, [...alice, 'supply']).status === 0)
    const developer = person('developer')
    const consumer = person('consumer')
    const accounts = Object.fromEntries(
      Object.entries({ developer, consumer }).map(([name, who]) => [name, say(who, 'key', 'show').account]),
    )
    say(alice, 'send', account, '5000')
    for (const one of Object.values(accounts)) say(alice, 'send', one, '1000')
    tool('register', '--data', data, '--node', nodeUrl, '--bond', '4000', '--endpoint', workerUrl)
    start('worker', WORKER, [
      'run', '--data', data, '--base', join(shipped, 'base'), '--node', nodeUrl, '--listen', `127.0.0.1:${http}`, '--admin',
      `127.0.0.1:${operator}`, ...more,
    ])
    await until('the worker answers', 60, async () => (await json(`${workerUrl}/health`)).status === 'ok')
    say(developer, 'datanet', 'create', 'sdk', '--curator', accounts.developer)
    const corpus = join(home, 'records.jsonl')
    const lines = readFileSync(join(shipped, 'corpora', 'ben-holloway.jsonl'), 'utf8').trim().split('\n')
    writeFileSync(corpus, `${lines.slice(0, 24).join('\n')}\n`)
    say(developer, 'contribute', '0', corpus)
    say(developer, 'datanet', 'accept', '0')
    say(developer, 'datanet', 'publish', '0')
    say(developer, 'base', 'register', 'shipped-base', '--dir', join(shipped, 'base'))
    say(developer, 'model', 'create', 'sdk-answers', '--base', '0', '--price-in', '0.1', '--price-out', '1')
    // Small: what is tested here is the serving.
    say(developer, 'train', 'sdk-answers', '--source', '0:0:100', '--price', '20', '--epochs', '2', '--rank', '4', '--projection', '8')
    say(developer, 'model', 'serve', 'sdk-answers')
    await until('the worker serves the model', 60, async () => (await json(`${workerUrl}/v1/models`)).data.length > 0)
    const ids = Array.from({ length: channels }, () => say(consumer, 'channel', 'open', deposit).channel)
    let proxy
    if (limits) {
      const paying = start('proxy', CLI, [...consumer, 'proxy', '--listen', `127.0.0.1:${pays}`, '--json', ...limits], 'pipe')
      proxy = await new Promise((done, fail) => {
        paying.stdout.once('data', (text) => done(JSON.parse(String(text).split('\n')[0])))
        paying.once('exit', (code) => fail(new Error(`the proxy ended with ${code}: ${readFileSync(log('proxy'), 'utf8')}`)))
      })
    }
    return { home, nodeUrl, workerUrl, adminUrl, proxy, ids, consumer, alice, accounts, say, end, log, model: 'sdk-answers' }
  } catch (error) {
    for (const name of ['node', 'worker', 'proxy']) {
      try {
        console.error(`${name}: ${readFileSync(log(name), 'utf8').trimEnd().split('\n').slice(-8).join('\n')}`)
      } catch {}
    }
    await end()
    throw error
  }
}

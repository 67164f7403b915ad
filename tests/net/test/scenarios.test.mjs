// The scenarios on stand-ins for the node, good ones and bad ones: a check that passes on a bad network is worth nothing.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { portTaken } from '../lib/processes.mjs'

const here = new URL('.', import.meta.url).pathname
const made = []
const children = []
after(async () => {
  // A test that failed half way leaves its harness running.
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
  await Promise.all(children.map((child) => child.ended))
  made.forEach((dir) => rmSync(dir, { recursive: true, force: true }))
})

async function freeOffset() {
  for (;;) {
    const offset = 100 + Math.floor(Math.random() * 2000)
    const ports = [0, 1, 2, 3].flatMap((i) => [9944 + i, 9615 + i, 30333 + i]).map((port) => port + offset)
    if (!(await Promise.all(ports.map(portTaken))).some(Boolean)) return offset
  }
}

/** Starts the harness on fake nodes; `env` makes them misbehave. */
async function start(args, env = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'net-test-'))
  made.push(dir)
  const state = mkdtempSync(join(tmpdir(), 'net-test-'))
  made.push(state)
  writeFileSync(join(state, 'begin'), String(Date.now() - 2_000))
  const offset = await freeOffset()
  const flags = ['--dir', dir, '--port-offset', offset, '--sample-ms', 50, '--timeout', 20, ...args].map(String)
  const child = spawn(process.execPath, [join(here, '..', 'run.mjs'), ...flags], {
    env: { ...process.env, OPENLEDGER_NODE: join(here, 'fake-node.mjs'), FAKE_STATE: state, FAKE_SLOT_MS: '100', ...env },
  })
  const run = { child, dir, offset, out: '' }
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (run.out += data))
  run.code = child.ended = new Promise((resolve) => child.once('exit', resolve))
  children.push(child)
  return run
}

async function finish(args, env) {
  const run = await start(args, env)
  run.code = await run.code
  return run
}

async function appears(run, pattern) {
  for (let i = 0; i < 300; i++) {
    if (pattern.test(run.out)) return
    await sleep(50)
  }
  assert.fail(`${pattern} never appeared in:\n${run.out}`)
}

const portsFree = async ({ offset }) => !(await Promise.all([0, 1, 2, 3].map((i) => portTaken(9944 + i + offset)))).some(Boolean)

test('smoke should pass on a good network, and write its figures', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'net-test-')), 'figures.json')
  const run = await finish(['smoke', '--seed', 5, '--json', file])
  assert.equal(run.code, 0, run.out)
  assert.match(run.out, /slots filled +100\.00 % .*kept/)
  assert.match(run.out, /finality lag, p99 +[23] blocks.*kept/)
  assert.match(run.out, /seed 5/)
  const { rows, failure } = JSON.parse(readFileSync(file, 'utf8'))
  assert.equal(failure, null)
  assert.ok(rows.length > 8 && rows.every((row) => row.kept))
  assert.ok(await portsFree(run))
})

test('smoke should fail when one slot in three is empty', async () => {
  const run = await finish(['smoke'], { FAKE_SKIP: '3' })
  assert.equal(run.code, 1, run.out)
  assert.match(run.out, /slots filled +6\d\.\d\d % .*BROKEN/)
  assert.match(run.out, /promises? broken: slots filled/)
})

test('smoke should fail when finality trails far behind', async () => {
  const run = await finish(['smoke'], { FAKE_LAG: '12' })
  assert.equal(run.code, 1, run.out)
  assert.match(run.out, /finality lag, median.*BROKEN/)
})

test('faults should pass on a network that needs three of four', async () => {
  const run = await finish(['faults', '--watch-slots', 12])
  assert.equal(run.code, 0, run.out)
  assert.match(run.out, /two dead: blocks finalised in 12 slots +0 .*kept/)
})

test('faults should fail on a network that finalises with two of four', async () => {
  const run = await finish(['faults', '--watch-slots', 12], { FAKE_QUORUM: '2' })
  assert.equal(run.code, 1, run.out)
  assert.match(run.out, /two dead: blocks finalised in 12 slots +\d+ .*BROKEN/)
})

test('faults should fail on a network whose finality needs all four', async () => {
  const run = await finish(['faults', '--watch-slots', 12], { FAKE_QUORUM: '4' })
  assert.equal(run.code, 1, run.out)
  assert.match(run.out, /dead: blocks finalised in 12 slots +[0-3] .*BROKEN/)
})

test('a node that ends by itself should end the run, with its log', async () => {
  const run = await finish(['steady', '--slots', 100], { FAKE_DIES: 'charlie:4000' })
  assert.equal(run.code, 1, run.out)
  assert.match(run.out, /charlie ended by itself \(code 7\)/)
  assert.match(run.out, /something went terribly wrong/)
  assert.ok(await portsFree(run))
})

test('a node that does not end when asked should be killed and reported', async () => {
  const run = await finish(['steady', '--slots', 5, '--patience', 1], { FAKE_STUBBORN: 'bob' })
  assert.equal(run.code, 1, run.out)
  assert.match(run.out, /did not end well when asked +bob: killed .*BROKEN/)
  assert.ok(await portsFree(run))
})

test('a node that ends with an error when asked should be reported', async () => {
  const run = await finish(['steady', '--slots', 5], { FAKE_SULKS: 'dave' })
  assert.equal(run.code, 1, run.out)
  assert.match(run.out, /did not end well when asked +dave: code 1 .*BROKEN/)
})

test('a network that never finalises should end the run with where it stands', async () => {
  const run = await finish(['steady', '--timeout', 3], { FAKE_QUORUM: '5' })
  assert.equal(run.code, 1)
  assert.match(run.out, /waited 3 s for finality on every node; alice best \d+ finalised 0/)
})

test('a port in use should be named, and nothing started', async () => {
  const offset = await freeOffset()
  const server = createServer().listen(9946 + offset, '127.0.0.1')
  const run = await finish(['smoke', '--port-offset', offset])
  server.close()
  assert.equal(run.code, 1)
  assert.match(run.out, new RegExp(`port ${9946 + offset} of charlie is in use`))
})

test('Ctrl-C should end a shown network, with success', async () => {
  const run = await start([])
  await appears(run, /slots filled/)
  assert.match(run.out, /alice +\d+ +\d+ +\d+ +[23] +3 +\d+ +ok/)
  run.child.kill('SIGINT')
  assert.equal(await run.code, 0, run.out)
  assert.match(run.out, /all nodes ended/)
  assert.ok(await portsFree(run))
})

test('an interrupted scenario should stop its nodes and fail', async () => {
  const run = await start(['steady', '--slots', 1000])
  await appears(run, /measuring over/)
  run.child.kill('SIGTERM')
  assert.equal(await run.code, 1)
  assert.match(run.out, /interrupted by SIGTERM/)
  assert.ok(await portsFree(run))
})

test('what a killed launcher left behind should be found, refused and stopped', async () => {
  const run = await start([])
  await appears(run, /slots filled/)
  run.child.kill('SIGKILL')
  await run.code
  assert.ok(!(await portsFree(run)))
  const again = await finish(['--dir', run.dir])
  assert.equal(again.code, 1)
  assert.match(again.out, /a network runs in .* already \(alice: process \d+/)
  const stop = await finish(['stop', '--dir', run.dir])
  assert.equal(stop.code, 0)
  assert.match(stop.out, /ended alice, bob, charlie, dave/)
  assert.ok(await portsFree(run))
})

test('upgrade should say how to get a runtime when there is none', async () => {
  const run = await finish(['upgrade', '--wasm', '/nowhere.wasm'])
  assert.equal(run.code, 1)
  assert.match(run.out, /no runtime at \/nowhere\.wasm; build one/)
})

test('an unknown scenario and a missing binary should be one line each', async () => {
  const unknown = await finish(['party'])
  assert.match(unknown.out, /^net: there is no scenario "party"[^\n]*\n$/)
  const missing = await finish(['smoke'], { OPENLEDGER_NODE: '/nowhere/node' })
  assert.match(missing.out, /^net: no node binary at \/nowhere\/node[^\n]*\n$/)
  assert.deepEqual([unknown.code, missing.code], [1, 1])
})

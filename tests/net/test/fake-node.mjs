#!/usr/bin/env node
// Stands in for openledger-node in the tests of the harness: takes its flags, answers the few questions the scenarios
// ask, and behaves, or misbehaves, as the environment says. All copies derive the same chain from the clock.
//
//   FAKE_STATE    folder shared by the copies: when the chain began, who is alive
//   FAKE_SLOT_MS  slot duration
//   FAKE_SKIP     every so-manieth slot is empty (0: none)
//   FAKE_LAG      blocks finality trails behind
//   FAKE_QUORUM   copies that must be alive for finality to go on
//   FAKE_DIES     "name:ms": that copy ends by itself so long after its start
//   FAKE_SULKS    the copy of this name ends with an error when asked to end
//   FAKE_STUBBORN the copy of this name ignores SIGTERM
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'

if (process.argv[2] === 'export-chain-spec') {
  console.log('{}')
  process.exit(0)
}
const flag = (name) => process.argv[process.argv.indexOf(name) + 1]
const env = (name, fallback) => Number(process.env[name] ?? fallback)
const name = flag('--name')
const state = process.env.FAKE_STATE
const slotMs = env('FAKE_SLOT_MS', 100)
const skip = env('FAKE_SKIP', 0)
const begin = Math.floor(Number(readFileSync(join(state, 'begin'), 'utf8')) / slotMs)
const authorities = ['11', '22', '33', '44'].map((byte) => byte.repeat(32))

const filled = (slot) => skip === 0 || (slot - begin) % skip !== 0
const slots = []
let looked = begin
function best() {
  for (const now = Math.floor(Date.now() / slotMs); looked <= now; looked++) if (filled(looked)) slots.push(looked)
  return slots.length - 1
}

writeFileSync(join(state, `alive-${name}`), String(process.pid))
function alive() {
  return readdirSync(state).filter((file) => {
    if (!file.startsWith('alive-')) return false
    try {
      process.kill(Number(readFileSync(join(state, file), 'utf8')), 0)
      return true
    } catch {
      return false
    }
  }).length
}
let finalized = 0
setInterval(() => {
  if (alive() >= env('FAKE_QUORUM', 3)) finalized = Math.max(0, best() - env('FAKE_LAG', 2))
}, slotMs / 2)

const le = (value, bytes) => {
  const buffer = Buffer.alloc(bytes)
  if (bytes === 8) buffer.writeBigUInt64LE(BigInt(value))
  else buffer.writeUInt32LE(value)
  return buffer.toString('hex')
}
const hashOf = (number) => `0x${number.toString(16).padStart(64, '0')}`
const hex = (number) => `0x${number.toString(16)}`
function header(number) {
  const digest = `02${le(slots[number] % 4, 4)}${le(slots[number], 8)}`
  return { number: hex(number), parentHash: hashOf(number - 1), digest: { logs: [`0x0642414245${le((digest.length / 2) * 4, 4).slice(0, 2)}${digest}`] } }
}
function epoch() {
  const list = authorities.map((key) => `${key}${le(1, 8)}`).join('')
  return `0x${le(0, 8)}${le(begin, 8)}${le(1_000_000, 8)}${le(16, 4).slice(0, 2)}${list}`
}
const answers = {
  chain_getFinalizedHead: () => hashOf(finalized),
  chain_getHeader: ([hash]) => header(hash ? Number(hash) : best()),
  chain_getBlockHash: ([number]) => (number <= best() ? hashOf(number) : null),
  system_health: () => ({ peers: alive() - 1, isSyncing: false, shouldHavePeers: true }),
  system_version: () => '0.0.0-fake',
  state_getRuntimeVersion: () => ({ specName: 'fake', specVersion: 1 }),
  state_call: ([method]) => (method === 'BabeApi_configuration' ? `0x${le(slotMs, 8)}${le(30, 8)}` : epoch()),
}

createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  best()
  response.end(JSON.stringify(JSON.parse(body).map(({ id, method, params }) => ({ jsonrpc: '2.0', id, result: answers[method](params) }))))
}).listen(Number(flag('--rpc-port')), '127.0.0.1')
createServer((_, response) => {
  response.end(`substrate_block_height{status="finalized",chain="fake"} ${finalized}\n`)
}).listen(Number(flag('--prometheus-port')), '127.0.0.1')
console.log(`${name} listens`)

const [dying, after] = (process.env.FAKE_DIES ?? '').split(':')
if (dying === name)
  setTimeout(() => {
    console.log('something went terribly wrong')
    process.exit(7)
  }, Number(after))
process.on('SIGTERM', () => {
  if (process.env.FAKE_STUBBORN === name) return
  rmSync(join(state, `alive-${name}`), { force: true })
  process.exit(process.env.FAKE_SULKS === name ? 1 : 0)
})

// Native transfers per second of one node, beside the smallest Substrate node there is under the same load in the same run.
//
//   node bench/transfers.mjs ['COMMAND' …]
//
// Each COMMAND starts a node; the flags that keep it to itself (base path, ports) are appended. Without any, the list is
// openledger-node and PEER_NODE, by default tests/peers/minimal: both sealed every INTERVAL milliseconds. Transfers are
// signed beforehand with polkadot.js and sent through author_submitExtrinsic over one WebSocket; the time runs from the
// first send to the block with the last of them. Every chain is measured ROUNDS times from an empty database, the order
// turned round each time, and the median counts. The chains must endow //Alice.
// SENDERS, EACH (transfers a sender) and WIDTH (requests in flight) change the load.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiPromise, Keyring, WsProvider } from '@polkadot/api'
import { cryptoWaitReady } from '@polkadot/util-crypto'
import { count, inParallel, machine } from '../lib/bench.mjs'
import { freePort, rpc } from '../lib/node.mjs'
import { nodeBinary } from '../lib/paths.mjs'

const senders = count('SENDERS', 64)
const each = count('EACH', process.env.FULL ? 125 : 30)
const width = count('WIDTH', 64)
const rounds = count('ROUNDS', process.env.FULL ? 5 : 3)
const interval = count('INTERVAL', 500)

const commands = process.argv.slice(2)
if (!commands.length) {
  const sealing = `--dev --sealing interval=${interval}`
  const peer = join(dirname(nodeBinary()), 'minimal-peer-node')
  if (!process.env.PEER_NODE && !existsSync(peer))
    throw new Error(`no peer at ${peer}; build it as tests/peers/minimal/README.md says, or set PEER_NODE to a command`)
  commands.push(`${nodeBinary()} ${sealing} --no-eth-rpc`, process.env.PEER_NODE ?? `${peer} ${sealing}`)
}

// The SDK's default pool, fork-aware, loses transactions under this load on either node: a few that arrive while a block
// is made are dropped in silence, and all later ones of their senders wait for ever. The single-state pool keeps them.
const poolFlags = ['--pool-type', 'single-state', '--pool-limit', 100_000, '--pool-kbytes', 102_400]

/** A chain that has not included everything by then has lost something. */
const PATIENCE_MS = 120_000

/** A node started from a command line, on free ports and a throw-away database. */
async function start(command) {
  const base = await mkdtemp(join(tmpdir(), 'openledger-bench-'))
  const port = await freePort()
  const [program, ...args] = command.trim().split(/\s+/)
  args.push('--base-path', base, '--rpc-port', port, '--port', await freePort(), '--no-prometheus', '--no-mdns')
  args.push(...poolFlags)
  const child = spawn(program, args.map(String), { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.on('data', (chunk) => (log = (log + chunk).slice(-20_000)))
  let ended
  const exited = new Promise((resolve) => {
    child.once('error', (error) => resolve((ended = error.message)))
    child.once('exit', (code, signal) => resolve((ended = signal ?? `code ${code}`)))
  })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const stop = async () => {
    if (!ended) child.kill('SIGTERM')
    await exited
    process.off('exit', kill)
    await rm(base, { recursive: true, force: true })
  }
  const deadline = Date.now() + 60_000
  for (;;) {
    if (ended || Date.now() > deadline) {
      await stop()
      throw new Error(`${command}: ${ended ?? 'no answer within 60 s'}\n${log.slice(-2_000)}`)
    }
    try {
      await rpc(`http://127.0.0.1:${port}`, 'system_health')
      break
    } catch {
      await sleep(100)
    }
  }
  return { name: command.trim().replace(/^\S*\//, ''), url: `ws://127.0.0.1:${port}`, pid: child.pid, stop }
}

/** Seconds of processor time a process has used, all its threads together. */
async function processorTime(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100 // user and system time, in hundredths everywhere on Linux
}

/** Signed transfers by chain: every round starts from the same genesis, so they are signed once. */
const signed = new Map()

async function measure(command) {
  const node = await start(command)
  const provider = new WsProvider(node.url)
  const api = await ApiPromise.create({ provider, noInitWarn: true })
  try {
    const keyring = new Keyring({ type: 'sr25519' })
    const alice = keyring.addFromUri('//Alice')
    const accounts = Array.from({ length: senders }, (_, i) => keyring.addFromUri(`//Alice//bench//${i}`))
    const receiver = keyring.addFromUri('//Alice//bench//receiver')
    const free = async (who) => (await api.query.system.account(who.address)).data.free.toBigInt()
    const nonceOf = async (who) => (await api.query.system.account(who.address)).nonce.toNumber()

    // Decimals differ between chains: each sender gets the same part of what Alice has, and sends deposits.
    const transfer = api.tx.balances.transferKeepAlive
    const part = (await free(alice)) / BigInt(4 * senders)
    const amount = api.consts.balances.existentialDeposit.toBigInt() * 2n
    const first = await nonceOf(alice)
    for (const [i, who] of [...accounts, receiver].entries())
      await transfer(who.address, part).signAndSend(alice, { nonce: first + i, era: 0 })
    while ((await nonceOf(alice)) < first + senders + 1) await sleep(50)
    const before = await free(receiver)

    const chain = `${api.genesisHash.toHex()} ${api.runtimeVersion.specVersion}`
    if (!signed.has(chain)) {
      const sign = (who, nonce) =>
        transfer(receiver.address, amount)
          .sign(who, {
            nonce,
            era: 0,
            blockHash: api.genesisHash,
            genesisHash: api.genesisHash,
            runtimeVersion: api.runtimeVersion,
            signedExtensions: api.registry.signedExtensions,
          })
          .toHex()
      signed.set(
        chain,
        accounts.map((who) => Array.from({ length: each }, (_, nonce) => sign(who, nonce))),
      )
    }

    const transfers = senders * each
    const load = loadavg()[0]
    const firstHead = (await api.rpc.chain.getHeader()).number.toNumber()
    const [nodeBefore, clientBefore] = [await processorTime(node.pid), process.cpuUsage()]
    const begin = performance.now()
    const sending = inParallel(signed.get(chain), width, async (lane) => {
      for (const raw of lane) await provider.send('author_submitExtrinsic', [raw])
    }).then(() => performance.now())
    const waiting = (async () => {
      const deadline = Date.now() + PATIENCE_MS
      for (const who of accounts)
        for (let included; (included = await nonceOf(who)) < each; await sleep(20))
          if (Date.now() > deadline)
            throw new Error(`${node.name}: of ${each} accepted transfers of ${who.address} only ${included} are in blocks`)
      return performance.now()
    })()
    const [end, sent] = await Promise.all([waiting, sending])
    const [nodeTime, client] = [(await processorTime(node.pid)) - nodeBefore, process.cpuUsage(clientBefore)]

    // Money that arrived, not transactions that were taken: a transfer that failed inside its block would not count.
    assert.equal((await free(receiver)) - before, amount * BigInt(transfers))
    const { normal } = api.consts.system.blockWeights.perClass
    const mostWeight = normal.maxTotal.unwrap().refTime.toNumber()
    const mostBytes = api.consts.system.blockLength.max.normal.toNumber()
    const blocks = []
    const lastHead = (await api.rpc.chain.getHeader()).number.toNumber()
    for (let number = firstHead + 1; number <= lastHead; number++) {
      const hash = await api.rpc.chain.getBlockHash(number)
      const { block } = await api.rpc.chain.getBlock(hash)
      const mine = block.extrinsics.filter((extrinsic) => extrinsic.isSigned)
      if (!mine.length) continue
      const used = (await (await api.at(hash)).query.system.blockWeight()).normal.refTime.toNumber()
      const bytes = mine.reduce((sum, extrinsic) => sum + extrinsic.encodedLength, 0)
      blocks.push({ transfers: mine.length, weight: used, full: Math.max(used / mostWeight, bytes / mostBytes) })
    }
    assert.equal(
      blocks.reduce((sum, block) => sum + block.transfers, 0),
      transfers,
    )
    const weight = blocks.reduce((sum, block) => sum + block.weight, 0) / transfers
    const row = {
      name: node.name,
      rate: transfers / ((end - begin) / 1000),
      fed: transfers / ((sent - begin) / 1000),
      blocks: blocks.length,
      full: Math.max(...blocks.map((block) => block.full)),
      weight: weight / 1e6,
      room: Math.floor(mostWeight / weight),
      limit: mostWeight / 1e12,
      nodeTime: (nodeTime / transfers) * 1e6,
      clientTime: (client.user + client.system) / transfers,
    }
    console.log(
      `  ${row.rate.toFixed(0).padStart(6)} per second, ${row.blocks} blocks, load average ${load.toFixed(2)}: ${row.name}`,
    )
    return row
  } finally {
    await api.disconnect()
    await node.stop()
  }
}

const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

await cryptoWaitReady()
console.log(machine())
console.log(`${senders} senders × ${each} transfers, ${width} requests in flight, ${rounds} rounds`)
const measured = new Map(commands.map((command) => [command, []]))
for (let round = 0; round < rounds; round++)
  for (const command of round % 2 ? [...commands].reverse() : commands)
    measured.get(command).push(await measure(command))

const rows = [...measured.values()].map((runs) => {
  const of = (field) => median(runs.map((run) => run[field]))
  return {
    name: runs[0].name,
    rate: of('rate'),
    least: Math.min(...runs.map((run) => run.rate)),
    most: Math.max(...runs.map((run) => run.rate)),
    fed: of('fed'),
    full: Math.max(...runs.map((run) => run.full)),
    weight: of('weight'),
    room: of('room'),
    limit: runs[0].limit,
    nodeTime: of('nodeTime'),
    clientTime: of('clientTime'),
  }
})
console.log('\nnative transfers, medians')
console.table(
  rows.map((row) => ({
    chain: row.name.split(' ')[0],
    'per second': row.rate.toFixed(0),
    'from-to': `${row.least.toFixed(0)}-${row.most.toFixed(0)}`,
    'fed per second': row.fed.toFixed(0),
    'fullest block': `${(row.full * 100).toFixed(0)}%`,
    'block holds': row.room,
    'weight, µs': row.weight.toFixed(0),
    'node CPU, µs': row.nodeTime.toFixed(0),
    'client CPU, µs': row.clientTime.toFixed(0),
  })),
)
for (const row of rows) {
  const paces = [interval, 2_000].map((pace) => `${((row.room * 1000) / pace).toFixed(0)} a second every ${pace / 1000} s`)
  console.log(
    `${row.name.split(' ')[0]}: ordinary transactions may weigh ${row.limit} s a block, room for ${paces.join(', ')}; ` +
      (row.rate > (0.9 * row.room * 1000) / interval
        ? 'that is the limit'
        : `the fullest was ${(row.full * 100).toFixed(0)}% full, but the limit is processor time of node and client`),
  )
}
const last = rows.at(-1)
for (const row of rows.slice(0, -1))
  console.log(
    `${row.name.split(' ')[0]} does ${(row.rate / last.rate).toFixed(3)} times the transfers per second of ` +
      `${last.name.split(' ')[0]} and takes ${(row.nodeTime / last.nodeTime).toFixed(3)} times its processor time for each`,
  )

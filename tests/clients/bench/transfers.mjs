// Native transfers per second of one node, beside other Substrate nodes under the same load in the same run.
//
//   node bench/transfers.mjs ['COMMAND' …]
//
// Each COMMAND starts a node; `--base-path`, `--rpc-port`, `--port` and `--no-prometheus` are appended. Without any, the
// list is openledger-node and, when PEER_NODE is set, that command: for instance the SDK's minimal runtime under manual
// seal. Transfers are signed beforehand with polkadot.js, sent through author_submitExtrinsic over one WebSocket, and
// the time runs from the first send to the block with the last of them. The chains must endow //Alice.
// SENDERS, EACH (transfers a sender) and WIDTH (requests in flight) change the load.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiPromise, Keyring, WsProvider } from '@polkadot/api'
import { cryptoWaitReady } from '@polkadot/util-crypto'
import { count, inParallel, machine, report } from '../lib/bench.mjs'
import { freePort, rpc } from '../lib/node.mjs'
import { nodeBinary } from '../lib/paths.mjs'

const senders = count('SENDERS', 20)
const each = count('EACH', process.env.FULL ? 500 : 50)
const width = count('WIDTH', 64)

const commands = process.argv.slice(2)
if (!commands.length) {
  commands.push(`${nodeBinary()} --dev --sealing instant --no-eth-rpc`)
  if (process.env.PEER_NODE) commands.push(process.env.PEER_NODE)
}

/** A node started from a command line, on free ports and a throw-away database. */
async function start(command) {
  const base = await mkdtemp(join(tmpdir(), 'openledger-bench-'))
  const port = await freePort()
  const [program, ...args] = command.trim().split(/\s+/)
  args.push('--base-path', base, '--rpc-port', port, '--port', await freePort(), '--no-prometheus')
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
  return { name: basename(program), url: `ws://127.0.0.1:${port}`, stop }
}

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

    const lanes = accounts.map((who) =>
      Array.from({ length: each }, (_, nonce) =>
        transfer(receiver.address, amount)
          .sign(who, {
            nonce,
            era: 0,
            blockHash: api.genesisHash,
            genesisHash: api.genesisHash,
            runtimeVersion: api.runtimeVersion,
            signedExtensions: api.registry.signedExtensions,
          })
          .toHex(),
      ),
    )

    const blocks = new Set()
    const firstHead = (await api.rpc.chain.getHeader()).number.toNumber()
    const begin = performance.now()
    const sending = inParallel(lanes, width, async (lane) => {
      for (const raw of lane) await provider.send('author_submitExtrinsic', [raw])
    })
    const waiting = (async () => {
      for (const who of accounts) while ((await nonceOf(who)) < each) await sleep(20)
      return performance.now()
    })()
    const [end] = await Promise.all([waiting, sending])

    assert.equal((await free(receiver)) - before, amount * BigInt(senders * each))
    const lastHead = (await api.rpc.chain.getHeader()).number.toNumber()
    for (let number = firstHead + 1; number <= lastHead; number++) {
      const { block } = await api.rpc.chain.getBlock(await api.rpc.chain.getBlockHash(number))
      if (block.extrinsics.length > 1) blocks.add(number)
    }
    return { name: node.name, transfers: senders * each, seconds: (end - begin) / 1000, blocks: blocks.size }
  } finally {
    await api.disconnect()
    await node.stop()
  }
}

await cryptoWaitReady()
console.log(machine())
for (const command of commands) console.log(`  ${command}`)
const rows = []
for (const command of commands) rows.push(await measure(command))
report(`native transfers, ${senders} senders × ${each}, ${width} lanes in flight`, rows)

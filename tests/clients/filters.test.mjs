// Logs, the polling filters, and subscriptions over WebSocket on the same port.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { numberToHex, pad, parseAbiItem, toEventSelector } from 'viem'
import { ethAccounts } from './lib/accounts.mjs'
import { publicClient, session, socketClient } from './lib/evm.mjs'
import { peer, rpc, startNode, useNode } from './lib/node.mjs'
import { artifact } from './lib/solc.mjs'

const chain = await useNode()
const { alith, baltathar } = ethAccounts
const alice = session(chain, alith)
const bob = session(chain, baltathar)
const { reader } = alice
const ask = (method, ...params) => rpc(chain.ethUrl, method, params)

const { contract: jar, receipt: birth } = await alice.deploy(artifact('TipJar'), [alith.address])
const { contract: otherJar } = await alice.deploy(artifact('TipJar'), [alith.address])
const bobsJar = bob.at(jar.abi, jar.address)
const TIPPED = toEventSelector('Tipped(address,uint256,string)')
const topicOf = (address) => pad(address.toLowerCase(), { size: 32 })

/** Three tips: two of Alith's into `jar`, one of Baltathar's into `jar`, one of Alith's into the other. */
const sent = []
for (const write of [
  () => jar.write.tip(['one'], { value: 1n }),
  () => jar.write.tip(['two'], { value: 2n }),
  () => bobsJar.write.tip(['three'], { value: 3n }),
  () => otherJar.write.tip(['four'], { value: 4n }),
])
  sent.push(await alice.mined(await write()))
const fromBlock = numberToHex(birth.blockNumber)

describe('eth_getLogs', () => {
  const event = parseAbiItem('event Tipped(address indexed from, uint256 amount, string note)')
  const amounts = (logs) => logs.map((log) => log.args.amount)

  test('by address, by several addresses, by indexed value', async () => {
    const range = { event, fromBlock: birth.blockNumber }
    assert.deepEqual(amounts(await reader.getLogs({ ...range, address: jar.address })), [1n, 2n, 3n])
    const both = [jar.address, otherJar.address]
    assert.deepEqual(amounts(await reader.getLogs({ ...range, address: both })), [1n, 2n, 3n, 4n])
    const byBob = await reader.getLogs({ ...range, address: both, args: { from: baltathar.address } })
    assert.deepEqual(amounts(byBob), [3n])
    assert.equal(byBob[0].args.note, 'three')
    assert.equal(byBob[0].transactionHash, sent[2].transactionHash)
    assert.equal(byBob[0].blockNumber, sent[2].blockNumber)
  })

  test('by range and by block hash', async () => {
    const only = { fromBlock: numberToHex(sent[1].blockNumber), toBlock: numberToHex(sent[1].blockNumber) }
    const byNumber = await ask('eth_getLogs', { ...only, address: jar.address })
    const byHash = await ask('eth_getLogs', { blockHash: sent[1].blockHash, address: jar.address })
    assert.equal(byNumber.length, 1)
    assert.deepEqual(byHash, byNumber)
    assert.deepEqual(
      { ...byNumber[0], data: undefined },
      {
        address: jar.address.toLowerCase(),
        topics: [TIPPED, topicOf(alith.address)],
        data: undefined,
        blockNumber: numberToHex(sent[1].blockNumber),
        blockHash: sent[1].blockHash,
        transactionHash: sent[1].transactionHash,
        transactionIndex: numberToHex(sent[1].transactionIndex),
        logIndex: numberToHex(sent[1].logs[0].logIndex),
        removed: false,
        ...('blockTimestamp' in byNumber[0] && { blockTimestamp: byNumber[0].blockTimestamp }),
      },
    )
  })

  test('topics: alternatives and wildcards', async () => {
    const find = (topics) => ask('eth_getLogs', { fromBlock, address: jar.address, topics })
    assert.equal((await find([TIPPED])).length, 3)
    assert.equal((await find([null, topicOf(baltathar.address)])).length, 1)
    assert.equal((await find([[TIPPED], [topicOf(alith.address), topicOf(baltathar.address)]])).length, 3)
    assert.equal((await find([toEventSelector('Emptied(address,uint256)')])).length, 0)
  })
})

describe('polling filters', () => {
  test('a log filter gives each log once, its whole range on request, and ends when told', async () => {
    const id = await ask('eth_newFilter', { address: jar.address, topics: [TIPPED] })
    assert.match(id, /^0x[0-9a-f]+$/)
    assert.deepEqual(await ask('eth_getFilterChanges', id), [])

    const tip = await alice.mined(await jar.write.tip(['five'], { value: 5n }))
    await alice.mined(await otherJar.write.tip(['not for this filter'], { value: 5n }))
    const changes = await ask('eth_getFilterChanges', id)
    assert.deepEqual(
      changes.map((log) => log.transactionHash),
      [tip.transactionHash],
    )
    assert.deepEqual(await ask('eth_getFilterChanges', id), [], 'a log is given once')

    const ranged = await ask('eth_newFilter', { address: jar.address, fromBlock, topics: [TIPPED] })
    assert.equal((await ask('eth_getFilterLogs', ranged)).length, 4)
    assert.equal((await ask('eth_getFilterLogs', ranged)).length, 4, 'asking for the logs does not use them up')

    assert.equal(await ask('eth_uninstallFilter', id), true)
    assert.equal(await ask('eth_uninstallFilter', id), false)
    // geth and the node refuse; anvil answers with an empty list.
    if (peer === 'node') await assert.rejects(ask('eth_getFilterChanges', id), /filter/i)
    assert.equal(await ask('eth_uninstallFilter', ranged), true)
  })

  test('a block filter gives every block since the last question, in order', async () => {
    const id = await ask('eth_newBlockFilter')
    const start = Number(await ask('eth_blockNumber'))
    while (Number(await ask('eth_blockNumber')) < start + 3) await sleep(50)
    const hashes = await ask('eth_getFilterChanges', id)
    assert.ok(hashes.length >= 3, `only ${hashes.length} blocks`)
    const numbers = []
    for (const hash of hashes) numbers.push(Number((await ask('eth_getBlockByHash', hash, false)).number))
    for (const [i, number] of numbers.entries()) assert.equal(number, numbers[0] + i)
    // The chain moves on between two questions, so the second may hold new blocks, but never an old one.
    const next = await ask('eth_getFilterChanges', id)
    for (const hash of next) assert.ok(!hashes.includes(hash))
    assert.equal(await ask('eth_uninstallFilter', id), true)
  })

  test('viem and ethers poll with them: an event watched over HTTP arrives', async () => {
    const seen = []
    const stop = publicClient(chain).watchContractEvent({
      abi: jar.abi,
      address: jar.address,
      eventName: 'Tipped',
      onLogs: (logs) => seen.push(...logs.map((log) => log.args.note)),
    })
    await sleep(500)
    await bob.mined(await bobsJar.write.tip(['watched'], { value: 1n }))
    await until(() => seen.length, 'the watched event')
    stop()
    assert.deepEqual(seen, ['watched'])
  })

  if (peer === 'node')
    test('a filter nobody made, and a filter that makes no sense', async () => {
      await assert.rejects(ask('eth_getFilterChanges', '0xdeadbeef'), /filter/i)
      await assert.rejects(ask('eth_getFilterLogs', '0xdeadbeef'), /filter/i)
      await assert.rejects(ask('eth_newFilter', { fromBlock: '0x10', toBlock: '0x1' }))
    })
})

describe('subscriptions on the same port', () => {
  test('newHeads: every block, linked to the one before', async () => {
    const socket = await socketClient(chain)
    try {
      const heads = []
      const { unsubscribe } = await socket.transport.subscribe({
        params: ['newHeads'],
        onData: ({ result }) => heads.push(result),
      })
      await until(() => heads.length >= 4, 'four heads')
      await unsubscribe()
      for (let i = 1; i < 4; i++) {
        assert.equal(heads[i].parentHash, heads[i - 1].hash)
        assert.equal(Number(heads[i].number), Number(heads[i - 1].number) + 1)
      }
      const block = await ask('eth_getBlockByNumber', heads[0].number, false)
      assert.equal(heads[0].hash, block.hash)
      assert.equal(heads[0].timestamp, block.timestamp)
      const count = heads.length
      await sleep(600)
      assert.ok(heads.length <= count + 1, 'after the end of the subscription heads kept coming')
    } finally {
      socket.close()
    }
  })

  test('logs: those asked for and no others', async () => {
    const socket = await socketClient(chain)
    try {
      const seen = []
      const { unsubscribe } = await socket.transport.subscribe({
        params: ['logs', { address: jar.address, topics: [TIPPED, topicOf(baltathar.address)] }],
        onData: ({ result }) => seen.push(result),
      })
      await alice.mined(await jar.write.tip(["Alith's, not asked for"], { value: 1n }))
      const wanted = await bob.mined(await bobsJar.write.tip(['asked for'], { value: 1n }))
      await until(() => seen.length, 'the log')
      await sleep(300)
      await unsubscribe()
      assert.equal(seen.length, 1)
      assert.equal(seen[0].transactionHash, wanted.transactionHash)
      assert.equal(seen[0].blockHash, wanted.blockHash)
    } finally {
      socket.close()
    }
  })

  test('calls work on the same socket, viem watches blocks through it', async () => {
    const socket = await socketClient(chain)
    try {
      assert.equal(await socket.getChainId(), await reader.getChainId())
      const numbers = []
      const stop = socket.watchBlockNumber({ onBlockNumber: (number) => numbers.push(number) })
      await until(() => numbers.length >= 3, 'three block numbers')
      stop()
      for (let i = 1; i < numbers.length; i++) assert.ok(numbers[i] > numbers[i - 1])
    } finally {
      socket.close()
    }
  })
})

if (peer === 'node')
  test('a query that is too large is refused with the limit, never cut', async () => {
    const args = ['--eth-rpc-max-log-blocks', 20, '--eth-rpc-max-logs', 3]
    const strict = await startNode({ sealing: 'interval=50', args })
    try {
      const owner = session(strict, alith)
      const { contract: full } = await owner.deploy(artifact('TipJar'), [alith.address])
      const hashes = []
      for (let i = 0; i < 4; i++) {
        hashes.push(await full.write.tip([`tip ${i}`], { value: 1n }))
        // On a slow machine all four could share a block, and none could be asked for.
        await owner.mined(hashes[i])
      }
      const blocks = []
      for (const hash of hashes) blocks.push((await owner.mined(hash)).blockNumber)
      const logs = (fromBlock, toBlock) =>
        rpc(strict.ethUrl, 'eth_getLogs', [
          { fromBlock: numberToHex(fromBlock), toBlock: numberToHex(toBlock), address: full.address },
        ])
      assert.equal((await logs(blocks[0], blocks[0])).length, blocks.filter((number) => number === blocks[0]).length)
      await assert.rejects(logs(blocks[0], blocks[3]), /\b3\b/, 'four logs where three are allowed')
      while (Number(await rpc(strict.ethUrl, 'eth_blockNumber')) < 30) await sleep(50)
      await assert.rejects(logs(1, 29), /\b20\b/, 'more blocks than allowed')
      assert.deepEqual(await logs(blocks[3] + 1n, blocks[3] + 2n), [])
    } finally {
      await strict.stop()
    }
  })

async function until(check, what, timeoutMs = 20_000) {
  const deadline = Date.now() + timeoutMs
  while (!check()) {
    if (Date.now() > deadline) throw new Error(`${what} did not arrive within ${timeoutMs / 1000} s`)
    await sleep(20)
  }
}

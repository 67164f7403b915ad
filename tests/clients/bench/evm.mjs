// ERC-20 transfers per second: openledger-node beside anvil, the same transactions in the same run.
//
// Transactions are signed beforehand (1559, one nonce after the other, several senders, each to a holder of its own) and
// sent over HTTP as fast as the chain takes them. The time runs from the first send to the block with the last of them.
// SENDERS, EACH (transfers a sender), WIDTH (requests in flight), SEALING (a list), CHAINS (a list) change the load.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeFunctionData, numberToHex, parseEther } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { CHAIN_ID, ethAccounts } from '../lib/accounts.mjs'
import { count, inParallel, machine, report } from '../lib/bench.mjs'
import { session } from '../lib/evm.mjs'
import { rpc, startNode } from '../lib/node.mjs'
import { artifact } from '../lib/solc.mjs'

const senders = count('SENDERS', 20)
const each = count('EACH', process.env.FULL ? 200 : 20)
const width = count('WIDTH', 32)
const sealings = (process.env.SEALING || 'interval=200,slots').split(',')
const kinds = (process.env.CHAINS || 'node,anvil').split(',')

/** A chain that has not mined everything by then has lost something. */
const PATIENCE_MS = 120_000

/** Funds fresh senders with OPEN and tokens, on a chain that makes blocks by itself. */
async function prepare(chain) {
  const bank = session(chain, ethAccounts.alith)
  const { contract: token } = await bank.deploy(artifact('SampleToken'), [bank.account.address, 10n ** 30n])
  const accounts = Array.from({ length: senders }, () => privateKeyToAccount(generatePrivateKey()))
  const receivers = accounts.map(() => privateKeyToAccount(generatePrivateKey()).address)
  let nonce = await bank.reader.getTransactionCount({ address: bank.account.address })
  const data = (to, amount) => encodeFunctionData({ abi: token.abi, functionName: 'transfer', args: [to, amount] })
  const hashes = []
  for (const [i, { address }] of accounts.entries()) {
    hashes.push(await bank.wallet.sendTransaction({ to: address, value: parseEther('1000'), nonce: nonce++ }))
    const send = (to, amount) =>
      bank.wallet.sendTransaction({ to: token.address, data: data(to, amount), nonce: nonce++ })
    hashes.push(await send(address, 10n ** 20n))
    // Receivers hold something already, so that every measured transfer does the same work.
    hashes.push(await send(receivers[i], 1n))
  }
  for (const hash of hashes) await bank.mined(hash)

  const estimate = await bank.reader.estimateGas({
    account: accounts[0],
    to: token.address,
    data: data(receivers[0], 1n),
  })
  // Room for a gas price that rises while blocks are full.
  const maxFeePerGas = (await bank.reader.getGasPrice()) * 50n
  const signed = []
  for (let n = 0; n < each; n++)
    for (const [i, account] of accounts.entries())
      signed.push(
        await account.signTransaction({
          chainId: CHAIN_ID,
          type: 'eip1559',
          to: token.address,
          data: data(receivers[i], 1n),
          nonce: n,
          gas: (estimate * 12n) / 10n,
          maxFeePerGas,
          maxPriorityFeePerGas: 0n,
        }),
      )
  return { token, accounts, receivers, signed }
}

async function measure(kind, sealing) {
  const chain = await startNode({ kind, sealing })
  try {
    const { token, accounts, receivers, signed } = await prepare(chain)
    const firstBlock = Number(await rpc(chain.ethUrl, 'eth_blockNumber'))
    const start = performance.now()
    let end
    // A sender's transactions keep their order: a lane of its own for each group of senders.
    const sending = inParallel(lanes(signed), width, async (lane) => {
      for (const raw of lane) await rpc(chain.ethUrl, 'eth_sendRawTransaction', [raw])
    })
    const waiting = (async () => {
      const deadline = Date.now() + PATIENCE_MS
      for (const { address } of accounts)
        for (let mined = 0; mined < each;) {
          mined = Number(await rpc(chain.ethUrl, 'eth_getTransactionCount', [address, 'latest']))
          if (mined < each && Date.now() > deadline)
            throw new Error(`${kind}: of ${each} accepted transfers of ${address} only ${mined} were mined`)
          await sleep(20)
        }
      end = performance.now()
    })()
    await Promise.all([sending, waiting])

    const lastBlock = Number(await rpc(chain.ethUrl, 'eth_blockNumber'))
    for (const receiver of receivers) assert.equal(await token.read.balanceOf([receiver]), BigInt(each) + 1n)
    let blocks = 0
    for (let number = firstBlock + 1; number <= lastBlock; number++) {
      const { transactions } = await rpc(chain.ethUrl, 'eth_getBlockByNumber', [numberToHex(number), false])
      if (transactions.length) blocks++
    }
    const name = kind === 'anvil' ? await rpc(chain.ethUrl, 'web3_clientVersion') : 'openledger-node'
    return { name, transfers: signed.length, seconds: (end - start) / 1000, blocks }
  } finally {
    await chain.stop()
  }
}

/** The signed transactions by sender, in nonce order. */
function lanes(signed) {
  return Array.from({ length: senders }, (_, i) => signed.filter((_, at) => at % senders === i))
}

console.log(machine())
for (const sealing of sealings) {
  const rows = []
  for (const kind of kinds) rows.push(await measure(kind, sealing))
  const how =
    { instant: 'a block as soon as there are transactions', slots: 'a block every 2 s' }[sealing] ??
    sealing.replace(/^interval=(\d+)$/, 'a block every $1 ms')
  report(`ERC-20 transfers, ${senders} senders × ${each}, ${width} requests in flight, ${how}`, rows)
}

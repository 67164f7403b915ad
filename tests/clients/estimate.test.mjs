// eth_estimateGas: what it says always suffices, and is at most 1.25 times the least that does.
//
// The least is found by sending: real transactions with less and less gas, each judged by its receipt. FULL=1 adds
// cases and searches finer.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { encodeDeployData, encodeFunctionData, parseEther, parseEventLogs } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { ethAccounts } from './lib/accounts.mjs'
import { session } from './lib/evm.mjs'
import { settleAnvilClock, useNode } from './lib/node.mjs'
import { artifact, publishedArtifact } from './lib/solc.mjs'

const MOST = 1.25
const full = Boolean(process.env.FULL)

const chain = await useNode({ sealing: 'interval=100' })
const { alith, baltathar } = ethAccounts
const alice = session(chain, alith)
const { reader, wallet } = alice
const stranger = () => privateKeyToAccount(generatePrivateKey()).address

const supplyOfToken = 10n ** 30n
const tokenArtifact = artifact('SampleToken')
const { contract: token } = await alice.deploy(tokenArtifact, [alith.address, supplyOfToken])
const { contract: other } = await alice.deploy(tokenArtifact, [alith.address, supplyOfToken])
const { contract: jar } = await alice.deploy(artifact('TipJar'), [alith.address])
const { contract: weth } = await alice.deploy(publishedArtifact('WETH9'))
const { contract: factory } = await alice.deploy(publishedArtifact('UniswapV2Factory'), [alith.address])
const pair = await newPair()
const reserve = 10n ** 24n
for (const one of [token, other]) await alice.mined(await one.write.transfer([pair.address, reserve]))
await alice.mined(await pair.write.mint([alith.address]))
await alice.mined(await token.write.transfer([baltathar.address, 1n]))

async function newPair() {
  const receipt = await alice.mined(await factory.write.createPair([token.address, other.address]))
  const [event] = parseEventLogs({ abi: factory.abi, logs: receipt.logs, eventName: 'PairCreated' })
  return alice.at(publishedArtifact('UniswapV2Pair').abi, event.args[2])
}

const call = ({ address, abi }, functionName, args, value) => ({
  to: address,
  data: encodeFunctionData({ abi, functionName, args }),
  value,
})

/** Sends with exactly this much gas; true when it was mined and succeeded, false when gas was what it lacked. */
async function suffices(request, gas) {
  let hash
  try {
    hash = await wallet.sendTransaction({ ...request, gas })
  } catch (error) {
    // Refused by the pool. Anything but a complaint about gas or fees would make the search find nonsense.
    assert.match(error.message, /gas|fees|payment/i, `refused for another reason: ${error.message}`)
    return false
  }
  const receipt = await reader.waitForTransactionReceipt({ hash, timeout: 60_000 })
  return receipt.status === 'success'
}

/**
 * The shape of every case: `make()` prepares and describes one fresh, equivalent transaction each time.
 *
 * A probe that succeeds changes the chain, so the next probe must not profit from it: new receivers, refilled pairs.
 */
async function judge(name, make) {
  // Once without looking: the first use of a contract fills counters that later uses only change.
  await alice.send(await make())
  const first = await make()
  const estimate = await reader.estimateGas({ account: alith, ...first })
  assert.ok(await suffices(first, estimate), `${name}: the estimate of ${estimate} was not enough`)

  let enough = estimate
  let tooLittle = 0n
  const step = full ? 1000n : 100n
  while (enough - tooLittle > enough / step + 1n) {
    const middle = (enough + tooLittle) / 2n
    if (await suffices(await make(), middle)) enough = middle
    else tooLittle = middle
  }
  const ratio = Number(estimate) / Number(enough)
  console.log(`estimate: ${name}: ${estimate}, least ${enough} (±${enough - tooLittle}), ratio ${ratio.toFixed(3)}`)
  // Against the lower end of where the least lies: stricter than the promise.
  assert.ok(Number(estimate) <= MOST * Number(tooLittle + 1n), `${name}: ${estimate} is more than ${MOST} × ${enough}`)
}

describe('an estimate suffices and is close', () => {
  const cases = {
    'transfer to an account with money': async () => ({ to: baltathar.address, value: 1n }),
    'transfer to a new account': async () => ({ to: stranger(), value: parseEther('0.5') }),
    'ERC-20 deployment': async () => ({
      data: encodeDeployData({ ...tokenArtifact, args: [alith.address, supplyOfToken] }),
    }),
    'ERC-20 transfer to a new holder': async () => call(token, 'transfer', [stranger(), 5n]),
    'ERC-20 transfer to an old holder': async () => call(token, 'transfer', [baltathar.address, 5n]),
    'Uniswap v2 swap': async () => {
      const [in0, out1] = await putIn(10n ** 18n)
      assert.ok(in0 > 0n)
      return call(pair, 'swap', [0n, out1, baltathar.address, '0x'])
    },
    'a tip with a note': async () => call(jar, 'tip', ['for the long evenings'], 3n),
    'ERC-20 transfer that frees a storage slot': async () => {
      await alice.mined(await token.write.approve([alith.address, 7n]))
      return call(token, 'transferFrom', [alith.address, baltathar.address, 7n])
    },
  }
  const more = {
    'WETH9 deposit': async () => call(weth, 'deposit', [], 10n),
    'WETH9 withdrawal': async () => {
      await alice.mined(await weth.write.deposit({ value: 10n }))
      return call(weth, 'withdraw', [10n])
    },
    'Uniswap v2 factory deployment': async () => ({
      data: encodeDeployData({ ...publishedArtifact('UniswapV2Factory'), args: [alith.address] }),
    }),
    'Uniswap v2 pair creation': async () => call(factory, 'createPair', [stranger(), stranger()]),
    'ERC-721 deployment': async () => ({
      data: encodeDeployData({ ...artifact('SampleBadge'), args: [alith.address] }),
    }),
  }
  for (const [name, make] of Object.entries(full ? { ...cases, ...more } : cases)) test(name, () => judge(name, make))
})

/** Puts `amount` of the pair's first token in and returns what is in and what may be taken of the second. */
async function putIn(amount) {
  const firstIsToken = (await pair.read.token0()).toLowerCase() === token.address.toLowerCase()
  const coin = firstIsToken ? token : other
  await alice.mined(await coin.write.transfer([pair.address, amount]))
  const [reserve0, reserve1] = await pair.read.getReserves()
  await settleAnvilClock(() => reader.getBlock())
  const paid = (await coin.read.balanceOf([pair.address])) - reserve0
  return [paid, (paid * 997n * reserve1) / (reserve0 * 1000n + paid * 997n)]
}

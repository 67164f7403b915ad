// What a wallet relies on: the three transaction types, receipts, nonces that see the pool, reasons of refusals.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  BaseError,
  ContractFunctionRevertedError,
  encodeFunctionData,
  getContractAddress,
  parseEther,
  parseEventLogs,
} from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { CHAIN_ID, ethAccounts } from './lib/accounts.mjs'
import { feeOf, session } from './lib/evm.mjs'
import { rpc, useNode } from './lib/node.mjs'
import { artifact } from './lib/solc.mjs'
import { watchSupply } from './supply.mjs'

// Slower blocks than elsewhere: three transactions must be waiting at the same time.
const chain = await useNode({ sealing: 'interval=1000' })
const supply = await watchSupply(chain)
const { alith, baltathar } = ethAccounts
const alice = session(chain, alith)
const { reader } = alice
const { contract: refusals } = await alice.deploy(artifact('Refusals'))
const { contract: twin } = await alice.deploy(artifact('TipJar'), [alith.address])

/** A fresh key with some money. */
async function funded(amount = parseEther('50')) {
  const account = privateKeyToAccount(generatePrivateKey())
  await alice.send({ to: account.address, value: amount })
  return session(chain, account)
}

/** The `latest` nonce, and the one with the pool's transactions counted. */
async function nonces(address) {
  const [latest, pending] = await Promise.all(
    ['latest', 'pending'].map((blockTag) => reader.getTransactionCount({ address, blockTag })),
  )
  return { latest, pending }
}

describe('transaction types', () => {
  const price = async () => (await reader.getGasPrice()) * 2n
  const kinds = {
    legacy: { number: 0, fields: async () => ({ gasPrice: await price() }) },
    eip2930: {
      number: 1,
      fields: async () => ({
        gasPrice: await price(),
        accessList: [{ address: baltathar.address, storageKeys: [`0x${'00'.repeat(32)}`] }],
      }),
    },
    eip1559: { number: 2, fields: async () => ({ maxFeePerGas: await price(), maxPriorityFeePerGas: 0n }) },
  }

  for (const [type, { number, fields }] of Object.entries(kinds))
    test(`${type}: signed here, mined, given back as it was`, async () => {
      const request = { to: baltathar.address, value: 12_345_678_901n, type, ...(await fields()) }
      const [mine, theirs] = await Promise.all([alith, baltathar].map(({ address }) => reader.getBalance({ address })))
      const receipt = await alice.send(request)
      const transaction = await reader.getTransaction({ hash: receipt.transactionHash })

      assert.equal(receipt.type, type)
      assert.equal(transaction.typeHex, `0x${number}`)
      assert.equal(transaction.from, alith.address.toLowerCase())
      assert.equal(transaction.value, request.value)
      assert.equal(transaction.chainId, CHAIN_ID)
      assert.equal(transaction.blockHash, receipt.blockHash)
      if (type === 'eip2930') assert.equal(transaction.accessList[0].storageKeys.length, 1)
      if (type === 'eip1559') assert.equal(transaction.maxFeePerGas, request.maxFeePerGas)

      const fee = feeOf(receipt)
      assert.ok(fee > 0n && receipt.effectiveGasPrice <= (request.gasPrice ?? request.maxFeePerGas))
      assert.equal(await reader.getBalance({ address: baltathar.address }), theirs + request.value)
      assert.equal(await reader.getBalance({ address: alith.address }), mine - request.value - fee)
    })

  test('a transaction signed for another chain is refused, and so is one whose nonce is used', async () => {
    const good = {
      chainId: CHAIN_ID,
      type: 'eip1559',
      to: baltathar.address,
      value: 1n,
      gas: await reader.estimateGas({ account: alith, to: baltathar.address, value: 1n }),
      maxFeePerGas: await price(),
      nonce: (await nonces(alith.address)).pending,
    }
    const submit = async (request) =>
      rpc(chain.ethUrl, 'eth_sendRawTransaction', [await alith.signTransaction({ ...good, ...request })])
    await assert.rejects(submit({ chainId: 1 }), /chain|invalid/i)
    await assert.rejects(submit({ nonce: 0 }), /nonce|outdated/i)
    // The same transaction with nothing wrong goes through: it was the chain id and the nonce that mattered.
    await alice.mined(await submit({}))
    await assert.rejects(submit({}), /nonce|outdated|known|imported/i)
  })

  test('more money than there is is refused before it costs anything', async () => {
    const poor = await funded(parseEther('1'))
    const before = await reader.getBalance({ address: poor.account.address })
    const gas = await reader.estimateGas({ account: alith, to: baltathar.address, value: 1n })
    await assert.rejects(
      poor.wallet.sendTransaction({ to: baltathar.address, value: before + 1n, gas }),
      /insufficient|exceeds|funds|balance/i,
    )
    assert.equal(await reader.getBalance({ address: poor.account.address }), before)
    assert.equal((await nonces(poor.account.address)).pending, 0)
  })
})

describe('nonces', () => {
  test('three transactions sent without waiting are all mined, and `pending` counted them at once', async () => {
    const sender = await funded()
    const { address } = sender.account
    assert.deepEqual(await nonces(address), { latest: 0, pending: 0 })

    const hashes = []
    for (let i = 0; i < 3; i++) {
      // viem asks for the `pending` nonce each time: were it blind to the pool, the second would reuse the first's.
      hashes.push(await sender.wallet.sendTransaction({ to: baltathar.address, value: BigInt(i + 1) }))
      assert.equal((await nonces(address)).pending, i + 1, `after ${i + 1} sent`)
    }
    const receipts = []
    for (const hash of hashes) receipts.push(await sender.mined(hash))
    for (const [i, hash] of hashes.entries()) assert.equal((await reader.getTransaction({ hash })).nonce, i)
    assert.deepEqual(await nonces(address), { latest: 3, pending: 3 })
    assert.equal(new Set(receipts.map((receipt) => receipt.transactionHash)).size, 3)
  })

  test('a deployment and a call to it, sent in one go', async () => {
    const sender = await funded()
    const { abi, bytecode } = artifact('TipJar')
    const address = getContractAddress({ from: sender.account.address, nonce: 0n })
    const deployed = await sender.wallet.deployContract({ abi, bytecode, args: [sender.account.address] })
    // An estimate cannot see a contract that is still in the pool: a twin that is on the chain tells the gas.
    const data = encodeFunctionData({ abi, functionName: 'tip', args: ['early'] })
    const tipped = await sender.wallet.sendTransaction({
      to: address,
      value: 9n,
      gas: await reader.estimateGas({ account: alith, to: twin.address, value: 9n, data }),
      data,
    })
    assert.equal((await sender.mined(deployed)).contractAddress, address.toLowerCase())
    await sender.mined(tipped)
    assert.equal(await sender.at(abi, address).read.total(), 9n)
  })

  test('a transaction with a later nonce waits for the one before it', async () => {
    const sender = await funded()
    const { account, wallet } = sender
    const to = baltathar.address
    const second = await wallet.sendTransaction({
      to,
      value: 2n,
      nonce: 1,
      gas: await sender.reader.estimateGas({ account, to, value: 2n }),
    })
    assert.equal((await nonces(account.address)).pending, 0, 'a nonce with a gap before it does not count')
    const first = await wallet.sendTransaction({ to, value: 1n, nonce: 0 })
    await sender.mined(first)
    await sender.mined(second)
    assert.deepEqual(await nonces(account.address), { latest: 2, pending: 2 })
  })
})

describe('receipts', () => {
  test('agree with the block, and a contract creation names its contract', async () => {
    const { abi, bytecode } = artifact('TipJar')
    const { receipt, contract } = await alice.deploy({ abi, bytecode }, [alith.address])
    assert.equal(receipt.to, null)
    assert.equal(receipt.logs.length, 0)
    const block = await reader.getBlock({ blockHash: receipt.blockHash, includeTransactions: true })
    assert.equal(block.number, receipt.blockNumber)
    const transaction = block.transactions[receipt.transactionIndex]
    assert.equal(transaction.hash, receipt.transactionHash)
    assert.equal(block.parentHash, (await reader.getBlock({ blockNumber: block.number - 1n })).hash)

    const tipped = await alice.mined(await contract.write.tip(['thank you'], { value: 4n }))
    const [log] = parseEventLogs({ abi, logs: tipped.logs })
    assert.deepEqual(log.args, { from: alith.address, amount: 4n, note: 'thank you' })
    assert.equal(log.address, contract.address.toLowerCase())
    assert.equal(log.blockHash, tipped.blockHash)
    assert.equal(log.transactionHash, tipped.transactionHash)
    assert.notEqual(tipped.logsBloom, `0x${'00'.repeat(256)}`)

    const all = await rpc(chain.ethUrl, 'eth_getBlockReceipts', [`0x${tipped.blockNumber.toString(16)}`])
    assert.ok(all.some((one) => one.transactionHash === tipped.transactionHash))
  })

  test('a failed transaction has status 0, costs its gas and moves nothing', async () => {
    const { abi, bytecode } = artifact('TipJar')
    const { contract } = await alice.deploy({ abi, bytecode }, [baltathar.address])
    const data = encodeFunctionData({ abi, functionName: 'tip', args: ['nothing in it'] })
    const before = await reader.getBalance({ address: alith.address })
    // The gas is given, because an estimate of something that reverts is (rightly) refused.
    const gas = await reader.estimateGas({ account: alith, to: contract.address, data, value: 1n })
    const hash = await alice.wallet.sendTransaction({ to: contract.address, data, gas })
    const receipt = await reader.waitForTransactionReceipt({ hash })
    assert.equal(receipt.status, 'reverted')
    assert.equal(receipt.logs.length, 0)
    // A refused transaction pays for its weight to the wei, and its receipt counts that up to whole gas.
    const over = feeOf(receipt) - (before - (await reader.getBalance({ address: alith.address })))
    assert.ok(over >= 0n && over < receipt.effectiveGasPrice, `the receipt is ${over} wei above what was paid`)
    assert.equal(await contract.read.total(), 0n)
  })

  test('an unknown transaction and an unknown block are null, not an error', async () => {
    const nobody = `0x${'ab'.repeat(32)}`
    assert.equal(await rpc(chain.ethUrl, 'eth_getTransactionReceipt', [nobody]), null)
    assert.equal(await rpc(chain.ethUrl, 'eth_getTransactionByHash', [nobody]), null)
    assert.equal(await rpc(chain.ethUrl, 'eth_getBlockByHash', [nobody, false]), null)
    assert.equal(await rpc(chain.ethUrl, 'eth_getBlockByNumber', ['0xfffffff', false]), null)
  })
})

describe('reasons of refusals', () => {
  const { abi, address } = refusals

  /** What viem makes of a refused call: the error's name and values. */
  async function refusal(functionName, args = []) {
    try {
      await reader.simulateContract({ account: alith, abi, address, functionName, args })
    } catch (error) {
      assert.ok(error instanceof BaseError)
      const found = error.walk((inner) => inner instanceof ContractFunctionRevertedError)
      assert.ok(found, `viem saw no revert in: ${error.message}`)
      return { name: found.data?.errorName, args: found.data?.args, reason: found.reason, signature: found.signature }
    }
    throw new Error(`${functionName}(${args}) was not refused`)
  }

  test('a sentence from require', async () => {
    assert.equal((await refusal('onlySeven', [8n])).reason, 'seven or nothing')
  })

  test('a custom error with values, directly and through another call', async () => {
    assert.deepEqual((await refusal('withValues', [101n])).args, [101n, 100n, alith.address])
    const through = await refusal('inner', [500n])
    assert.equal(through.name, 'OverLimit')
    assert.deepEqual(through.args, [500n, 100n, address])
  })

  test('a custom error without values', async () => {
    assert.equal((await refusal('withoutValues')).name, 'Closed')
  })

  test('a revert without any reason', async () => {
    const { name, signature } = await refusal('withoutReason')
    assert.equal(name, undefined)
    assert.equal(signature, undefined)
  })

  test('panics: assert, overflow, division by zero, index', async () => {
    const cases = { failedAssert: [1n, 0x01n], overflow: [1n, 0x11n], divide: [0n, 0x12n], element: [3n, 0x32n] }
    for (const [functionName, [arg, code]] of Object.entries(cases)) {
      const { name, args } = await refusal(functionName, [arg])
      assert.equal(name, 'Panic', functionName)
      assert.deepEqual(args, [code], functionName)
    }
    assert.equal(await reader.readContract({ abi, address, functionName: 'divide', args: [8n] }), 125n)
  })

  test('a refusal caught inside a contract', async () => {
    const { result } = await reader.simulateContract({
      account: alith,
      abi,
      address,
      functionName: 'caught',
      args: [101n],
    })
    assert.equal(result[0], true)
    assert.equal(result[1].length, 2 + 2 * (4 + 3 * 32))
  })

  test('an endless loop ends when the gas does', async () => {
    await assert.rejects(reader.simulateContract({ abi, address, functionName: 'endless' }))
  })

  test('an estimate of a call that is refused gives the reason, not a number', async () => {
    const data = encodeFunctionData({ abi, functionName: 'onlySeven', args: [8n] })
    await assert.rejects(reader.estimateGas({ account: alith, to: address, data }), /seven or nothing/)
    const raw = rpc(chain.ethUrl, 'eth_estimateGas', [{ from: alith.address, to: address, data }])
    await assert.rejects(raw, (error) => {
      assert.equal(error.code, 3, 'the code geth uses for a revert')
      assert.match(error.data, /^0x08c379a0/)
      return true
    })
  })
})

supply.test()

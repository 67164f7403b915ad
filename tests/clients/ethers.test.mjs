// ethers 6: deployment through its factory, typed transactions, events over WebSocket, reasons of refusals.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { ethers } from 'ethers'
import { CHAIN_ID, ethAccounts } from './lib/accounts.mjs'
import { settleAnvilClock, useNode } from './lib/node.mjs'
import { artifact, publishedArtifact } from './lib/solc.mjs'
import { watchSupply } from './supply.mjs'

const chain = await useNode()
const supply = await watchSupply(chain)
const { alith, baltathar, charleth } = ethAccounts
const options = { staticNetwork: ethers.Network.from(CHAIN_ID), pollingInterval: 50, cacheTimeout: -1 }
const provider = new ethers.JsonRpcProvider(chain.ethUrl, CHAIN_ID, options)
after(() => provider.destroy())
const signer = (account) => new ethers.Wallet(account.key, provider)
const alice = signer(alith)
const bob = signer(baltathar)

/** Deploys with ethers' own factory and waits for it. */
async function deploy({ abi, bytecode }, ...args) {
  const contract = await new ethers.ContractFactory(abi, bytecode, alice).deploy(...args)
  await contract.waitForDeployment()
  return contract
}

test('finds the network and its fees by itself', async () => {
  const asking = new ethers.JsonRpcProvider(chain.ethUrl)
  try {
    assert.equal((await asking.getNetwork()).chainId, BigInt(CHAIN_ID))
    const fees = await asking.getFeeData()
    assert.ok(fees.maxFeePerGas > 0n && fees.gasPrice > 0n)
  } finally {
    asking.destroy()
  }
})

test('plain transfers of every type, to the wei', async () => {
  const gasPrice = (await provider.getFeeData()).gasPrice * 2n
  const requests = [
    { type: 0, gasPrice },
    { type: 1, gasPrice, accessList: [[baltathar.address, [ethers.ZeroHash]]] },
    { type: 2, maxFeePerGas: gasPrice, maxPriorityFeePerGas: 0n },
  ]
  for (const request of requests) {
    const before = await provider.getBalance(baltathar.address)
    const mine = await provider.getBalance(alith.address)
    const sent = await alice.sendTransaction({ to: baltathar.address, value: 1_000_000_007n, ...request })
    const receipt = await sent.wait()
    assert.equal(receipt.status, 1)
    assert.equal(receipt.type, request.type)
    assert.equal(await provider.getBalance(baltathar.address), before + 1_000_000_007n)
    assert.equal(await provider.getBalance(alith.address), mine - 1_000_000_007n - receipt.fee)
  }
})

test('OpenZeppelin ERC-20: deploy, transfer, query its events', async () => {
  const token = await deploy(artifact('SampleToken'), alith.address, ethers.parseEther('1000'))
  const receipt = await (await token.transfer(baltathar.address, 42n)).wait()
  assert.equal(await token.balanceOf(baltathar.address), 42n)
  const events = await token.queryFilter(
    token.filters.Transfer(alith.address),
    receipt.blockNumber,
    receipt.blockNumber,
  )
  assert.equal(events.length, 1)
  assert.equal(events[0].args.value, 42n)
  await assert.rejects(token.connect(bob).transfer.staticCall(alith.address, 43n), (error) => {
    assert.ok(ethers.isError(error, 'CALL_EXCEPTION'))
    assert.equal(error.revert.name, 'ERC20InsufficientBalance')
    assert.deepEqual([...error.revert.args], [baltathar.address, 42n, 43n])
    return true
  })
})

test('OpenZeppelin ERC-721 and WETH9', async () => {
  const badge = await deploy(artifact('SampleBadge'), alith.address)
  await (await badge.award(baltathar.address, 'ipfs://badge')).wait()
  assert.equal(await badge.ownerOf(1n), baltathar.address)
  const bobsBadge = badge.connect(bob)
  await (await bobsBadge.transferFrom(baltathar.address, charleth.address, 1n)).wait()
  assert.equal(await badge.ownerOf(1n), charleth.address)

  const weth = await deploy(publishedArtifact('WETH9'))
  await (await alice.sendTransaction({ to: await weth.getAddress(), value: 5n })).wait()
  await (await weth.transfer(baltathar.address, 2n)).wait()
  const before = await provider.getBalance(baltathar.address)
  const receipt = await (await weth.connect(bob).withdraw(2n)).wait()
  assert.equal(await provider.getBalance(baltathar.address), before + 2n - receipt.fee)
  assert.equal(await weth.totalSupply(), 3n)
})

test('Uniswap v2 core: a pair, liquidity, a swap', async () => {
  const factory = await deploy(publishedArtifact('UniswapV2Factory'), alith.address)
  const coins = []
  for (let i = 0; i < 2; i++)
    coins.push(await deploy(artifact('SampleToken'), alith.address, ethers.parseEther('9000')))
  await (await factory.createPair(await coins[0].getAddress(), await coins[1].getAddress())).wait()
  const address = await factory.getPair(await coins[0].getAddress(), await coins[1].getAddress())
  const pair = new ethers.Contract(address, publishedArtifact('UniswapV2Pair').abi, alice)
  if ((await pair.token0()) !== (await coins[0].getAddress())) coins.reverse()

  for (const coin of coins) await (await coin.transfer(address, ethers.parseEther('1000'))).wait()
  await (await pair.mint(alith.address)).wait()
  await settleAnvilClock(() => provider.getBlock('latest'))
  const paid = ethers.parseEther('10')
  const out = (paid * 997n * ethers.parseEther('1000')) / (ethers.parseEther('1000') * 1000n + paid * 997n)
  await (await coins[0].transfer(address, paid)).wait()
  await (await pair.swap(0n, out, charleth.address, '0x')).wait()
  assert.equal(await coins[1].balanceOf(charleth.address), out)
})

test('reasons of refusals: sentence, custom error, panic', async () => {
  const refusals = await deploy(artifact('Refusals'))
  const refused = async (promise) => {
    try {
      await promise
    } catch (error) {
      assert.ok(ethers.isError(error, 'CALL_EXCEPTION'), `${error.code}: ${error.message}`)
      return error
    }
    throw new Error('was not refused')
  }
  assert.equal((await refused(refusals.onlySeven.staticCall(1n))).reason, 'seven or nothing')
  assert.equal((await refused(refusals.withoutValues())).revert.name, 'Closed')
  assert.equal((await refused(refusals.divide(0n))).reason, 'Panic due to DIVIDE_BY_ZERO(18)')
  assert.equal((await refused(refusals.inner.staticCall(300n))).revert.name, 'OverLimit')
  // An estimate has no contract to explain it, but carries the data that the contract's interface can read.
  const { data } = await refused(refusals.inner.estimateGas(300n))
  assert.deepEqual([...refusals.interface.parseError(data).args].slice(0, 2), [300n, 100n])

  // A mined failure: ethers' wait() throws and hands out the receipt.
  const gasLimit = await refusals.onlySeven.estimateGas(7n)
  const sent = await refusals.onlySeven(8n, { gasLimit })
  assert.equal((await refused(sent.wait())).receipt.status, 0)
})

test('WebSocketProvider: blocks and events arrive', async () => {
  const socket = new ethers.WebSocketProvider(chain.ethWsUrl, CHAIN_ID, options)
  try {
    const jar = await deploy(artifact('TipJar'), alith.address)
    const listening = new ethers.Contract(await jar.getAddress(), jar.interface, socket)
    const event = new Promise((resolve) => {
      listening.on('Tipped', (from, amount, note) => resolve({ from, amount, note }))
    })
    const block = new Promise((resolve) => socket.once('block', resolve))
    assert.ok((await block) > 0)
    await (await jar.connect(bob).tip('over the wire', { value: 6n })).wait()
    assert.deepEqual(await event, { from: baltathar.address, amount: 6n, note: 'over the wire' })
    await listening.removeAllListeners()
  } finally {
    await socket.destroy()
  }
})

supply.test()

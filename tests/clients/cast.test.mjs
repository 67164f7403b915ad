// Foundry's cast: reads, sends of each type, a deployment, calls, logs.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeDeployData, parseEther } from 'viem'
import { CHAIN_ID, ethAccounts } from './lib/accounts.mjs'
import { useNode } from './lib/node.mjs'
import { foundryBinary } from './lib/paths.mjs'
import { run } from './lib/run.mjs'
import { artifact, publishedArtifact } from './lib/solc.mjs'

const chain = await useNode()
const { alith, baltathar } = ethAccounts
const cast = (command, ...args) =>
  run(foundryBinary('cast'), [command, '--rpc-url', chain.ethUrl, ...args], { timeoutMs: 60_000 })
const send = async (account, ...args) => JSON.parse(await cast('send', '--private-key', account.key, '--json', ...args))
const balance = async (address) => BigInt(await cast('balance', address))

test('reads the chain', async () => {
  assert.equal(await cast('chain-id'), String(CHAIN_ID))
  assert.ok(Number(await cast('block-number')) >= 0)
  assert.ok((await balance(alith.address)) > parseEther('100'))
  assert.ok(BigInt(await cast('gas-price')) > 0n)
  assert.match(await cast('block', 'latest'), /gasLimit/)
})

test('sends legacy, 2930 and 1559 transactions', async () => {
  for (const [type, flags] of Object.entries({
    '0x0': ['--legacy'],
    '0x1': ['--access-list', JSON.stringify([{ address: baltathar.address, storageKeys: [] }]), '--legacy'],
    '0x2': [],
  })) {
    const before = await balance(baltathar.address)
    const receipt = await send(alith, baltathar.address, '--value', '1000001', ...flags)
    assert.equal(receipt.status, '0x1')
    assert.equal(receipt.type, type)
    assert.equal(await balance(baltathar.address), before + 1_000_001n)
  }
})

test('deploys an ERC-20, sends a transfer, reads balances and logs', async () => {
  const { abi, bytecode } = artifact('SampleToken')
  const data = encodeDeployData({ abi, bytecode, args: [alith.address, 1_000n] })
  const created = await send(alith, '--create', data)
  assert.equal(created.status, '0x1')
  const token = created.contractAddress
  const moved = await send(alith, token, 'transfer(address,uint256)', baltathar.address, '400')
  const balanceOf = (address) => cast('call', token, 'balanceOf(address)(uint256)', address)
  assert.equal(await balanceOf(baltathar.address), '400')
  assert.equal(await balanceOf(alith.address), '600')

  const signature = 'Transfer(address indexed,address indexed,uint256)'
  const range = ['--from-block', created.blockNumber, '--address', token]
  const logs = JSON.parse(await cast('logs', ...range, signature, alith.address, '--json'))
  assert.equal(logs.length, 1)
  assert.equal(BigInt(logs[0].data), 400n)

  const receipt = JSON.parse(await cast('receipt', moved.transactionHash, '--json'))
  assert.equal(receipt.blockHash, moved.blockHash)
  await assert.rejects(
    cast('call', token, 'transfer(address,uint256)', alith.address, '1000', '--from', baltathar.address),
    /revert/i,
  )
})

test('wraps and unwraps with WETH9', async () => {
  const created = await send(alith, '--create', publishedArtifact('WETH9').bytecode)
  const weth = created.contractAddress
  await send(baltathar, weth, 'deposit()', '--value', '77')
  assert.equal(await cast('call', weth, 'balanceOf(address)(uint256)', baltathar.address), '77')
  await send(baltathar, weth, 'withdraw(uint256)', '70')
  assert.equal(await balance(weth), 7n)
})

test('estimates, and reads a storage slot and code', async () => {
  const { abi, bytecode } = artifact('TipJar')
  const created = await send(alith, '--create', encodeDeployData({ abi, bytecode, args: [alith.address] }))
  const jar = created.contractAddress
  await send(baltathar, jar, 'tip(string)', 'hello', '--value', '13')
  assert.equal(BigInt(await cast('storage', jar, '0')), 13n)
  assert.ok((await cast('code', jar)).length > 1000)
  const from = ['--from', baltathar.address]
  assert.ok(Number(await cast('estimate', jar, 'tip(string)', 'again', '--value', '1', ...from)) >= 21_000)
})

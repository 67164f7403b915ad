// viem against foreign contracts: OpenZeppelin's ERC-20 and ERC-721, Uniswap v2 core, WETH9.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { encodeFunctionData, getContractAddress, parseEther, parseEventLogs, zeroAddress } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { CHAIN_ID, ethAccounts } from './lib/accounts.mjs'
import { feeOf, session } from './lib/evm.mjs'
import { settleAnvilClock, useNode } from './lib/node.mjs'
import { artifact, publishedArtifact } from './lib/solc.mjs'
import { watchSupply } from './supply.mjs'

const { alith, baltathar, charleth } = ethAccounts
const chain = await useNode()
const supply = await watchSupply(chain)
const alice = session(chain, alith)
const bob = session(chain, baltathar)

test('the chain names itself', async () => {
  assert.equal(await alice.reader.getChainId(), CHAIN_ID)
  assert.ok((await alice.reader.getBalance({ address: alith.address })) > parseEther('100'))
  const block = await alice.reader.getBlock()
  assert.ok(block.gasLimit > 10_000_000n, `a block's gas limit of ${block.gasLimit} is too small for a Uniswap factory`)
})

describe('OpenZeppelin ERC-20', () => {
  const minted = 10n ** 24n
  let token

  before(async () => {
    const deployed = await alice.deploy(artifact('SampleToken'), [alith.address, minted])
    token = deployed.contract
    const [first] = parseEventLogs({ abi: token.abi, logs: deployed.receipt.logs, eventName: 'Transfer' })
    assert.deepEqual(first.args, { from: zeroAddress, to: alith.address, value: minted })
  })

  test('answers for itself', async () => {
    assert.equal(await token.read.name(), 'Sample Token')
    assert.equal(await token.read.symbol(), 'SMPL')
    assert.equal(await token.read.decimals(), 18)
    assert.equal(await token.read.totalSupply(), minted)
    assert.equal(await token.read.balanceOf([alith.address]), minted)
  })

  test('transfers, and the log says so', async () => {
    const receipt = await alice.mined(await token.write.transfer([baltathar.address, 1234n]))
    const logs = parseEventLogs({ abi: token.abi, logs: receipt.logs })
    assert.equal(logs.length, 1)
    assert.equal(logs[0].eventName, 'Transfer')
    assert.deepEqual(logs[0].args, { from: alith.address, to: baltathar.address, value: 1234n })
    assert.equal(await token.read.balanceOf([baltathar.address]), 1234n)
  })

  test('approves and lets the approved move no more than that', async () => {
    await alice.mined(await token.write.approve([baltathar.address, 500n]))
    const asBob = bob.at(token.abi, token.address)
    await bob.mined(await asBob.write.transferFrom([alith.address, charleth.address, 300n]))
    assert.equal(await token.read.allowance([alith.address, baltathar.address]), 200n)
    const tooMuch = asBob.simulate.transferFrom([alith.address, charleth.address, 201n], { account: baltathar })
    await assert.rejects(tooMuch, /ERC20InsufficientAllowance/)
  })

  test('takes a permit signed off chain (EIP-712)', async () => {
    const amount = 77n
    const deadline = (await alice.reader.getBlock()).timestamp + 3_600n
    const signature = await alith.signTypedData({
      domain: { name: 'Sample Token', version: '1', chainId: CHAIN_ID, verifyingContract: token.address },
      types: {
        Permit: [
          { name: 'owner', type: 'address' },
          { name: 'spender', type: 'address' },
          { name: 'value', type: 'uint256' },
          { name: 'nonce', type: 'uint256' },
          { name: 'deadline', type: 'uint256' },
        ],
      },
      primaryType: 'Permit',
      message: {
        owner: alith.address,
        spender: charleth.address,
        value: amount,
        nonce: await token.read.nonces([alith.address]),
        deadline,
      },
    })
    const [r, s, v] = [signature.slice(0, 66), `0x${signature.slice(66, 130)}`, parseInt(signature.slice(130), 16)]
    const asBob = bob.at(token.abi, token.address)
    await bob.mined(await asBob.write.permit([alith.address, charleth.address, amount, deadline, v, r, s]))
    assert.equal(await token.read.allowance([alith.address, charleth.address]), amount)
  })
})

test('OpenZeppelin ERC-721: award, move, refuse', async () => {
  const { contract: badge } = await alice.deploy(artifact('SampleBadge'), [alith.address])
  await alice.mined(await badge.write.award([baltathar.address, 'ipfs://first']))
  assert.equal(await badge.read.ownerOf([1n]), baltathar.address)
  assert.equal(await badge.read.tokenURI([1n]), 'ipfs://first')

  const asBob = bob.at(badge.abi, badge.address)
  const receipt = await bob.mined(await asBob.write.safeTransferFrom([baltathar.address, charleth.address, 1n]))
  const [moved] = parseEventLogs({ abi: badge.abi, logs: receipt.logs, eventName: 'Transfer' })
  assert.deepEqual(moved.args, { from: baltathar.address, to: charleth.address, tokenId: 1n })
  assert.equal(await badge.read.balanceOf([baltathar.address]), 0n)

  const byStranger = asBob.simulate.award([baltathar.address, 'ipfs://second'], { account: baltathar })
  await assert.rejects(byStranger, /OwnableUnauthorizedAccount/)
  // The badge contract itself does not take badges: the safe transfer asks it and gets no answer.
  const toItself = badge.simulate.award([badge.address, 'ipfs://third'], { account: alith })
  await assert.rejects(toItself, /ERC721InvalidReceiver/)
})

test('WETH9: wrap and unwrap to the wei', async () => {
  const { contract: weth } = await alice.deploy(publishedArtifact('WETH9'))
  const { reader } = bob
  const amount = parseEther('3') + 17n
  const start = await reader.getBalance({ address: baltathar.address })

  const wrapped = await bob.send({ to: weth.address, value: amount })
  assert.equal(await weth.read.balanceOf([baltathar.address]), amount)
  assert.equal(await reader.getBalance({ address: weth.address }), amount)
  const between = await reader.getBalance({ address: baltathar.address })
  assert.equal(between, start - amount - feeOf(wrapped), 'wrapping costs the amount and the fee in the receipt')

  const asBob = bob.at(weth.abi, weth.address)
  const unwrapped = await bob.mined(await asBob.write.withdraw([amount]))
  assert.equal(await weth.read.totalSupply(), 0n)
  assert.equal(await reader.getBalance({ address: weth.address }), 0n)
  assert.equal(
    await reader.getBalance({ address: baltathar.address }),
    between + amount - feeOf(unwrapped),
    'unwrapping gives back the amount less the fee in the receipt',
  )
})

test('Uniswap v2 core: factory, pair, liquidity, swap, withdrawal', async () => {
  const pairAbi = publishedArtifact('UniswapV2Pair').abi
  const { contract: factory } = await alice.deploy(publishedArtifact('UniswapV2Factory'), [alith.address])
  const tokens = []
  for (let i = 0; i < 2; i++)
    tokens.push((await alice.deploy(artifact('SampleToken'), [alith.address, 10n ** 24n])).contract)
  tokens.sort((a, b) => (BigInt(a.address) < BigInt(b.address) ? -1 : 1))

  // The factory makes the pair with CREATE2; its event and its register must agree on the address.
  const created = await alice.mined(await factory.write.createPair(tokens.map((token) => token.address)))
  const [announced] = parseEventLogs({ abi: factory.abi, logs: created.logs, eventName: 'PairCreated' })
  // One of the event's values has no name, so viem gives them as a list: token, token, pair, count.
  const [, , pairAddress] = announced.args
  assert.equal(await factory.read.getPair(tokens.map((token) => token.address)), pairAddress)
  assert.equal(await factory.read.allPairsLength(), 1n)
  const pair = alice.at(pairAbi, pairAddress)
  assert.equal(await pair.read.token0(), tokens[0].address)

  const put = [10_000n * 10n ** 18n, 40_000n * 10n ** 18n]
  for (const [i, token] of tokens.entries()) await alice.mined(await token.write.transfer([pair.address, put[i]]))
  await alice.mined(await pair.write.mint([alith.address]))
  // sqrt(10,000 x 40,000) = 20,000 shares, of which the pair keeps 1,000 wei for ever.
  assert.equal(await pair.read.totalSupply(), 20_000n * 10n ** 18n)
  assert.equal(await pair.read.balanceOf([alith.address]), 20_000n * 10n ** 18n - 1000n)
  assert.deepEqual((await pair.read.getReserves()).slice(0, 2), put)

  await settleAnvilClock(() => alice.reader.getBlock())
  const paid = 100n * 10n ** 18n
  const out = (paid * 997n * put[1]) / (put[0] * 1000n + paid * 997n)
  await alice.mined(await tokens[0].write.transfer([pair.address, paid]))
  await assert.rejects(pair.simulate.swap([0n, out + 1n, charleth.address, '0x'], { account: alith }), /UniswapV2: K/)
  const swapped = await alice.mined(await pair.write.swap([0n, out, charleth.address, '0x']))
  const [swap] = parseEventLogs({ abi: pairAbi, logs: swapped.logs, eventName: 'Swap' })
  assert.equal(swap.args.amount0In, paid)
  assert.equal(swap.args.amount1Out, out)
  assert.equal(await tokens[1].read.balanceOf([charleth.address]), out)

  await settleAnvilClock(() => alice.reader.getBlock())
  const shares = await pair.read.balanceOf([alith.address])
  await alice.mined(await pair.write.transfer([pair.address, shares]))
  await alice.mined(await pair.write.burn([alith.address]))
  const left = (await pair.read.getReserves()).slice(0, 2)
  assert.ok(left[0] > 0n && left[0] < 1_000_000n, `the pair keeps only its locked share, not ${left[0]}`)
})

test('a contract is found where CREATE says, has code, storage and a nonce', async () => {
  const account = privateKeyToAccount(generatePrivateKey())
  await alice.send({ to: account.address, value: parseEther('100') })
  const fresh = session(chain, account)
  const { contract: jar } = await fresh.deploy(artifact('TipJar'), [account.address])
  assert.equal(jar.address, getContractAddress({ from: account.address, nonce: 0n }))
  assert.ok((await fresh.reader.getCode({ address: jar.address })).length > 1000)
  assert.equal(await fresh.reader.getTransactionCount({ address: account.address }), 1)

  await fresh.send({
    to: jar.address,
    value: 5n,
    data: encodeFunctionData({ abi: jar.abi, functionName: 'tip', args: ['for the first storage slot'] }),
  })
  assert.equal(BigInt(await fresh.reader.getStorageAt({ address: jar.address, slot: '0x0' })), 5n)
  assert.equal(await jar.read.givenBy([account.address]), 5n)
})

supply.test()

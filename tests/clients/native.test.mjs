// polkadot.js: transfers, fees and where they go, and OPEN that crosses between native accounts and Ethereum addresses.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Keyring } from '@polkadot/api'
import { parseEther } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { CHAIN_ID, accountOfH160, ethAccounts, h160OfAccount } from './lib/accounts.mjs'
import { feeOf, session } from './lib/evm.mjs'
import { useNode } from './lib/node.mjs'
import { balance, connect, feePaid, natives, send } from './lib/substrate.mjs'
import { watchSupply } from './supply.mjs'

const chain = await useNode()
const supply = await watchSupply(chain)
const api = await connect(chain)
const { alice, bob, ferdie } = natives
const { alith } = ethAccounts
const evm = session(chain, alith)
const { transferKeepAlive } = api.tx.balances
const existential = api.consts.balances.existentialDeposit.toBigInt()
const free = async (account, at) => (await balance(api, account, at)).free
const weiOf = (address) => evm.reader.getBalance({ address })

/** A fifth as the runtime takes it: to the nearest planck, a half going down. */
const fifth = (fee) => (fee * 20n + 49n) / 100n

/** The block before the one a transaction is in: balances there and in its block differ by this transaction alone. */
const parentOf = async (blockHash) => (await api.rpc.chain.getHeader(blockHash)).parentHash.toHex()

describe('polkadot.js', () => {
  test('reads what the chain is', async () => {
    assert.equal(api.runtimeVersion.specName.toString(), 'openledger')
    const [decimals] = api.registry.chainDecimals
    const [symbol] = api.registry.chainTokens
    assert.equal(decimals, 18)
    assert.equal(symbol, 'OPEN')
    assert.equal(api.consts.revive.chainId.toNumber(), CHAIN_ID)
    assert.equal((await api.query.balances.totalIssuance()).toBigInt(), parseEther('1000000000'))
    assert.ok(api.consts.system.blockWeights.maxBlock.refTime.toBigInt() > 0n)
  })

  test('transfers to the planck; the fee goes 20% to the author and 80% to the treasury', async () => {
    const amount = 123_456_789_012_345_678n
    const quoted = await transferKeepAlive(ferdie.address, amount).paymentInfo(bob)
    const sent = await send(api, transferKeepAlive(ferdie.address, amount), bob)
    const fee = feePaid(sent)
    assert.ok(fee > 0n && fee <= quoted.partialFee.toBigInt(), `fee ${fee}, quoted ${quoted.partialFee}`)

    const before = await parentOf(sent.blockHash)
    const change = async (who) => (await free(who, sent.blockHash)) - (await free(who, before))
    assert.equal(await change(bob.address), -amount - fee)
    assert.equal(await change(ferdie.address), amount)

    // The development chain's only validator is Alice.
    const author = await change(alice.address)
    assert.equal(author, fifth(fee))
    // The treasury's account as the pallet derives it: "modl", its id, zeros.
    const treasury = new Uint8Array(32)
    treasury.set(new TextEncoder().encode('modl'))
    treasury.set(api.consts.treasury.palletId.toU8a(), 4)
    assert.equal(await change(treasury), fee - author)
  })

  test('refuses to reap a sender that wants to stay, and reaps one that wants to go', async () => {
    const keyring = new Keyring({ type: 'sr25519' })
    const guest = keyring.addFromMnemonic('bottom drive obey lake curtain smoke basket hold race lonely fit walk', {
      name: 'guest',
    })
    const whole = parseEther('2')
    await send(api, transferKeepAlive(guest.address, whole), bob)
    assert.equal(await free(guest.address), whole)
    await assert.rejects(send(api, transferKeepAlive(bob.address, whole - existential), guest), (error) => {
      assert.match(error.message, /token|NotExpendable|Insufficient|balances/i)
      return true
    })
    await send(api, api.tx.balances.transferAll(bob.address, false), guest)
    assert.equal(await free(guest.address), 0n)
  })

  test('burns what it is told to burn, and the issuance knows', async () => {
    const issuance = async () => (await api.query.balances.totalIssuance()).toBigInt()
    const [before, amount] = [await issuance(), 1_000_000_000_000_000_003n]
    await send(api, api.tx.balances.burn(amount, true), ferdie)
    supply.burned(amount)
    assert.equal(await issuance(), before - amount)
  })

  test('pays a tip, which goes to the treasury whole', async () => {
    const tip = 5_000_000_000n
    const sent = await send(api, transferKeepAlive(ferdie.address, 1n), bob, { tip })
    const event = sent.find('transactionPayment.TransactionFeePaid')
    assert.equal(event.data.tip.toBigInt(), tip)
    const before = await parentOf(sent.blockHash)
    const author = (await free(alice.address, sent.blockHash)) - (await free(alice.address, before))
    assert.equal(author, fifth(feePaid(sent) - tip))
  })
})

describe('between native accounts and Ethereum addresses', () => {
  test('native to an H160 that has money: both clients see it to the wei', async () => {
    const amount = 1_000_000_000_000_000_001n
    const account = accountOfH160(alith.address)
    const [wei, planck] = [await weiOf(alith.address), await free(account)]
    await send(api, transferKeepAlive(account, amount), bob)
    assert.equal(await free(account), planck + amount)
    assert.equal(await weiOf(alith.address), wei + amount)
  })

  test('native to a new H160: it can spend all but the existential deposit', async () => {
    const fresh = privateKeyToAccount(generatePrivateKey())
    const amount = parseEther('3') + 1n
    await send(api, transferKeepAlive(accountOfH160(fresh.address), amount), bob)
    assert.equal(await free(accountOfH160(fresh.address)), amount)
    // Ethereum has no existential deposit, so what an address shows is what it can send.
    assert.equal(await weiOf(fresh.address), amount - existential)

    const theirs = session(chain, fresh)
    const back = parseEther('1') + 7n
    const mine = await free(bob.address)
    const receipt = await theirs.send({ to: h160OfAccount(bob.publicKey), value: back })
    assert.equal(await free(bob.address), mine + back)
    assert.equal(await weiOf(fresh.address), amount - existential - back - feeOf(receipt))
    assert.equal(await free(accountOfH160(fresh.address)), amount - back - feeOf(receipt))
  })

  test('H160 to a native account: it arrives there, and nowhere else', async () => {
    const address = h160OfAccount(ferdie.publicKey)
    const mapped = await api.query.revive.originalAccount(address)
    assert.equal(mapped.toString(), api.createType('AccountId32', ferdie.publicKey).toString())
    for (const amount of [1n, 999_999_999_999_999_999n, parseEther('12') + 345n]) {
      const [planck, wei] = [await free(ferdie.address), await weiOf(alith.address)]
      const receipt = await evm.send({ to: address, value: amount })
      assert.equal(await free(ferdie.address), planck + amount)
      assert.equal(await weiOf(alith.address), wei - amount - feeOf(receipt))
      assert.equal(await free(accountOfH160(address)), 0n, 'the padded twin of the address stays empty')
      assert.equal(await weiOf(address), (await free(ferdie.address)) - existential)
    }
  })

  test('H160 to a new H160: it shows exactly what was sent', async () => {
    const fresh = privateKeyToAccount(generatePrivateKey())
    const amount = parseEther('0.25') + 3n
    const wei = await weiOf(alith.address)
    const receipt = await evm.send({ to: fresh.address, value: amount })
    assert.equal(await weiOf(fresh.address), amount)
    const paid = wei - (await weiOf(alith.address))
    const received = await free(accountOfH160(fresh.address))
    // The sender's gas also opens the account: its existential deposit is in the receipt's fee.
    assert.equal(paid, amount + feeOf(receipt))
    assert.equal(received, amount + existential)
  })

  test('a new native account is mapped when it first gets money', async () => {
    const keyring = new Keyring({ type: 'ed25519' })
    const newcomer = keyring.addFromSeed(Buffer.from(generatePrivateKey().slice(2), 'hex'))
    const address = h160OfAccount(newcomer.publicKey)
    assert.ok((await api.query.revive.originalAccount(address)).isNone)
    await send(api, transferKeepAlive(newcomer.address, parseEther('1')), bob)
    assert.ok((await api.query.revive.originalAccount(address)).isSome)
    await evm.send({ to: address, value: 11n })
    assert.equal(await free(newcomer.address), parseEther('1') + 11n)
  })

  test('what was sent to a native account before it existed is not lost', async () => {
    const keyring = new Keyring({ type: 'sr25519' })
    const late = keyring.addFromSeed(Buffer.from(generatePrivateKey().slice(2), 'hex'))
    const address = h160OfAccount(late.publicKey)
    const early = parseEther('2')
    await evm.send({ to: address, value: early })
    assert.equal(await free(late.address), 0n)
    const stranded = await free(accountOfH160(address))
    assert.ok(stranded >= early)

    await send(api, transferKeepAlive(late.address, parseEther('1')), bob)
    const all = api.tx.balances.transferAll(late.address, false)
    const rescue = await send(api, api.tx.revive.dispatchAsFallbackAccount(all), late)
    assert.equal(await free(accountOfH160(address)), 0n)
    assert.equal(await free(late.address), parseEther('1') + stranded - feePaid(rescue))
  })
})

supply.test()

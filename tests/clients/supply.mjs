// Watches the promise that OPEN's supply is fixed, block by block, while other tests use the chain.
//
// For every block: the free and reserved balances of all accounts add up to Balances.TotalIssuance, and the issuance is
// not above its value one block earlier. Over the whole run it falls by exactly what the test says it burned: fees, dust
// and slashes have owners here. Balances are read straight from storage and decoded here, so that neither a client
// library nor the runtime's own bookkeeping is taken at its word.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { peer, rpc } from './lib/node.mjs'

/** Storage prefix of System.Account: twox128("System") and twox128("Account"). */
export const ACCOUNT_PREFIX = '0x26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9'
/** Storage key of Balances.TotalIssuance. */
export const ISSUANCE_KEY = '0xc2261276cc9d1f8598ea4b6a74b15c2f57c875e4cff74148e4628f264b974c80'

const PAGE = 1000

/** A little-endian unsigned integer of `bytes` bytes at byte `at` of a hex string. */
function uint(hex, at, bytes) {
  const part = hex.slice(2 + at * 2, 2 + (at + bytes) * 2)
  return BigInt(`0x${part.match(/../g).reverse().join('')}`)
}

/**
 * All accounts' money at a block.
 *
 * @param {string} url Substrate JSON-RPC over HTTP
 * @param {string} hash the block
 * @returns {Promise<{ accounts: Map<string, bigint>, issuance: bigint }>} free and reserved planck by account (hex)
 */
export async function moneyAt(url, hash) {
  const issuance = uint(await rpc(url, 'state_getStorage', [ISSUANCE_KEY, hash]), 0, 16)
  const accounts = new Map()
  for (let from = null; ;) {
    const keys = await rpc(url, 'state_getKeysPaged', [ACCOUNT_PREFIX, PAGE, from, hash])
    if (keys.length) {
      const [{ changes }] = await rpc(url, 'state_queryStorageAt', [keys, hash])
      // AccountInfo: nonce, consumers, providers, sufficients (4 bytes each), then free, reserved, frozen, flags (16 each).
      // A key ends with the account's 32 bytes.
      for (const [key, value] of changes) accounts.set(`0x${key.slice(-64)}`, uint(value, 16, 16) + uint(value, 32, 16))
    }
    if (keys.length < PAGE) return { accounts, issuance }
    from = keys.at(-1)
  }
}

/** What `moneyAt` finds, added up: `accounts` is their number, `held` what they have. */
export async function supplyAt(url, hash) {
  const { accounts, issuance } = await moneyAt(url, hash)
  const held = [...accounts.values()].reduce((sum, planck) => sum + planck, 0n)
  return { accounts: accounts.size, held, issuance }
}

/** Follows a chain from `start()` until `stop()`, block after block without a gap. */
export class SupplyWatch {
  /** @param {string} url Substrate JSON-RPC over HTTP */
  constructor(url) {
    this.url = url
    /** One entry a block: number, hash, accounts, held, issuance. */
    this.blocks = []
    this.#last = -1
  }

  #last
  #stopping = false
  #loop

  async start() {
    this.#last = (await this.#best()) - 1
    this.#loop = this.#follow()
    // Reported by stop(); without this a fault between the two would end the process instead.
    this.#loop.catch(() => {})
  }

  async #best() {
    return Number((await rpc(this.url, 'chain_getHeader')).number)
  }

  async #follow() {
    for (;;) {
      const stopping = this.#stopping
      const best = await this.#best()
      while (this.#last < best) await this.#check(this.#last + 1)
      if (stopping) return
      await sleep(50)
    }
  }

  async #check(number) {
    const hash = await rpc(this.url, 'chain_getBlockHash', [number])
    const now = { number, hash, ...(await supplyAt(this.url, hash)) }
    const before = this.blocks.at(-1)
    this.blocks.push(now)
    this.#last = number
    assert.equal(now.held, now.issuance, `block ${number}: accounts hold ${now.held}, issuance says ${now.issuance}`)
    if (before)
      assert.ok(
        now.issuance <= before.issuance,
        `block ${number}: issuance rose from ${before.issuance} to ${now.issuance}`,
      )
  }

  /** Planck that the test burned on purpose. */
  burned = 0n

  /** Checks the blocks up to now, then ends. Throws the first broken promise, if any. */
  async stop() {
    this.#stopping = true
    await this.#loop
    const [first, last] = [this.blocks[0], this.blocks.at(-1)]
    const fell = first.issuance - last.issuance
    assert.equal(fell, this.burned, `issuance fell by ${fell} and the test burned ${this.burned}`)
    return { blocks: this.blocks.length, first, last, fell }
  }
}

/**
 * Watches `chain` from now on. Call it with `await` at the top of a test file and `.test()` at its end, which adds the
 * test that reports. On anvil, which has no such promise, there is no such test.
 */
export async function watchSupply(chain) {
  if (peer === 'anvil') return { burned() {}, test() {} }
  const watch = new SupplyWatch(chain.httpUrl)
  await watch.start()
  return {
    /** To be called for every planck burned on purpose. */
    burned(planck) {
      watch.burned += planck
    },
    test() {
      test('the accounts added up to the issuance in every block; it never rose and fell by what was burned', async () => {
        const { blocks, first, last, fell } = await watch.stop()
        console.log(
          `supply: ${blocks} blocks (${first.number} to ${last.number}), ${last.accounts} accounts hold ${last.held}, ` +
            `issuance ${last.issuance}, fell by ${fell}`,
        )
        assert.ok(blocks > 1, 'a single block shows nothing')
      })
    },
  }
}

// The accounts the dev chain endows, and how a native account and an Ethereum address name each other.
import { keccak256 } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

/** Chain id of the dev and local presets. */
export const CHAIN_ID = 161299

// Public keys to public money: these are the well-known development accounts, endowed by the dev preset only.
const keys = {
  alith: '0x5fb92d6e98884f76de468fa3f6278f8807c48bebc13595d45af5bdc4da702133',
  baltathar: '0x8075991ce870b93a8870eca0c0f91913d12f47948ca0fd25b49c6fa7cdbeee8b',
  charleth: '0x0b6e18cafb6ed99687ec547bd28139cafdd2bffe70e6b688025de6b445aa5c5b',
  dorothy: '0x39539ab1876910bbf3a223d84a29e28f1cb4e2e456503e7e91ed39b2e7223d68',
  ethan: '0x7dce9bc8babb68fec1409be38c8e1a52650206a7ed90ff956ae8a6d15eeaaef4',
}

/** viem accounts of the five endowed Ethereum keys, by name; `.key` is the private key. */
export const ethAccounts = Object.fromEntries(
  Object.entries(keys).map(([name, key]) => [name, Object.assign(privateKeyToAccount(key), { key })]),
)

/** The 32-byte account an Ethereum key uses on the native side: its 20 bytes, then twelve times 0xEE. Hex. */
export function accountOfH160(address) {
  return `${address.toLowerCase()}${'ee'.repeat(12)}`
}

/** The Ethereum address of a native 32-byte account (bytes or hex): the end of its Keccak hash, unless it was one before. */
export function h160OfAccount(accountId) {
  const hex = typeof accountId === 'string' ? accountId.slice(2) : Buffer.from(accountId).toString('hex')
  if (hex.length !== 64) throw new Error(`an account id has 32 bytes; this has ${hex.length / 2}`)
  if (hex.endsWith('ee'.repeat(12))) return `0x${hex.slice(0, 40)}`
  return `0x${keccak256(`0x${hex}`).slice(-40)}`
}

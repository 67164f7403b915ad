// viem on the chain under test: clients, deployment, sending and waiting.
import {
  createPublicClient,
  createWalletClient,
  defineChain,
  encodeDeployData,
  getAddress,
  getContract,
  http,
  webSocket,
} from 'viem'
import { CHAIN_ID } from './accounts.mjs'

/** The chain as viem describes one, for the running `chain`. */
export function viemChain(chain) {
  return defineChain({
    id: CHAIN_ID,
    name: 'OpenLedger dev',
    nativeCurrency: { name: 'OPEN', symbol: 'OPEN', decimals: 18 },
    rpcUrls: { default: { http: [chain.ethUrl], webSocket: [chain.ethWsUrl] } },
  })
}

const polling = { pollingInterval: 50, cacheTime: 0 }

/** Reads over HTTP. */
export function publicClient(chain) {
  return createPublicClient({ chain: viemChain(chain), transport: http(chain.ethUrl, { retryCount: 0 }), ...polling })
}

/** Reads and subscribes over WebSocket; `close()` it. */
export async function socketClient(chain) {
  const client = createPublicClient({
    chain: viemChain(chain),
    transport: webSocket(chain.ethWsUrl, { retryCount: 0, reconnect: false }),
    ...polling,
  })
  const socket = await client.transport.getRpcClient()
  return Object.assign(client, { close: () => socket.close() })
}

/** Signs locally with `account` and sends over HTTP. */
export function walletClient(chain, account) {
  return createWalletClient({
    account,
    chain: viemChain(chain),
    transport: http(chain.ethUrl, { retryCount: 0 }),
    ...polling,
  })
}

/** Both clients in one object, and the calls tests repeat. */
export function session(chain, account) {
  const reader = publicClient(chain)
  const wallet = walletClient(chain, account)
  return {
    account,
    reader,
    wallet,

    /** Waits for a transaction; refuses one that failed. */
    async mined(hash) {
      const receipt = await reader.waitForTransactionReceipt({ hash, timeout: 60_000 })
      if (receipt.status !== 'success') throw new Error(`transaction ${hash} failed in block ${receipt.blockNumber}`)
      return receipt
    },

    /** Sends a transaction and waits for it. */
    async send(request) {
      return this.mined(await wallet.sendTransaction(request))
    },

    /** Deploys an artifact; returns the contract (with reads and writes as this account) and its receipt. */
    async deploy({ abi, bytecode }, args = [], request = {}) {
      const data = encodeDeployData({ abi, bytecode, args })
      const receipt = await this.send({ data, ...request })
      return { contract: this.at(abi, receipt.contractAddress), receipt }
    },

    /** A contract at a known address. */
    at(abi, address) {
      return getContract({ abi, address: getAddress(address), client: { public: reader, wallet } })
    },
  }
}

/** What a receipt says its sender paid, in wei. */
export function feeOf(receipt) {
  return receipt.gasUsed * receipt.effectiveGasPrice
}

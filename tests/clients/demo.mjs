// `make demo-chain`: the development chain, and three things people do on it, with the clients they would use.
//
// Whatever amount is printed was read back from the chain; beside it stand the block and the storage key, so that it can
// be looked up with any other client. Ports: RPC_PORT (9944) and ETH_RPC_PORT (8545). CI=1 ends when it is done.
import { encodeFunctionData, numberToHex, parseEther, parseEventLogs } from 'viem'
import { CHAIN_ID, accountOfH160, ethAccounts } from './lib/accounts.mjs'
import { session } from './lib/evm.mjs'
import { open } from './lib/format.mjs'
import { portTaken, startNode } from './lib/node.mjs'
import { byteFeeKey, decide, phaseOf, propose, readByteFee, setByteFee, vote } from './lib/referendum.mjs'
import { artifact } from './lib/solc.mjs'
import { balance, connect, natives, send } from './lib/substrate.mjs'

const bold = process.stdout.isTTY ? (text) => `\x1b[1m${text}\x1b[0m` : (text) => text
const heading = (text) => console.log(`\n${bold(text)}`)
const say = (text) => console.log(`  ${text}`)
/** A value with where it comes from. */
const read = (what, value, block, key) => {
  say(`${what}: ${bold(value)}`)
  say(`    read at block ${block}, storage key ${key}`)
}

let chain
let api
let ending

/** Stops the node once, however the demo ends. */
async function end(code) {
  if (ending) return
  ending = true
  if (chain) {
    console.log('stopping the node …')
    await chain.stop()
  }
  process.exit(code)
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    console.log()
    end(signal === 'SIGINT' && upAndRunning ? 0 : 130)
  })
let upAndRunning = false

async function main() {
  const rpcPort = await port('RPC_PORT', 9944, 'the Substrate JSON-RPC')
  const ethPort = await port('ETH_RPC_PORT', 8545, 'the Ethereum JSON-RPC')
  heading('Starting the development chain')
  try {
    chain = await startNode({ kind: 'node', sealing: 'slots', rpcPort, ethPort })
  } catch (error) {
    throw new Plain(error.message)
  }
  chain.exited.then((how) => {
    if (ending) return
    console.error(`\nthe node ended by itself (${how}); its last lines:\n${chain.log(20)}`)
    end(1)
  })
  say(`${chain.binary} --dev, a block every 2 s, database in ${chain.basePath} (removed at the end)`)
  api = await connect(chain)
  await firstBlock()

  await transfer()
  await contract()
  await referendum()
  whatNow(rpcPort, ethPort)
}

/** A port from the environment or its default; ends the demo if it is not free. */
async function port(variable, standard, what) {
  const text = process.env[variable] || String(standard)
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1 || number > 65_535)
    throw new Plain(`${variable} is "${text}"; it must be a port from 1 to 65535`)
  if (await portTaken(number))
    throw new Plain(
      `port ${number}, for ${what}, is taken; stop what uses it or run \`${variable}=${number + 10} make demo-chain\``,
    )
  return number
}

/** An error that explains itself: printed without a stack. */
class Plain extends Error {}

async function firstBlock() {
  while ((await api.rpc.chain.getHeader()).number.toNumber() < 1) await new Promise((next) => setTimeout(next, 200))
  say(`up: ${await api.rpc.system.chain()}, ${await api.rpc.system.version()}, chain id ${CHAIN_ID}`)
}

/** Free balance of an account, printed with where it was read. */
async function showBalance(what, account, blockHash, blockNumber) {
  const { free } = await balance(api, account, blockHash)
  read(what, open(free), blockNumber, api.query.system.account.key(account))
  return free
}

async function transfer() {
  heading('1. A transfer, with polkadot.js')
  const { alice, ferdie } = natives
  const amount = parseEther('12.5')
  const head = await api.rpc.chain.getHeader()
  const before = await showBalance('Ferdie has', ferdie.address, head.hash, head.number)
  say(`Alice sends ${open(amount)} to Ferdie …`)
  const sent = await send(api, api.tx.balances.transferKeepAlive(ferdie.address, amount), alice)
  const after = await showBalance('Ferdie has', ferdie.address, sent.blockHash, sent.blockNumber)
  expect(after - before === amount, `Ferdie should have got ${open(amount)} and got ${open(after - before)}`)
}

async function contract() {
  heading('2. A Solidity contract, with viem')
  const owner = session(chain, ethAccounts.alith)
  const guest = session(chain, ethAccounts.baltathar)
  say('compiling contracts/examples/TipJar.sol with solc …')
  const compiled = artifact('TipJar')
  say(`Alith ${owner.account.address} deploys it …`)
  const { contract: jar, receipt } = await owner.deploy(compiled, [owner.account.address])
  say(`deployed at ${jar.address} in block ${receipt.blockNumber}, ${receipt.gasUsed} gas`)

  const amount = parseEther('0.75')
  say(`Baltathar tips ${open(amount)} …`)
  const data = encodeFunctionData({ abi: compiled.abi, functionName: 'tip', args: ['for the demo'] })
  const tipped = await guest.send({ to: jar.address, value: amount, data })
  const [{ args }] = parseEventLogs({ abi: compiled.abi, logs: tipped.logs, eventName: 'Tipped' })
  say(`its event in block ${tipped.blockNumber}: from ${args.from}, ${open(args.amount)}, "${args.note}"`)

  const { blockNumber } = tipped
  const total = BigInt(await owner.reader.getStorageAt({ address: jar.address, slot: '0x0', blockNumber }))
  read("the jar's total", open(total), blockNumber, `slot 0x0 of contract ${jar.address} (eth_getStorageAt)`)
  const blockHash = await api.rpc.chain.getBlockHash(blockNumber)
  const account = accountOfH160(jar.address)
  const { free } = await balance(api, account, blockHash)
  const spendable = await owner.reader.getBalance({ address: jar.address, blockNumber })
  read('the jar holds', open(free), blockNumber, api.query.system.account.key(account))
  say(`    of which a contract can spend ${open(spendable)} (eth_getBalance at ${numberToHex(blockNumber)})`)
  expect(total === amount && spendable === amount, `the jar should hold ${open(amount)}`)
}

async function referendum() {
  heading('3. A vote that changes a parameter, with polkadot.js')
  const { alice, bob, charlie, dave, eve } = natives
  const head = await api.rpc.chain.getHeader()
  const before = await readByteFee(api, head.hash)
  const key = byteFeeKey(api)
  read('a byte of a transaction costs', open(before), head.number, `${key} (nothing there: the built-in value)`)
  const next = before * 2n
  say(`Eve proposes ${open(next)} on the parameters track …`)
  const index = await propose(
    api,
    eve,
    { Origins: 'ParametersAdmin' },
    setByteFee(api, next),
    (text, { blockNumber }) => say(`block ${blockNumber}: ${text}`),
  )
  const ayes = { aye: true, amount: parseEther('90000000'), conviction: 'Locked1x' }
  const votes = await Promise.all(
    [alice, bob, charlie, dave].map((voter) =>
      vote(api, voter, index, voter === alice ? { ...ayes, amount: parseEther('200000000') } : ayes),
    ),
  )
  const voted = votes.reduce((a, b) => (a.blockNumber > b.blockNumber ? a : b))
  const at = await api.at(voted.blockHash)
  const { tally } = (await at.query.referenda.referendumInfoFor(index)).unwrap().asOngoing
  read(
    'four holders voted aye, with',
    open(tally.support.toBigInt()),
    voted.blockNumber,
    api.query.referenda.referendumInfoFor.key(index),
  )
  say('waiting for the decision, its confirmation and the enactment (half a minute) …')
  const outcome = await decide(
    api,
    index,
    async () => (await readByteFee(api)) === next,
    async (number) => say(`block ${number}: ${await phaseOf(api, index)} …`),
  )
  const now = await api.rpc.chain.getHeader()
  say(`referendum ${index}: ${outcome}`)
  read('a byte of a transaction costs', open(await readByteFee(api, now.hash)), now.number, key)
  expect(outcome === 'Approved', `the referendum should be approved and is ${outcome}`)
}

function whatNow(rpcPort, ethPort) {
  heading('All three are on the chain.')
  if (process.env.CI) return end(0)
  upAndRunning = true
  const rpc = encodeURIComponent(`ws://127.0.0.1:${rpcPort}`)
  say('The chain stays up until Ctrl-C. Look at it with')
  say(`  polkadot.js     https://polkadot.js.org/apps/?rpc=${rpc}#/explorer`)
  say(
    `  MetaMask, viem, ethers, Hardhat, Foundry     http://127.0.0.1:${ethPort}, chain id ${CHAIN_ID}, OPEN, 18 decimals`,
  )
  say(`  a key with money in it (development only)    ${ethAccounts.alith.key}`)
  say('docs/clients.md shows how to connect each of them.')
}

function expect(condition, otherwise) {
  if (!condition) throw new Plain(`the demo went wrong: ${otherwise}`)
}

main().catch((error) => {
  if (ending) return
  console.error(`\n${error instanceof Plain ? error.message : (error.stack ?? error)}`)
  end(1)
})

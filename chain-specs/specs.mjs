// Makes chain specifications: the reviewed part of each preset, and the full files a public chain starts from.
// Called by scripts/chain-specs.sh; needs nothing but Node and the node binary. chain-specs/README.md explains both uses.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
/** The presets whose genesis is kept under review. */
export const CHAINS = ['dev', 'local', 'testnet', 'main']
/** All OPEN there is, in planck. */
export const SUPPLY = 10n ** 27n
/** A free balance below this is no account. */
const EXISTENTIAL = 10n ** 18n

// --- JSON with whole numbers of any size: as BigInt where a double would round them.

const MARK = '\u0001'

/** Parses JSON; integers of sixteen digits and more become BigInt. */
export function parseJson(text) {
  // Strings are matched first and left alone, so that digits within them are.
  const marked = text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g, (token) => (/^\d{16,}$/.test(token) ? `"\\u0001${token}"` : token))
  return JSON.parse(marked, (_, value) => (typeof value === 'string' && value[0] === MARK ? BigInt(value.slice(1)) : value))
}

/** Writes JSON; a BigInt becomes a number with all its digits. */
export function writeJson(value) {
  const marked = JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${MARK}${v}` : v), 2)
  return `${marked.replace(/"\\u0001(\d+)"/g, '$1')}\n`
}

// --- Addresses

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** The 32 bytes behind an SS58 address. */
export function accountOf(address) {
  const wrong = (why) => new Error(`"${address}" is not an address: ${why}; give one as a wallet shows it`)
  if (typeof address !== 'string') throw wrong('it is not a string')
  let value = 0n
  for (const letter of address) {
    const digit = ALPHABET.indexOf(letter)
    if (digit < 0) throw wrong(`it contains "${letter}"`)
    value = value * 58n + BigInt(digit)
  }
  const hex = value.toString(16)
  const zeros = /^1*/.exec(address)[0].length
  const bytes = Buffer.from('00'.repeat(zeros) + hex.padStart(hex.length + (hex.length % 2), '0'), 'hex')
  // One byte of prefix (two from 64 on), 32 of account, two of checksum.
  const prefix = bytes.length - 34
  if (prefix !== 1 && prefix !== 2) throw wrong('it has the wrong length')
  const sum = createHash('blake2b512').update('SS58PRE').update(bytes.subarray(0, -2)).digest()
  if (!sum.subarray(0, 2).equals(bytes.subarray(-2))) throw wrong('its checksum does not match')
  return bytes.subarray(prefix, -2)
}

/** Name of the placeholder an address is, or null. */
export function placeholderOf(address) {
  const text = accountOf(address).toString('latin1')
  return /^openledger:([a-z]+)-*$/.exec(text)?.[1] ?? null
}

// --- The node

function nodeBinary() {
  const target = process.env.CARGO_TARGET_DIR || join(homedir(), '.cache', 'openledger', 'target')
  const binary = process.env.OPENLEDGER_NODE || join(target, 'release', 'openledger-node')
  if (!existsSync(binary)) throw new Error(`no node binary at ${binary}; build it with \`make build\` or set OPENLEDGER_NODE`)
  return binary
}

/** The specification the node exports for a name or file, as text. */
function exported(chain, raw = false) {
  const binary = nodeBinary()
  const args = ['export-chain-spec', '--chain', chain, ...(raw ? ['--raw'] : [])]
  try {
    return execFileSync(binary, args, { encoding: 'utf8', maxBuffer: 256 * 2 ** 20, stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    throw new Error(`the node could not export "${chain}": ${(error.stderr || error.message).trim().split('\n').at(-1)}`)
  }
}

// --- What is reviewed

/** A preset's specification without the runtime's code, as text. */
export function reviewed(spec) {
  const { code } = spec.genesis.runtimeGenesis
  if (!/^0x[0-9a-f]{1000,}$/.test(code ?? '')) throw new Error(`the exported specification of ${spec.id} carries no code`)
  const genesis = { ...spec.genesis, runtimeGenesis: { ...spec.genesis.runtimeGenesis, code: '0x' } }
  return writeJson({ ...spec, genesis })
}

const reviewFile = (chain) => join(here, `${chain}.genesis.json`)

function regenerate(check) {
  const changed = []
  for (const chain of CHAINS) {
    const text = reviewed(parseJson(exported(chain)))
    const file = reviewFile(chain)
    if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
    changed.push(chain)
    if (!check) writeFileSync(file, text)
  }
  const names = changed.map((chain) => `chain-specs/${chain}.genesis.json`).join(', ')
  if (check && changed.length) throw new Error(`${names} differ from what the node says; run \`make chain-specs\` and look at the difference`)
  console.log(changed.length ? `wrote ${names}` : 'chain-specs: up to date')
}

// --- A public chain's full specification

/** Amount of a launch file, in OPEN with up to eighteen decimals, as planck. */
export function planck(text, what) {
  const [, whole, part = ''] = (typeof text === 'string' && /^(\d+)(?:\.(\d{1,18}))?$/.exec(text)) || []
  if (whole === undefined) throw new Error(`${what}: amount ${JSON.stringify(text)} is not OPEN; write "1000" or "1000.5", in quotes`)
  return BigInt(whole) * 10n ** 18n + BigInt(part.padEnd(18, '0'))
}

/**
 * Puts the accounts, validators and committee of a launch file into a preset's specification.
 *
 * @param {object} spec as `parseJson` read it from the node
 * @param {object} launch the launch file (chain-specs/README.md)
 * @returns {object} a specification without placeholders
 * @throws when a holder is missing or unknown, amounts do not add up to the preset's, or a key is used twice
 */
export function launched(spec, launch) {
  const fields = ['chain', 'holders', 'validators', 'committee', 'bootNodes']
  for (const field of fields) if (!(field in launch)) throw new Error(`the launch file lacks "${field}"`)
  for (const field of Object.keys(launch)) if (!fields.includes(field)) throw new Error(`the launch file has "${field}", which means nothing here`)
  const patch = structuredClone(spec.genesis.runtimeGenesis.patch)
  const { balances, holdings } = replaceHolders(patch, launch.holders)
  replaceVesting(patch, launch.holders)
  addValidators(patch, launch.validators, balances, holdings)
  if (!launch.committee.length) throw new Error('committee: is empty; name at least one account')
  launch.committee.forEach(accountOf)
  // Membership is kept sorted by account.
  patch.technicalCommittee.members = [...launch.committee].sort((a, b) => Buffer.compare(accountOf(a), accountOf(b)))
  const total = [...balances.values()].reduce((a, b) => a + b, 0n)
  if (total !== SUPPLY) throw new Error(`balances add up to ${total} planck; the supply is ${SUPPLY}`)
  const left = Object.entries(patch).flatMap(([pallet, value]) => placeholdersIn(value).map((name) => `${name} (${pallet})`))
  if (left.length) throw new Error(`placeholders are left: ${left.join(', ')}`)
  const runtimeGenesis = { ...spec.genesis.runtimeGenesis, patch }
  return { ...spec, bootNodes: launch.bootNodes, genesis: { ...spec.genesis, runtimeGenesis } }
}

/** Names of the placeholders anywhere in a value. */
function placeholdersIn(value) {
  if (value && typeof value === 'object') return Object.values(value).flatMap(placeholdersIn)
  if (typeof value !== 'string' || !/^[1-9A-HJ-NP-Za-km-z]{46,50}$/.test(value)) return []
  try {
    return [placeholderOf(value)].filter(Boolean)
  } catch {
    // A string that only looks like an address.
    return []
  }
}

function replaceHolders(patch, holders) {
  const balances = new Map()
  const holdings = new Map()
  const add = (address, amount, what) => {
    const key = accountOf(address).toString('hex')
    if (balances.has(key)) throw new Error(`${what}: ${address} holds something already; one entry an account`)
    balances.set(key, amount)
    return key
  }
  const unused = new Set(Object.keys(holders))
  const list = []
  for (const [address, amount] of patch.balances.balances) {
    const name = placeholderOf(address)
    if (name === null) {
      add(address, BigInt(amount), 'the preset')
      list.push([address, amount])
      continue
    }
    const entries = holders[name]
    if (!entries?.length) throw new Error(`holders: nobody is named for "${name}" (${amount} planck)`)
    unused.delete(name)
    let sum = 0n
    for (const [account, text] of entries) {
      const part = planck(text, `holders.${name}`)
      if (part < EXISTENTIAL) throw new Error(`holders.${name}: ${account} gets less than 1 OPEN, which is no account`)
      if (placeholderOf(account)) throw new Error(`holders.${name}: ${account} is a placeholder`)
      holdings.set(add(account, part, `holders.${name}`), { name, amount: part })
      list.push([account, part])
      sum += part
    }
    if (sum !== BigInt(amount)) throw new Error(`holders.${name}: adds up to ${sum} planck; the preset gives ${amount}`)
  }
  if (unused.size) throw new Error(`holders: the preset has no "${[...unused].join('", "')}"`)
  patch.balances.balances = list
  return { balances, holdings }
}

/** Each holder vests as the placeholder did: same first block, same length, all of it. */
function replaceVesting(patch, holders) {
  patch.vesting.vesting = patch.vesting.vesting.flatMap((entry) => {
    const [address, ...terms] = entry
    const name = placeholderOf(address)
    return name === null ? [entry] : holders[name].map(([account]) => [account, ...terms])
  })
}

function addValidators(patch, validators, balances, holdings) {
  if (!validators.length) throw new Error('validators: is empty; a chain without validators makes no block')
  const seats = patch.staking.validatorCount
  if (validators.length > seats) throw new Error(`validators: ${validators.length} for ${seats} seats`)
  const vesting = new Set(patch.vesting.vesting.map(([account]) => accountOf(account).toString('hex')))
  const minimum = BigInt(patch.staking.minValidatorBond)
  const used = new Map()
  const keys = []
  const stakers = []
  validators.forEach(({ stash, bond, babe, grandpa, authorityDiscovery }, i) => {
    const what = `validators[${i}]`
    for (const [field, key] of Object.entries({ stash, babe, grandpa, authorityDiscovery })) {
      const id = accountOf(key).toString('hex')
      // One seed may serve BABE and authority discovery of the same validator, as in the SDK's own tools.
      const owner = used.get(id)
      if (owner && owner !== `${i}`) throw new Error(`${what}.${field}: ${key} is used by validators[${owner}] too`)
      used.set(id, `${i}`)
    }
    const account = accountOf(stash).toString('hex')
    if (!holdings.has(account)) throw new Error(`${what}: stash ${stash} is not among the holders`)
    const amount = planck(bond, what)
    if (amount < minimum) throw new Error(`${what}: bonds ${amount} planck; the preset asks for ${minimum}`)
    if (amount > balances.get(account) - EXISTENTIAL) throw new Error(`${what}: bonds ${amount} planck and holds ${balances.get(account)}; leave 1 OPEN free`)
    if (vesting.has(account)) throw new Error(`${what}: stash ${stash} is vesting; bond from an account that is free`)
    keys.push([stash, stash, { babe, grandpa, authority_discovery: authorityDiscovery }])
    stakers.push([stash, stash, amount, 'Validator'])
  })
  patch.session.keys = keys
  patch.staking.stakers = stakers
}

function writeLaunch(launchFile, out) {
  let launch
  try {
    launch = parseJson(readFileSync(launchFile, 'utf8'))
  } catch (error) {
    throw new Error(`cannot read the launch file ${launchFile}: ${error.message}`)
  }
  if (!['testnet', 'main'].includes(launch.chain)) throw new Error(`chain is ${JSON.stringify(launch.chain)}; a launch is of "testnet" or "main"`)
  const spec = launched(parseJson(exported(launch.chain)), launch)
  const scratch = mkdtempSync(join(tmpdir(), 'chain-specs-'))
  try {
    const plain = writeJson(spec)
    const plainFile = join(scratch, 'plain.json')
    writeFileSync(plainFile, plain)
    // Exporting raw builds the genesis state, so a specification that cannot start a chain fails here.
    const raw = exported(plainFile, true)
    mkdirSync(out, { recursive: true })
    const code = Buffer.from(spec.genesis.runtimeGenesis.code.slice(2), 'hex')
    const files = { [`${launch.chain}.plain.json`]: plain, [`${launch.chain}.json`]: raw, [`${launch.chain}.wasm`]: code }
    const sums = Object.entries(files).map(([name, content]) => {
      writeFileSync(join(out, name), content)
      return `${createHash('sha256').update(content).digest('hex')}  ${name}\n`
    })
    writeFileSync(join(out, 'SHA256SUMS'), sums.join(''))
    process.stdout.write(sums.join(''))
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function main([command, ...rest]) {
  if (command === undefined) return regenerate(false)
  if (command === '--check') return regenerate(true)
  if (command === 'launch' && rest.length === 2) return writeLaunch(resolve(rest[0]), resolve(rest[1]))
  throw new Error('usage: scripts/chain-specs.sh [--check | launch LAUNCH_FILE OUT_DIR]')
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  try {
    main(process.argv.slice(2))
  } catch (error) {
    console.error(`chain-specs: ${error.message}`)
    process.exitCode = 1
  }

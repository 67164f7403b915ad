// Reads a network file in zombienet's format and says, for each node, which command starts it.
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'smol-toml'

/** The repository's root. */
export const repoDir = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')

/** `path` as a person in the repository's root would type it. */
export function shown(path) {
  const short = relative(repoDir, path)
  return short && !short.startsWith('..') && !isAbsolute(short) ? short : path
}

/** The node binary: `OPENLEDGER_NODE`, or the release build in the shared target folder. */
export function nodeBinary() {
  const target = process.env.CARGO_TARGET_DIR || join(homedir(), '.cache', 'openledger', 'target')
  const binary = process.env.OPENLEDGER_NODE || join(target, 'release', 'openledger-node')
  if (!existsSync(binary))
    throw new Error(`no node binary at ${binary}; build it with \`make build\` or set OPENLEDGER_NODE`)
  return binary
}

/**
 * The libp2p identity zombienet gives a node of this name: the Ed25519 key whose secret is the name's SHA-256.
 *
 * It protects nothing and is known in advance, so that bootnodes can be named before anything runs.
 *
 * @returns {{ nodeKey: string, peerId: string }} secret in hex, and the peer id in base58
 */
export function identity(name) {
  const secret = createHash('sha256').update(name).digest()
  // RFC 8410's fixed DER prefix of an Ed25519 private key.
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), secret])
  const key = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }))
  const publicKey = Buffer.from(key.export({ format: 'jwk' }).x, 'base64url')
  // An identity multihash (0x00, length) of the protobuf {type: Ed25519, data: 32 bytes}.
  const peerId = base58(Buffer.concat([Buffer.from('002408011220', 'hex'), publicKey]))
  return { nodeKey: secret.toString('hex'), peerId }
}

function base58(bytes) {
  const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
  let value = BigInt(`0x${bytes.toString('hex')}`)
  let text = ''
  for (; value > 0n; value /= 58n) text = alphabet[Number(value % 58n)] + text
  for (const byte of bytes) {
    if (byte !== 0) break
    text = `1${text}`
  }
  return text
}

// What this launcher decides for itself; the same flags in the file are for zombienet.
const OURS = [
  '--base-path', '--bootnodes', '--chain', '--listen-addr', '--name', '--node-key', '--node-key-file', '--port',
  '--prometheus-external', '--prometheus-port', '--rpc-external', '--rpc-port', '--unsafe-rpc-external',
] // prettier-ignore

/** zombienet's spelling of arguments as an argument list: `--a=b` becomes two words, what is ours or `-:` is left out. */
function extraArgs(args, where) {
  const list = []
  for (const arg of args) {
    if (typeof arg !== 'string') throw new Error(`${where}: argument ${JSON.stringify(arg)} is not a string`)
    if (arg.startsWith('-:')) continue
    // A short option carries its value, "=" and all: -lsync=debug.
    if (/^-[a-z]/i.test(arg)) {
      list.push(arg)
      continue
    }
    const [, flag, value] = /^([^=\s]+)(?:[=\s](.*))?$/s.exec(arg) ?? []
    if (!flag) throw new Error(`${where}: argument "${arg}" is neither --flag nor --option=value`)
    if (OURS.includes(flag)) continue
    list.push(flag)
    if (value !== undefined) list.push(...(/^\[.*\]$/s.test(value) ? value.slice(1, -1).split(',').map((v) => v.trim()) : [value]))
  }
  return list
}

function port(node, field, where) {
  const value = node[field]
  if (!Number.isInteger(value) || value < 1 || value > 65_535)
    throw new Error(`${where}: ${field} is ${JSON.stringify(value)}; give a port between 1 and 65535`)
  return value
}

/**
 * Reads a network file.
 *
 * @param {string} file path of the TOML file
 * @param {object} [options]
 * @param {string} [options.dir] folder for databases, keys and logs; default `.net` in the repository
 * @param {number} [options.portOffset] added to every port, so that two networks can run side by side
 * @param {string} [options.command] binary to run instead of the file's command
 * @returns {{ chain: string, specFile: string, dir: string, file: string, nodes: object[] }} each node with `name`,
 *   `command`, `args`, `basePath`, `logFile`, `keyFile`, `nodeKey`, `peerId` and its three ports
 */
export function readNetwork(file, { dir = join(repoDir, '.net'), portOffset = 0, command } = {}) {
  let toml
  try {
    toml = parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new Error(`cannot read the network file ${file}: ${error.message.split('\n')[0]}`)
  }
  const chain = toml.relaychain
  if (!chain) throw new Error(`${file}: there is no [relaychain] section`)
  if (toml.parachains?.length) throw new Error(`${file}: has parachains; OpenLedger is one chain, remove them`)
  if (!chain.nodes?.length) throw new Error(`${file}: names no node; add [[relaychain.nodes]]`)

  const nodes = chain.nodes.map((node, index) => {
    const where = `${file}: node ${node.name ?? index + 1}`
    if (typeof node.name !== 'string' || !/^[a-z0-9][a-z0-9-]*$/i.test(node.name))
      throw new Error(`${where}: name is ${JSON.stringify(node.name)}; use letters, digits and dashes`)
    return {
      name: node.name,
      command: command ?? node.command ?? chain.default_command ?? 'openledger-node',
      validator: node.validator ?? true,
      bootnode: node.bootnode ?? false,
      rpcPort: port(node, 'rpc_port', where) + portOffset,
      p2pPort: port(node, 'p2p_port', where) + portOffset,
      prometheusPort: port(node, 'prometheus_port', where) + portOffset,
      own: extraArgs(node.args?.length ? node.args : (chain.default_args ?? []), where),
      ...identity(node.name),
    }
  })
  const seen = new Map()
  for (const node of nodes)
    for (const value of [node.name, node.rpcPort, node.p2pPort, node.prometheusPort]) {
      if (seen.has(value)) throw new Error(`${file}: ${value} is used by ${seen.get(value)} and by ${node.name}`)
      seen.set(value, node.name)
    }

  if (typeof chain.chain !== 'string') throw new Error(`${file}: [relaychain] names no chain`)
  const network = { chain: chain.chain, dir: resolve(dir), file, nodes: [] }
  network.command = nodes[0].command
  // A file that is given is used; a chain's name becomes a file (processes.mjs tells why).
  network.specFile = chain.chain_spec_path
    ? resolve(dirname(file), chain.chain_spec_path)
    : join(network.dir, `${basename(chain.chain)}.raw.json`)
  network.specGiven = Boolean(chain.chain_spec_path)
  const bootnodes = nodes.filter((node) => node.bootnode)
  const known = bootnodes.length ? bootnodes : nodes.slice(0, 1)
  network.nodes = nodes.map((node) => complete(network, node, known))
  return network
}

/** Folder names, urls and the argument list of a node. `known` are the nodes it is told about at start. */
function complete(network, node, known) {
  const paths = {
    basePath: join(network.dir, node.name),
    logFile: join(network.dir, `${node.name}.log`),
    keyFile: join(network.dir, `${node.name}.key`),
    url: `http://127.0.0.1:${node.rpcPort}`,
    wsUrl: `ws://127.0.0.1:${node.rpcPort}`,
    metricsUrl: `http://127.0.0.1:${node.prometheusPort}/metrics`,
    address: `/ip4/127.0.0.1/tcp/${node.p2pPort}/p2p/${node.peerId}`,
  }
  const args = ['--chain', network.specFile, '--name', node.name, '--base-path', paths.basePath]
  args.push('--node-key-file', paths.keyFile, '--listen-addr', `/ip4/127.0.0.1/tcp/${node.p2pPort}`)
  args.push('--rpc-port', node.rpcPort, '--prometheus-port', node.prometheusPort, '--no-mdns', '--no-telemetry')
  if (node.validator) args.push('--validator')
  const others = known
    .filter((other) => other.name !== node.name)
    .map((other) => `/ip4/127.0.0.1/tcp/${other.p2pPort}/p2p/${other.peerId}`)
  if (others.length) args.push('--bootnodes', ...others)
  args.push(...node.own)
  // Asked for twice, clap refuses a flag.
  const list = args.map(String).filter((arg, i, all) => !arg.startsWith('--') || all.indexOf(arg) === i)
  return { ...node, ...paths, args: list }
}

/**
 * A further node that runs with another's session keys but its own identity, database and ports.
 *
 * @param {object} network from `readNetwork`
 * @param {string} name whose keys it uses
 * @param {number} step added to that node's ports until they are free within the network
 */
export function twinOf(network, name, step = 10) {
  const original = network.nodes.find((node) => node.name === name)
  if (!original) throw new Error(`${network.file}: there is no node ${name} to run twice`)
  const twin = { ...original, name: `${name}-twin`, ...identity(`${name}-twin`), bootnode: false }
  for (const field of ['rpcPort', 'p2pPort', 'prometheusPort']) twin[field] += step
  return complete(network, twin, network.nodes)
}

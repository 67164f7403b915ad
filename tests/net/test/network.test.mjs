import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { identity, readNetwork, repoDir, twinOf } from '../lib/network.mjs'

const file = join(repoDir, 'zombienet', 'network.toml')
const written = (text) => {
  const path = join(mkdtempSync(join(tmpdir(), 'net-test-')), 'network.toml')
  writeFileSync(path, text)
  return path
}
const node = (name, port, more = '') =>
  `[[relaychain.nodes]]\nname = "${name}"\nrpc_port = ${port}\np2p_port = ${port + 1}\nprometheus_port = ${port + 2}\n${more}\n`

test('identity should be the one zombienet gives a node of that name', () => {
  // From zombienet-sdk's own test of its identities.
  assert.deepEqual(identity('alice'), {
    nodeKey: '2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90',
    peerId: '12D3KooWQCkBm1BYtkHpocxCwMgR8yjitEeHGx8spzcDLGt2gkBm',
  })
})

test('the network file should give four validators that listen on loopback and know a bootnode', () => {
  const { nodes, chain } = readNetwork(file)
  assert.equal(chain, 'local')
  assert.deepEqual(nodes.map((n) => n.name), ['alice', 'bob', 'charlie', 'dave'])
  for (const { name, args, nodeKey } of nodes) {
    assert.ok(args.includes(`--${name}`) && args.includes('--validator'))
    assert.match(args[args.indexOf('--listen-addr') + 1], /^\/ip4\/127\.0\.0\.1\/tcp\/3033[3-6]$/)
    assert.equal(args.filter((arg) => arg === '--listen-addr').length, 1)
    assert.ok(args.includes('--bootnodes'))
    assert.ok(!args.some((arg) => /external/.test(arg)), args.join(' '))
    assert.ok(!args.includes(nodeKey), 'a key must not be in the process list')
  }
  assert.ok(nodes[0].args.includes(nodes[1].address) && !nodes[0].args.includes(nodes[0].address))
})

test('a port offset should move every port', () => {
  const [plain, moved] = [0, 1000].map((portOffset) => readNetwork(file, { portOffset }).nodes[2])
  for (const field of ['rpcPort', 'p2pPort', 'prometheusPort']) assert.equal(moved[field] - plain[field], 1000)
  assert.ok(moved.args.includes(`/ip4/127.0.0.1/tcp/${moved.p2pPort}`))
})

test('a twin should share the session keys and nothing else', () => {
  const network = readNetwork(file)
  const [alice] = network.nodes
  const twin = twinOf(network, 'alice')
  assert.ok(twin.args.includes('--alice'))
  assert.notEqual(twin.peerId, alice.peerId)
  assert.notEqual(twin.basePath, alice.basePath)
  const taken = network.nodes.flatMap((n) => [n.rpcPort, n.p2pPort, n.prometheusPort])
  for (const port of [twin.rpcPort, twin.p2pPort, twin.prometheusPort]) assert.ok(!taken.includes(port))
  for (const other of network.nodes) assert.ok(twin.args.includes(other.address))
})

test('arguments should be read in zombienet spelling', () => {
  const text = `[relaychain]\nchain = "local"\n${node('a', 5000, 'args = ["-lsync=debug", "--pruning=archive", "--tags=[x, y]", "-:--validator", "--port=7"]')}`
  const [{ own }] = readNetwork(written(text)).nodes
  assert.deepEqual(own, ['-lsync=debug', '--pruning', 'archive', '--tags', 'x', 'y'])
})

const refused = {
  'a file that is not there': ['/nowhere/network.toml', /cannot read the network file \/nowhere/],
  'a file that is not TOML': [written('[relaychain'), /cannot read the network file/],
  'no chain': [written('[settings]\ntimeout = 1\n'), /no \[relaychain\]/],
  'parachains': [written(`[relaychain]\nchain = "x"\n${node('a', 5000)}[[parachains]]\nid = 1\n`), /has parachains/],
  'a chain without a name': [written(`[relaychain]\n${node('a', 5000)}`), /names no chain/],
  'no nodes': [written('[relaychain]\nchain = "x"\n'), /names no node/],
  'one port twice': [written(`[relaychain]\nchain = "x"\n${node('a', 5000)}${node('b', 5002)}`), /5002 is used by a and by b/],
  'one name twice': [written(`[relaychain]\nchain = "x"\n${node('a', 5000)}${node('a', 5010)}`), /a is used by a/],
  'a name that is a path': [written(`[relaychain]\nchain = "x"\n${node('../a', 5000)}`), /name is "\.\.\/a"/],
  'a port out of range': [written(`[relaychain]\nchain = "x"\n${node('a', 70000)}`), /rpc_port is 70000/],
}
for (const [what, [path, message]] of Object.entries(refused))
  test(`reading should refuse ${what}, in one line`, () => {
    assert.throws(() => readNetwork(path), (error) => message.test(error.message) && !error.message.includes('\n'))
  })

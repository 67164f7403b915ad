// Files both ways between a worker's content exchange and helia: `make helia`.
//
// helia dials the worker over TCP, with noise and yamux, and reads a file from it by bitswap; then it takes a file in
// itself, and the worker fetches that from helia. Nothing else of the network is used.
import assert from 'node:assert/strict'
import { spawn, execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp, writeFile, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { bitswap } from '@helia/block-brokers'
import { unixfs } from '@helia/unixfs'
import { Helia } from '@helia/utils'
import { identify } from '@libp2p/identify'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { MemoryBlockstore } from 'blockstore-core'
import { MemoryDatastore } from 'datastore-core'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'

// What helia's packages take from Node 22.
Promise.withResolvers ??= function withResolvers() {
  const all = {}
  all.promise = new this((resolve, reject) => Object.assign(all, { resolve, reject }))
  return all
}

const worker = process.argv[2]
const dir = await mkdtemp(join(tmpdir(), 'openledger-helia-'))
const run = async (...words) => JSON.parse((await promisify(execFile)(worker, ['content', ...words, '--json'], { timeout: 60_000 })).stdout)

/** A file of this many bytes, each block of it different. */
const bytes = (count, salt) => Uint8Array.from({ length: count }, (_, at) => (at * 31 + (at >> 12) + salt) & 0xff)

let server, libp2p, helia
// However this ends, no server stays: an error that nobody awaits, and a signal, pass by every finally.
process.on('exit', () => {
  server?.kill()
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
})
for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))
try {
  // Over one leaf: a tree, with a last leaf of its own size.
  const ours = bytes(3 * 1048576 + 12345, 1)
  await writeFile(join(dir, 'ours'), ours)
  const added = await run('add', '--data', join(dir, 'a'), join(dir, 'ours'))
  server = spawn(worker, ['content', 'serve', '--data', join(dir, 'a'), '--listen', '127.0.0.1:0', '--json'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(server, 'exit').then(([code]) => { throw new Error(`the worker's server ended with ${code} before it listened`) })
  const [line] = await Promise.race([once(server.stdout, 'data'), ended])
  const address = JSON.parse(line).addresses.find((address) => address.includes('/tcp/'))

  // As `createHelia` of the package helia composes it, without the transports and routers that need the world.
  const datastore = new MemoryDatastore()
  libp2p = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() }
  })
  helia = new Helia({ datastore, blockstore: new MemoryBlockstore(), libp2p, blockBrokers: [bitswap()], routers: [] })
  await helia.start()
  const fs = unixfs(helia)
  await libp2p.dial(multiaddr(address))
  const parts = []
  for await (const part of fs.cat(CID.parse(added.cid), { signal: AbortSignal.timeout(60_000) })) parts.push(part)
  assert.ok(Buffer.concat(parts).equals(ours), 'helia read other bytes')
  console.log(`helia read ${ours.length} bytes, ${added.cid}, from ${address}`)

  const theirs = bytes(2 * 1048576 + 54321, 2)
  const cid = await fs.addBytes(theirs)
  const at = libp2p.getMultiaddrs()[0].toString()
  const got = await run('get', '--data', join(dir, 'b'), cid.toString(), '--out', join(dir, 'theirs'), '--peer', at)
  assert.ok(Buffer.from(theirs).equals(await readFile(join(dir, 'theirs'))), 'we read other bytes')
  assert.equal(got.here_blocks, 0)
  console.log(`we read ${got.bytes} bytes in ${got.fetched_blocks} blocks, ${cid}, from ${at}`)

  // Each gives the other's file the name that it has already.
  await writeFile(join(dir, 'again'), theirs)
  const again = await run('add', '--data', join(dir, 'c'), join(dir, 'again'))
  assert.equal(again.cid, cid.toString())
  assert.equal((await fs.addBytes(ours)).toString(), added.cid)
  console.log('both give the same files the same CIDs')
} finally {
  server?.kill()
  await (helia ?? libp2p)?.stop()
}

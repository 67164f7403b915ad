// A transaction that names the digest of the metadata its signer saw: the right one is taken, another refused.
//   node metadata-hash.mjs RUNTIME.wasm DIGEST      (`make metadata-hash` builds the one and computes the other)
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startNode } from './lib/node.mjs'
import { nodeBinary } from './lib/paths.mjs'
import { run } from './lib/run.mjs'
import { connect, natives, send } from './lib/substrate.mjs'

const [wasm, digest] = process.argv.slice(2)
if (!wasm || !/^0x[0-9a-f]{64}$/.test(digest ?? '')) {
  console.error('say which wasm and which digest: node metadata-hash.mjs RUNTIME.wasm 0x…')
  process.exit(2)
}
const folder = await mkdtemp(join(tmpdir(), 'openledger-metadata-hash-'))
let chain
try {
  // The development chain with this code instead of the node's.
  // As text: JavaScript's numbers would round the balances in it.
  const spec = await run(nodeBinary(), ['export-chain-spec', '--chain', 'dev'])
  const code = `"code": "0x${(await readFile(wasm)).toString('hex')}"`
  const file = join(folder, 'spec.json')
  await writeFile(file, spec.replace(/"code": "0x[0-9a-f]+"/, code))
  chain = await startNode({ args: ['--chain', file] })
  const api = await connect(chain)
  const transfer = (metadataHash) =>
    send(api, api.tx.balances.transferKeepAlive(natives.bob.address, 1n), natives.alice, { mode: 1, metadataHash })

  const { blockNumber } = await transfer(digest)
  console.log(`signed with ${digest}: in block ${blockNumber}`)
  const other = digest.replace(/.$/, (last) => (last === '0' ? '1' : '0'))
  const refusal = await transfer(other).then(
    () => undefined,
    (error) => error.message,
  )
  if (!refusal?.includes('bad signature')) throw new Error(`signed with ${other}: ${refusal ?? 'taken'}`)
  console.log(`signed with ${other}: ${refusal}`)
} finally {
  await chain?.stop()
  await rm(folder, { recursive: true, force: true })
}

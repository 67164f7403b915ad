// One deploy flow of Hardhat 2: compile with npm's solc, deploy with a local key, read back with another client.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { ethAccounts } from './lib/accounts.mjs'
import { session } from './lib/evm.mjs'
import { useNode } from './lib/node.mjs'
import { packageDir } from './lib/paths.mjs'
import { run } from './lib/run.mjs'
import { artifact } from './lib/solc.mjs'

const chain = await useNode()
const { charleth } = ethAccounts
const { reader, at } = session(chain, charleth)
const cli = createRequire(import.meta.url).resolve('hardhat/internal/cli/bootstrap')

const hardhat = (...args) =>
  run(process.execPath, [cli, ...args], {
    cwd: join(packageDir, 'hardhat'),
    env: {
      RPC_URL: chain.ethUrl,
      PRIVATE_KEY: charleth.key,
      HARDHAT_DISABLE_TELEMETRY_PROMPT: 'true',
      NO_COLOR: '1',
    },
    timeoutMs: 180_000,
  })

test('compiles, deploys two contracts and uses them', async () => {
  await hardhat('compile', '--quiet')
  const printed = await hardhat('run', '--no-compile', 'scripts/deploy.cjs')
  const { deployer, token, jar, tipBlock } = JSON.parse(printed.split('\n').at(-1))
  assert.equal(deployer, charleth.address)

  const onChainToken = at(artifact('SampleToken').abi, token)
  const onChainJar = at(artifact('TipJar').abi, jar)
  assert.equal(await onChainToken.read.totalSupply(), 10n ** 21n)
  assert.equal(await onChainToken.read.balanceOf([jar]), 8n)
  assert.equal(await onChainJar.read.total(), 34n)
  assert.equal(await reader.getBalance({ address: jar }), 34n)
  const [tip] = await onChainJar.getEvents.Tipped({}, { fromBlock: BigInt(tipBlock), toBlock: BigInt(tipBlock) })
  assert.equal(tip.args.note, 'from hardhat')
})

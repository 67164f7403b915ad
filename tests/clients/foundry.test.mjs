// One deploy flow of Foundry: forge test, forge create, forge script, against npm's compiler and without a download.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { ethAccounts } from './lib/accounts.mjs'
import { session } from './lib/evm.mjs'
import { useNode } from './lib/node.mjs'
import { foundryBinary, packageDir } from './lib/paths.mjs'
import { run } from './lib/run.mjs'
import { artifact } from './lib/solc.mjs'

const chain = await useNode()
const { baltathar } = ethAccounts
const { reader, at } = session(chain, baltathar)

const forge = (...args) =>
  run(foundryBinary('forge'), args, {
    cwd: join(packageDir, 'foundry'),
    env: { NO_COLOR: '1', FOUNDRY_DISABLE_NIGHTLY_WARNING: '1' },
    timeoutMs: 180_000,
  })
const onChain = ['--rpc-url', chain.ethUrl, '--private-key', baltathar.key, '--broadcast']

test("forge test runs the jar's tests", async () => {
  const { 'test/TipJar.t.sol:TipJarTest': suite } = JSON.parse(await forge('test', '--json'))
  const results = Object.values(suite.test_results)
  assert.ok(results.length >= 4)
  for (const { status } of results) assert.equal(status, 'Success')
})

test('forge create deploys one contract', async () => {
  const created = JSON.parse(
    await forge(
      'create',
      '../../../contracts/examples/TipJar.sol:TipJar',
      ...onChain,
      '--json',
      '--constructor-args',
      baltathar.address,
    ),
  )
  assert.equal(created.deployer.toLowerCase(), baltathar.address.toLowerCase())
  const jar = at(artifact('TipJar').abi, created.deployedTo)
  assert.equal(await jar.read.owner(), baltathar.address)
})

test('forge script deploys two contracts and calls them', async () => {
  // The chain's gas is not Ethereum's: let the chain, not forge's own EVM, estimate each transaction.
  const printed = await forge('script', 'script/Deploy.s.sol', ...onChain, '--skip-simulation', '--slow', '--json')
  const run = printed
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .find((line) => line.returns)
  const [token, jar] = [run.returns.token.value, run.returns.jar.value]
  const onChainToken = at(artifact('SampleToken').abi, token)
  const onChainJar = at(artifact('TipJar').abi, jar)
  assert.equal(await onChainToken.read.balanceOf([jar]), 5n)
  assert.equal(await onChainJar.read.total(), 21n)
  assert.equal(await onChainJar.read.givenBy([baltathar.address]), 21n)
  assert.equal(await reader.getBalance({ address: jar }), 21n)
})

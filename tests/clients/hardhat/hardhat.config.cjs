// The smallest Hardhat project: the repository's example contracts, npm's compiler instead of a downloaded one.
// The chain under test and the key come from the environment, as in any deployment.
const { join } = require('node:path')
const { subtask } = require('hardhat/config')
const { TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD } = require('hardhat/builtin-tasks/task-names')

const cache = join(__dirname, '..', 'node_modules', '.cache', 'openledger', 'hardhat')

subtask(TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD, async ({ solcVersion }, hre, runSuper) => {
  const { version } = require('solc/package.json')
  if (solcVersion !== version) return runSuper()
  return {
    compilerPath: require.resolve('solc/soljson.js'),
    isSolcJs: true,
    version,
    longVersion: require('solc')
      .version()
      .replace(/\.Emscripten.*$/, ''),
  }
})

module.exports = {
  // Prague is what solc 0.8.30 itself takes; Hardhat 2 would step back to Paris, too old for OpenZeppelin's contracts.
  solidity: { version: '0.8.30', settings: { evmVersion: 'prague', optimizer: { enabled: true, runs: 200 } } },
  defaultNetwork: 'openledger',
  networks: {
    openledger: {
      url: process.env.RPC_URL || 'http://127.0.0.1:8545',
      chainId: 161299,
      accounts: process.env.PRIVATE_KEY ? [process.env.PRIVATE_KEY] : [],
    },
  },
  paths: { sources: './contracts', cache: join(cache, 'cache'), artifacts: join(cache, 'artifacts') },
}

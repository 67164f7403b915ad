// Where things lie, relative to this package, and which binaries the tests drive.
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)

/** `tests/clients`. */
export const packageDir = resolve(dirname(fileURLToPath(import.meta.url)), '..')
/** The repository's root. */
export const repoDir = resolve(packageDir, '..', '..')
/** The example contracts. */
export const contractsDir = join(repoDir, 'contracts', 'examples')
/** Build outputs of this package (compiled contracts, Foundry's and Hardhat's folders): never in git. */
export const cacheDir = join(packageDir, 'node_modules', '.cache', 'openledger')

/** The node binary under test: `OPENLEDGER_NODE`, or the release build in the shared target folder. */
export function nodeBinary() {
  const target = process.env.CARGO_TARGET_DIR || join(homedir(), '.cache', 'openledger', 'target')
  return process.env.OPENLEDGER_NODE || join(target, 'release', 'openledger-node')
}

/**
 * Path of a Foundry program (`anvil`, `cast` or `forge`) inside its npm package. The package's own launcher is
 * skipped: it stays between the test and the program, and signals would have to pass through it.
 */
export function foundryBinary(tool) {
  const platform = `@foundry-rs/${tool}-${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`
  try {
    return join(dirname(require.resolve(`${platform}/package.json`)), 'bin', tool)
  } catch {
    throw new Error(`${tool}: package ${platform} is not installed; run \`npm ci --ignore-scripts\` in tests/clients`)
  }
}

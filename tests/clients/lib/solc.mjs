// Compiles contracts/examples with npm's solc, default settings, and reads published artifacts.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { cacheDir, contractsDir, packageDir } from './paths.mjs'

const require = createRequire(import.meta.url)

/** Reads an import of a Solidity file out of node_modules, for solc's import callback. */
export function findImport(path) {
  const file = join(packageDir, 'node_modules', path)
  return existsSync(file) ? { contents: readFileSync(file, 'utf8') } : { error: `${path} is not in node_modules` }
}

let artifacts

/**
 * ABI and creation bytecode of a contract of contracts/examples.
 *
 * The whole folder is compiled once and kept by the hash of its sources; the first call takes some seconds.
 *
 * @returns {{ abi: object[], bytecode: `0x${string}` }}
 */
export function artifact(name) {
  artifacts ??= compileAll()
  const found = artifacts[name]
  if (!found) throw new Error(`contracts/examples has no contract ${name}; it has ${Object.keys(artifacts).join(', ')}`)
  return found
}

function compileAll() {
  const files = readdirSync(contractsDir).filter((file) => file.endsWith('.sol'))
  const sources = Object.fromEntries(
    files.map((file) => [file, { content: readFileSync(join(contractsDir, file), 'utf8') }]),
  )
  const input = {
    language: 'Solidity',
    sources,
    settings: {
      optimizer: { enabled: true, runs: 200 },
      outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
    },
  }
  const versions = ['solc', '@openzeppelin/contracts'].map((name) => require(`${name}/package.json`).version)
  const key = createHash('sha256')
    .update(JSON.stringify([input, versions]))
    .digest('hex')
    .slice(0, 16)
  const cached = join(cacheDir, `solc-${key}.json`)
  if (existsSync(cached)) return JSON.parse(readFileSync(cached, 'utf8'))

  const solc = require('solc')
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }))
  const errors = (output.errors ?? []).filter((entry) => entry.severity === 'error')
  if (errors.length) throw new Error(errors.map((entry) => entry.formattedMessage).join('\n'))
  const result = {}
  for (const file of files)
    for (const [name, contract] of Object.entries(output.contracts[file]))
      result[name] = { abi: contract.abi, bytecode: `0x${contract.evm.bytecode.object}` }
  mkdirSync(cacheDir, { recursive: true })
  // Written aside and renamed, so that a second process never reads half a file.
  writeFileSync(`${cached}.${process.pid}`, JSON.stringify(result))
  renameSync(`${cached}.${process.pid}`, cached)
  return result
}

const published = {
  UniswapV2Factory: '@uniswap/v2-core/build/UniswapV2Factory.json',
  UniswapV2Pair: '@uniswap/v2-core/build/UniswapV2Pair.json',
  WETH9: 'canonical-weth/build/contracts/WETH9.json',
}

/** ABI and creation bytecode as their authors published them on npm: built with compilers of 2017 to 2020. */
export function publishedArtifact(name) {
  const { abi, bytecode } = JSON.parse(readFileSync(join(packageDir, 'node_modules', published[name]), 'utf8'))
  return { abi, bytecode: bytecode.startsWith('0x') ? bytecode : `0x${bytecode}` }
}

#!/usr/bin/env node
// The part of the native compiler's command line that Foundry uses, on top of npm's solc: Foundry wants an executable,
// and the package has only JavaScript. Understands `--version` and `--standard-json` (input on stdin).
const { existsSync, readFileSync } = require('node:fs')
const { join } = require('node:path')
const solc = require('solc')

const args = process.argv.slice(2)
if (args.includes('--version')) {
  console.log('solc, the solidity compiler commandline interface')
  console.log(`Version: ${solc.version().replace(/\.Emscripten.*$/, '.Linux.g++')}`)
} else if (args.includes('--standard-json')) {
  const roots = ['.', join(__dirname, '..', 'node_modules')]
  for (const flag of ['--base-path', '--include-path'])
    args.forEach((arg, at) => arg === flag && roots.unshift(args[at + 1]))
  const find = (path) => {
    const file = [path, ...roots.map((root) => join(root, path))].find((candidate) => existsSync(candidate))
    return file ? { contents: readFileSync(file, 'utf8') } : { error: `${path} not found` }
  }
  process.stdout.write(solc.compile(readFileSync(0, 'utf8'), { import: find }))
} else {
  console.error(`solc: this wrapper knows --version and --standard-json, not: ${args.join(' ')}`)
  process.exit(2)
}

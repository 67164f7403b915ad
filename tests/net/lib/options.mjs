// What can be said on the command line.
import { parseArgs } from 'node:util'
import { join } from 'node:path'
import { repoDir } from './network.mjs'

/** Every flag: its default and what it means. A scenario ignores those it has no use for. */
export const FLAGS = {
  'network': { value: join(repoDir, 'zombienet', 'network.toml'), help: 'network file' },
  'dir': { value: join(repoDir, '.net'), help: 'folder for databases and logs' },
  'port-offset': { value: 0, help: 'added to every port of the file' },
  'keep': { value: false, help: 'continue on the databases of the last run' },
  'timeout': { value: 240, help: 'seconds to wait for any single thing before giving up' },
  'sample-ms': { value: 1000, help: 'milliseconds between two looks at every node' },
  'patience': { value: 20, help: 'seconds a node has to end when asked, before it is killed' },
  'slots': { value: null, help: 'length of the measurement in slots' },
  'watch-slots': { value: null, help: 'how long to watch after each kill, in slots' },
  'seed': { value: null, help: 'chooses which validators are killed; printed, random unless given' },
  'min-filled': { value: 97, help: 'promise: percent of slots that carry a block' },
  'max-lag-median': { value: 4, help: 'promise: finality lag in blocks, median' },
  'max-lag-p99': { value: 8, help: 'promise: finality lag in blocks, 99th percentile' },
  'max-standstill-slots': { value: 30, help: 'promise: longest pause of finality across an upgrade, in slots' },
  'wasm': { value: process.env.UPGRADE_WASM ?? '', help: 'runtime to upgrade to (UPGRADE_WASM)' },
  'json': { value: '', help: 'also write the figures to this file' },
}

/**
 * Flags and scenario of a command line.
 *
 * @param {string[]} argv without program and script
 * @param {object} defaults a scenario's own values of flags, by name in camel case, where it asks for other ones
 * @returns {{ scenario: string, options: object }} options by flag name in camel case, numbers as numbers
 */
export function readOptions(argv, defaults = {}) {
  const options = Object.fromEntries(
    Object.entries(FLAGS).map(([name, { value }]) => [name, { type: value === false ? 'boolean' : 'string' }]),
  )
  const { values, positionals } = parseArgs({ args: argv, options: { ...options, help: { type: 'boolean', short: 'h' } }, allowPositionals: true })
  if (positionals.length > 1) throw new Error(`give one scenario, not ${positionals.join(' and ')}`)
  const read = { help: values.help ?? false }
  for (const [name, { value }] of Object.entries(FLAGS)) {
    const text = values[name]
    const key = name.replace(/-./g, (part) => part[1].toUpperCase())
    const isNumber = typeof value === 'number' || value === null
    read[key] = text === undefined ? (defaults[key] ?? value) : isNumber ? Number(text) : text
    if (isNumber && text !== undefined && !(Number.isFinite(read[key]) && read[key] >= 0))
      throw new Error(`--${name} is "${text}"; give a number, zero or more`)
  }
  return { scenario: positionals[0] ?? 'up', options: read }
}

/** Small seeded generator (mulberry32): the same seed chooses the same victims. */
export function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** `count` different elements, chosen by `next`. */
export function choose(list, count, next) {
  const left = [...list]
  return Array.from({ length: count }, () => left.splice(Math.floor(next() * left.length), 1)[0])
}

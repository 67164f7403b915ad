#!/usr/bin/env node
// Runs a scenario on a network of openledger-node processes: node tests/net/run.mjs [scenario] [flags].
import { randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { nodeBinary, readNetwork, shown } from './lib/network.mjs'
import { choose, FLAGS, random, readOptions } from './lib/options.mjs'
import { Processes, stopLeftovers } from './lib/processes.mjs'
import { Run } from './lib/run.mjs'

const SCENARIOS = ['up', 'smoke', 'steady', 'faults', 'upgrade', 'equivocation', 'lies']

async function usage() {
  console.log('usage: scripts/net.sh [scenario] [flags]\n\nscenarios:')
  for (const name of SCENARIOS) console.log(`  ${name.padEnd(14)}${(await import(`./scenarios/${name}.mjs`)).about}`)
  console.log(`  ${'stop'.padEnd(14)}end what an earlier run left behind\n\nflags:`)
  for (const [name, { value, help }] of Object.entries(FLAGS)) {
    const shownValue = value === null || value === '' || value === false ? '' : ` (${typeof value === 'string' ? shown(value) : value})`
    console.log(`  --${name.padEnd(22)}${help}${shownValue}`)
  }
}

async function main() {
  const argv = process.argv.slice(2)
  const { scenario, options: common } = readOptions(argv)
  if (common.help) return usage()
  if (scenario === 'stop') {
    const names = await stopLeftovers(common.dir, common.patience * 1000)
    console.log(names.length ? `ended ${names.join(', ')}` : `nothing runs in ${shown(common.dir)}`)
    return
  }
  if (!SCENARIOS.includes(scenario)) throw new Error(`there is no scenario "${scenario}"; there are ${SCENARIOS.join(', ')} and stop`)
  const { play, endless = false, defaults } = await import(`./scenarios/${scenario}.mjs`)
  const { options } = readOptions(argv, defaults)

  const network = readNetwork(options.network, { dir: options.dir, portOffset: options.portOffset, command: nodeBinary() })
  const seed = options.seed ?? randomInt(2 ** 31)
  const next = random(seed)
  const processes = new Processes(network)
  const stopped = new AbortController()
  const run = new Run({ network, processes, options, stopped: stopped.signal })
  run.choose = (count) => choose(network.nodes.map((node) => node.name), count, next)
  console.log(`${scenario}: ${new Date().toISOString()}, seed ${seed}`)

  const interrupted = new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
      process.on(signal, () => {
        stopped.abort()
        reject(new Error(`interrupted by ${signal}`))
      })
  })

  let failure = null
  let version = null
  try {
    await Promise.race([play(run, stopped.signal), interrupted])
    version = await run.version().catch(() => null)
    if (!endless) run.promiseNoCrash()
  } catch (error) {
    // Ctrl-C is how the endless scenario is meant to end.
    if (!(endless && stopped.signal.aborted)) failure = error
  }
  await run.monitor.stop()
  const wrong = await processes.stopAll(options.patience * 1000)
  if (endless) {
    if (failure) throw failure
    console.log(wrong.length ? `ended badly: ${wrong.join(', ')}` : 'all nodes ended')
    return
  }
  if (!failure) run.promises.check('nodes that did not end well when asked', wrong.join(', ') || '0', '0', wrong.length === 0)
  report(scenario, seed, run, version, failure, options)
}

function report(scenario, seed, run, version, failure, options) {
  const { rows, broken } = run.promises
  if (rows.length) console.log(`\n${run.promises}`)
  const took = Math.round((Date.now() - run.begin) / 1000)
  console.log(`\n${scenario}: ${took} s, seed ${seed}${version ? `, ${version}` : ''}`)
  if (options.json) {
    const figures = { scenario, seed, seconds: took, version, failure: failure?.message ?? null, rows }
    writeFileSync(options.json, `${JSON.stringify(figures, null, 2)}\n`)
  }
  if (failure) throw failure
  if (broken.length) throw new Error(`${broken.length} promise${broken.length > 1 ? 's' : ''} broken: ${broken.map((row) => row.what).join('; ')}`)
}

// A reader that goes away (a pager, head) ends the run as Ctrl-C would.
process.stdout.on('error', () => process.emit('SIGTERM', 'SIGTERM'))

// A scenario that was interrupted may still hold connections: end now, all nodes are stopped.
main().then(
  () => process.exit(0),
  (error) => {
    console.error(`net: ${error.message}`)
    process.exit(1)
  },
)

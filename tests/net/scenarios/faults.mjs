// What a network of four must survive and what it must not pretend to: one dead, two dead, all back.

export const about = 'one killed with -9: finality goes on; two killed: finality stops; recovery'

export async function play(run) {
  const { options } = run
  const watch = options.watchSlots ?? 30
  await run.up()

  const [first] = run.choose(1)
  await run.killOne(first, watch)
  await run.restart(first)

  const pair = run.choose(2)
  await killTwo(run, pair, watch)
  await recover(run, pair)
}

/** Two of four hold no supermajority: blocks go on, finality must not. */
async function killTwo(run, pair, watch) {
  const survivors = run.running.filter((name) => !pair.includes(name))
  for (const name of pair) await run.processes.kill(name)
  // Votes that were on their way may still finalise what was voted on.
  await run.slots(5)
  const finalized = run.monitor.now(survivors).map((sample) => sample.finalized)
  const best = run.monitor.best(survivors)
  run.say(`killed ${pair.join(' and ')} with -9; finalised stays at ${Math.max(...finalized)}, best is ${best}`)
  await run.slots(watch)
  const samples = run.monitor.now(survivors)
  const answered = samples.length === survivors.length
  const moved = answered ? Math.max(...samples.map((sample, i) => sample.finalized - finalized[i])) : NaN
  const grown = run.monitor.best(survivors) - best
  run.promises.check(`two dead: blocks finalised in ${watch} slots`, moved, '0', moved === 0)
  run.promises.check(`two dead: blocks made in ${watch} slots`, grown, '>= 1', grown >= 1)
}

/** Both back: all four finalise what was made in between and go on together. */
async function recover(run, pair) {
  const goal = run.monitor.best(run.running)
  const from = Date.now()
  for (const name of pair) run.processes.start(name)
  run.say(`started ${pair.join(' and ')} again; best block is ${goal}`)
  await run.until(`all to finalise beyond block ${goal}`, () => run.monitor.finalized(run.names) > goal)
  run.promises.check('both back: beyond the old best block, finalised, after', `${((Date.now() - from) / 1000).toFixed(0)} s`, 'recovers', true)
  const { maxLagP99 } = run.options
  await run.until('finality to be level again', () => run.monitor.now(run.names).every((sample) => sample.lag <= maxLagP99))
  const lag = Math.max(...run.monitor.now(run.names).map((sample) => sample.lag))
  run.promises.check('both back: finality lag', `${lag} blocks`, `<= ${maxLagP99}`, lag <= maxLagP99)
}

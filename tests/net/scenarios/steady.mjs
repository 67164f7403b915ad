// Nothing happens for ten minutes, and that is measured.

export const about = 'slots filled and finality lag over 300 slots (10 minutes), nobody disturbed'

export async function play(run) {
  const { options } = run
  const took = await run.up()
  run.promises.note('start to finality on all nodes', `${(took / 1000).toFixed(1)} s`)
  const slots = options.slots ?? 300
  run.say(`measuring over ${slots} slots`)
  await run.measure(slots)
}

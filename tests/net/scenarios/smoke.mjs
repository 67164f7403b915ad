// Four up, finality, lag, full slots; one killed and back. Made for CI.

export const about = 'four up; slots and finality over 40 slots; one killed with -9 and back (CI, about 3 minutes)'

/**
 * Four validators share a machine here with whatever else runs on it, and a slot it comes late to stays empty: what is
 * promised is what a broken node would miss (a validator that never authors costs a fifth of the slots). The real
 * promises are `steady`'s, on a quiet machine.
 */
export const defaults = { minFilled: 75, maxLagMedian: 6, maxLagP99: 12, watchSlots: 20 }

export async function play(run) {
  const { options, promises } = run
  const took = await run.up()
  promises.note('start to finality on all nodes', `${(took / 1000).toFixed(1)} s`)
  await run.measure(options.slots ?? 40)
  await promiseMetrics(run)
  const [victim] = run.choose(1)
  await run.killOne(victim, options.watchSlots)
  await run.restart(victim)
}

/** Every node's Prometheus page tells of a block height. */
async function promiseMetrics({ processes, promises }) {
  const told = await Promise.all(
    processes.nodes.map(async ({ spec }) => {
      try {
        const page = await (await fetch(spec.metricsUrl, { signal: AbortSignal.timeout(5_000) })).text()
        return /^substrate_block_height\{.*status="finalized".*\} [1-9]/m.test(page)
      } catch {
        return false
      }
    }),
  )
  const good = told.filter(Boolean).length
  promises.check('nodes whose metrics tell the finalised height', good, `${told.length}`, good === told.length)
}

// Starts the network and shows how it stands until Ctrl-C.
import { setTimeout as sleep } from 'node:timers/promises'
import { countSlots, Epochs, headers, height } from '../lib/babe.mjs'
import { stashes } from '../lib/chain.mjs'
import { percent, table } from '../lib/report.mjs'
import { call } from '../lib/rpc.mjs'

export const about = 'start the network and show its state until Ctrl-C (the default)'
export const endless = true

// Blocks the slot figures look back on.
const WINDOW = 150

export async function play(run, stopped) {
  await run.up()
  for (const { name, spec } of run.processes.nodes)
    run.say(`${name}: process ${run.processes.get(name).pid}, RPC ${spec.wsUrl}, metrics ${spec.metricsUrl}`)
  const live = process.stdout.isTTY
  const view = new Slots(run)
  let drawn = 0
  while (!stopped.aborted) {
    const text = await draw(run, view)
    // On a terminal the table is drawn over itself; in a file each one stays.
    process.stdout.write(`${live && drawn ? `\x1b[${drawn}A\x1b[J` : ''}${text}\n`)
    drawn = text.split('\n').length
    await sleep(live ? 1_000 : 30_000, undefined, { signal: stopped }).catch(() => {})
  }
}

/** The newest blocks, kept from one drawing to the next. */
class Slots {
  headers = []
  epochs = new Epochs()

  constructor(run) {
    this.run = run
    this.names = new Map()
    // BABE's key and the stash are the same seed and scheme in the preset `local`.
    for (const [name, pair] of Object.entries(stashes(run.names)))
      this.names.set(`0x${Buffer.from(pair.publicKey).toString('hex')}`, name)
  }

  async update() {
    const url = this.run.url()
    await this.epochs.note(url)
    const best = height(await call(url, 'chain_getHeader'))
    // The newest blocks may yet be replaced by another fork's.
    const from = Math.max(1, best - WINDOW, ...this.headers.slice(-10, -9).map(height))
    const fresh = await headers(url, from, best)
    this.headers = [...this.headers.filter((header) => height(header) < from), ...fresh].slice(-WINDOW)
    const finished = Math.floor(Date.now() / this.run.config.slotMs) - 1
    return countSlots(this.headers, finished, (mark) => this.epochs.author(mark))
  }
}

async function draw(run, view) {
  let slots = null
  let trouble = ''
  try {
    slots = await view.update()
  } catch (error) {
    // Most likely a fork replaced what was kept: read it all again.
    view.headers = []
    trouble = error.message
  }
  const authored = new Map([...(slots?.authored ?? [])].map(([key, count]) => [view.names.get(key) ?? key, count]))
  const rows = run.processes.nodes.map((node) => {
    const sample = run.monitor.latest.get(node.name)
    const status = !node.running ? `ended: ${node.exit}` : !sample ? 'silent' : sample.peers === 0 ? 'alone' : 'ok'
    return [node.name, node.pid, sample?.best, sample?.finalized, sample?.lag, sample?.peers, authored.get(node.name) ?? 0, status]
  })
  const lines = ['', table(['node', 'process', 'best', 'finalised', 'lag', 'peers', 'authored', 'state'], rows)]
  const up = `${Math.round((Date.now() - run.begin) / 1000)} s up`
  if (slots) lines.push(`slots filled ${percent(slots.filled)} of the last ${slots.slots}; ${up}; Ctrl-C ends the network`)
  else lines.push(`no figures now: ${trouble}; ${up}; Ctrl-C ends the network`)
  return lines.join('\n')
}

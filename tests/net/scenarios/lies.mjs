// Every kind of lie on a network: tests/lies/play.mjs, the liar paired with the first validator.
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { repoDir } from '../lib/network.mjs'

export const about = 'every kind of lie of the dispute table told by a worker, caught by a watcher; eight light workers (about half an hour)'

export async function play(run) {
  const [first] = run.network.nodes
  Object.assign(process.env, { CI: '1', RPC_PORT: String(first.rpcPort), DEMO_DIR: process.env.DEMO_DIR ?? '.net-lies' })
  const { home, stop } = await import(join(repoDir, 'tests/demo/lib.mjs'))
  const lies = await import(join(repoDir, 'tests/lies/play.mjs'))
  rmSync(home, { recursive: true, force: true })
  mkdirSync(join(home, 'keys'), { recursive: true })
  const liar = lies.prepare()
  first.args.push('--worker', liar.url, '--worker-secret-file', liar.secret)
  await run.up()
  const words = process.env.LIES?.split(' ') ?? ['copy', ...lies.table().keys()]
  try {
    const told = await lies.play({ account: liar.account, words, honest: 7, seconds: 240 })
    run.promises.check('lies told and caught', `${words.length}`, `${words.length}`, true)
    run.promises.note('of batches, indexes, draws', JSON.stringify(told))
  } finally {
    await stop()
  }
}

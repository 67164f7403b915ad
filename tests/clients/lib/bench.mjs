// What both throughput scripts share.
import { cpus, totalmem } from 'node:os'

/** Runs `work(item)` over all items with at most `width` at a time; the first failure ends it. */
export async function inParallel(items, width, work) {
  let next = 0
  const worker = async () => {
    while (next < items.length) await work(items[next++])
  }
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker))
}

/** One line about the machine, so that a table says where it was made. */
export function machine() {
  const processors = cpus()
  const gib = (totalmem() / 2 ** 30).toFixed(0)
  return `${processors.length} × ${processors[0].model.trim()}, ${gib} GiB memory, Node ${process.version}`
}

/** A positive integer from the environment. */
export function count(variable, standard) {
  const number = Number(process.env[variable] ?? standard)
  if (!Number.isInteger(number) || number < 1)
    throw new Error(`${variable} is "${process.env[variable]}"; it must be a whole number from 1`)
  return number
}

/** Prints rows of equal shape as a table, and the ratio of each row's rate to the last row's. */
export function report(title, rows) {
  console.log(`\n${title}`)
  console.table(
    rows.map(({ name, transfers, seconds, blocks }) => ({
      chain: name,
      transfers,
      seconds: seconds.toFixed(2),
      'per second': (transfers / seconds).toFixed(1),
      blocks,
    })),
  )
  const rate = ({ transfers, seconds }) => transfers / seconds
  const last = rows.at(-1)
  for (const row of rows.slice(0, -1))
    console.log(
      `${row.name} does ${(rate(row) / rate(last)).toFixed(3)} times the transfers per second of ${last.name}`,
    )
}

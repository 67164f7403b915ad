// Runs a command-line client and gives back what it printed.
import { spawn } from 'node:child_process'
import { basename } from 'node:path'

/**
 * Runs a program to its end.
 *
 * @returns {Promise<string>} its standard output, trimmed; throws with both outputs when it fails or takes too long
 */
export function run(program, args, { cwd, env = {}, timeoutMs = 120_000, input } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args.map(String), { cwd, env: { ...process.env, ...env }, timeout: timeoutMs })
    const out = []
    const err = []
    child.stdout.on('data', (chunk) => out.push(chunk))
    child.stderr.on('data', (chunk) => err.push(chunk))
    child.once('error', reject)
    child.once('close', (code, signal) => {
      const [stdout, stderr] = [out, err].map((chunks) => Buffer.concat(chunks).toString())
      if (code === 0) return resolve(stdout.trim())
      const ended = signal ? `was ended by ${signal} (limit ${timeoutMs / 1000} s)` : `exited with ${code}`
      const words = args.map((arg) => (String(arg).length > 100 ? `${String(arg).slice(0, 40)}…` : arg))
      const error = new Error(`${basename(program)} ${words.join(' ')} ${ended}\n${stdout}${stderr}`)
      reject(Object.assign(error, { stdout, stderr, code }))
    })
    child.stdin.end(input ?? '')
  })
}

// OpenAI's SDKs in JavaScript and Python, x402, schemathesis and paying consumers, against one worker and one development node.
// Names as arguments run only those: node run.mjs javascript python x402 schemathesis load
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { begin, root } from './world.mjs'
import { openai } from './openai.mjs'
import { x402 } from './x402.mjs'

const venv = process.env.OPENLEDGER_SDK_VENV
const target = process.env.CARGO_TARGET_DIR ?? join(process.env.HOME, '.cache/openledger/target')

/** Runs a program to its end and gives what it printed; fails if it fails. */
function run(program, args, env = {}, cwd = join(root, 'tests/sdk')) {
  return new Promise((done, fail) => {
    const child = spawn(program, args, { env: { ...process.env, ...env }, cwd })
    let out = ''
    child.stdout.on('data', (text) => (out += text))
    child.stderr.on('data', (text) => (out += text))
    child.on('error', fail)
    child.on('exit', (code) => (code === 0 ? done(out.trimEnd()) : fail(new Error(`${program} ${args[0]} ended with ${code}:\n${out}`))))
  })
}

const parts = {
  javascript: openai,
  async python({ proxy, model }) {
    return [await run(join(venv, 'bin/python'), ['openai_sdk.py'], {
      OPENAI_BASE_URL: proxy.base_url, OPENAI_API_KEY: proxy.api_key, MODEL: model,
    })]
  },
  // The proxy holds its channels; this one is the consumer's third, which the proxy does not know of.
  x402: ({ say, consumer, ...world }) =>
    x402({ ...world, suri: '//sdk//consumer', channel: say(consumer, 'channel', 'open', '5').channel }),
  async schemathesis({ workerUrl, adminUrl, home }) {
    const seed = process.env.SEED ?? String(Math.floor(Math.random() * 2 ** 31))
    console.log(`  seed ${seed}`)
    const { readFileSync } = await import('node:fs')
    const key = readFileSync(join(home, 'worker/admin.key'), 'utf8').trim()
    const lines = []
    for (const [name, url, more] of [
      ['public', workerUrl, []],
      // Unloading what another example loads is no fault; only the key is given.
      ['operator', adminUrl, ['-H', `authorization: Bearer ${key}`]],
    ]) {
      const out = await run(join(venv, 'bin/schemathesis'), [
        'run', `${url}/openapi.json`, '--url', url, '--max-examples', process.env.EXAMPLES ?? '3', '--seed', seed, '--phases', 'examples,coverage,fuzzing',
        '--checks', 'not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance',
        '--suppress-health-check', 'all', '--no-color', '--request-timeout', '40', ...more,
        // It keeps what it found in the folder it runs in.
      ], {}, home)
      lines.push(`${name}: ${out.split('\n').filter((line) => /API Operations|Test cases|✅|Tested|generated/.test(line)).map((line) => line.trim()).join('; ')}`)
    }
    return lines
  },
  async load({ nodeUrl, workerUrl }) {
    const out = await run(join(target, 'release/openledger-bench-load'), [
      '--node', nodeUrl, '--worker', workerUrl, '--model', '0', '--consumers', process.env.CONSUMERS ?? '20', '--questions',
      process.env.QUESTIONS ?? '3',
    ])
    return out.split('\n')
  },
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !parts[name])
if (unknown.length > 0) throw new Error(`${unknown} is none of ${Object.keys(parts).join(', ')}`)
const times = []
const timed = async (name, work) => {
  const from = Date.now()
  const result = await work()
  times.push(`${((Date.now() - from) / 1000).toFixed(1).padStart(6)} s  ${name}`)
  return result
}
const world = await timed('chain, worker, model, proxy', () =>
  begin({ worker: ['--asks-a-minute', '0', '--batch-seconds', '3', '--batch-receipts', process.env.BATCH ?? '16'] }),
)
try {
  for (const [name, part] of Object.entries(parts)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    console.log(`${name}:`)
    for (const line of await timed(name, () => part(world))) console.log(`  ${line}`)
  }
} catch (error) {
  const { readFileSync } = await import('node:fs')
  for (const name of ['worker', 'proxy']) {
    console.error(`the end of the ${name}'s log:\n${readFileSync(world.log(name), 'utf8').trimEnd().split('\n').slice(-15).join('\n')}`)
  }
  throw error
} finally {
  await world.end()
}
console.log(times.join('\n'))

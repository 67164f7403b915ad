// What the demo and the tests of lies share: programs that are started and typed into, people, waiting.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const target = process.env.CARGO_TARGET_DIR ?? join(process.env.HOME, '.cache/openledger/target');
const bin = (name, variable) => process.env[variable] ?? join(target, 'release', name);
export const NODE = bin('openledger-node', 'OPENLEDGER_NODE');
export const WORKER = bin('openledger-worker', 'OPENLEDGER_WORKER');
export const LIAR = bin('openledger-liar', 'OPENLEDGER_LIAR');
export const CLI = bin('openledger', 'OPENLEDGER_CLI');
export const home = join(root, process.env.DEMO_DIR ?? '.demo');
export const shipped = join(root, 'gpu-offchain/shipped');
export const port = (name, usual) => Number(process.env[name] ?? usual);
export const RPC = port('RPC_PORT', 9944);
export const ETH = port('ETH_RPC_PORT', 8545);
export const HTTP = port('WORKER_PORT', 8700);
export const LIE = port('LIAR_PORT', 8701);
export const nodeUrl = `ws://127.0.0.1:${RPC}`;
export const ci = Boolean(process.env.CI);

export const started = Date.now();
const children = [];
export const stages = [];
let stage;
let fail;
/** Fails when a program that must stay up has stopped. */
const broken = new Promise((_, reject) => (fail = reject));
broken.catch(() => {});

export const bold = (text) => (process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text);
const dim = (text) => (process.stdout.isTTY ? `\x1b[2m${text}\x1b[0m` : text);

/** Starts the next numbered stage and notes how long the last one took. */
export function begin(title) {
    end();
    stage = { title, from: Date.now() };
    console.log(`\n${bold(`${stages.length + 1}. ${title}`)}`);
}
export function end() {
    if (stage) stages.push({ title: stage.title, seconds: (Date.now() - stage.from) / 1000 });
    stage = undefined;
}

export class Failed extends Error {}

/** Makes a worker's folder: its account is of the development phrase too, its receipt key and secret are random. */
export function worker(name, data) {
    mkdirSync(data, { recursive: true });
    writeFileSync(join(data, 'account.key'), `//demo//${name}\n`, { mode: 0o600 });
    const made = spawnSync(WORKER, ['init', '--data', data], { encoding: 'utf8' });
    if (made.status !== 0) throw new Failed(`openledger-worker init: ${made.stderr}`);
    return JSON.parse(made.stdout).account;
}

export function logs(name) {
    return join(home, `${name}.log`);
}

/** Starts a program that stays up, its output in .demo/NAME.log. */
export function start(name, program, args) {
    const out = openSync(logs(name), 'a');
    // Under SUPERVISE a program that is killed is started again (tests/demo/kills.mjs kills it).
    const again = 'trap "kill -TERM \\$!; wait; exit 0" TERM; while true; do "$@" & wait $!; sleep 0.3; done';
    const supervised = process.env.SUPERVISE && ['node', 'worker'].includes(name);
    const command = supervised ? ['bash', ['-c', again, name, program, ...args]] : [program, args];
    const child = spawn(command[0], command[1], { stdio: ['ignore', out, out], cwd: home });
    writeFileSync(join(home, `${name}.pid`), `${child.pid}\n`);
    child.on('error', (error) => {
        throw new Failed(`cannot start ${program}: ${error.message}; run make build`);
    });
    child.on('exit', (code) => {
        child.gone = true;
        if (child.asked) return;
        const end = readFileSync(logs(name), 'utf8').trimEnd().split('\n').slice(-15).join('\n');
        fail(new Failed(`${name} stopped with ${code}; the end of ${logs(name)}:\n${end}`));
    });
    children.push(child);
    return child;
}

export async function stop() {
    for (const child of children) child.asked = true;
    for (const child of children) if (!child.gone) child.kill('SIGTERM');
    for (const child of children) while (!child.gone) await sleep(50);
}

export const sleep = (millis) => new Promise((done) => setTimeout(done, millis));

/** Waits until `probe` returns something, or says what it waited for. */
export async function until(what, seconds, probe) {
    const limit = Date.now() + seconds * 1000;
    for (;;) {
        let last;
        try {
            const value = await probe();
            if (value) return value;
        } catch (error) {
            if (error instanceof Failed) throw error;
            last = error;
        }
        if (Date.now() > limit) throw new Failed(`${what}: not within ${seconds} s${last ? ` (${last.message})` : ''}`);
        await sleep(300);
    }
}

export const get = async (url) => {
    // Nothing here reads while a command runs, and a connection that was kept open may have been closed meanwhile.
    const answer = await fetch(url).catch(() => fetch(url));
    if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
    return answer.json();
};

/** One person: a key file, and what was said in its name. */
export class Person {
    constructor(name, worker = HTTP) {
        this.name = name;
        this.file = join(home, 'keys', name);
        this.worker = worker;
        this.dev = undefined;
    }
    args(args) {
        const key = this.dev ? ['--dev-key', this.dev] : ['--key', this.file];
        return ['--node', nodeUrl, '--worker', `http://127.0.0.1:${this.worker}`, '--data', join(home, 'people', this.name), ...key, ...args];
    }
    /** Types a command and shows what it prints; fails if it fails. */
    types(...args) {
        console.log(dim(`${this.name} $ openledger ${args.map(quote).join(' ')}`));
        const result = spawnSync(CLI, this.args(args), { stdio: ['ignore', 'inherit', 'inherit'] });
        if (result.error) throw new Failed(`cannot start ${CLI}: ${result.error.message}; run make build`);
        return result.status;
    }
    does(...args) {
        const status = this.types(...args);
        if (status !== 0) throw new Failed(`openledger ${args.join(' ')} ended with ${status}`);
    }
    /** The same command's JSON, unseen. */
    asks(...args) {
        const result = spawnSync(CLI, this.args([...args, '--json']), { encoding: 'utf8', maxBuffer: 1 << 28 });
        if (result.status !== 0) throw new Failed(`openledger ${args.join(' ')}: ${result.stdout}${result.stderr}`);
        return JSON.parse(result.stdout.trim().split('\n').at(-1));
    }
}

const quote = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text}'`);

export function need(file, what) {
    if (!existsSync(file)) throw new Failed(`${file} is not there: run make build (${what})`);
}

/** Runs `main` until it ends or a program that must stay up has stopped; then ends everything. */
export async function play(name, main) {
    process.on('SIGTERM', () => stop().then(() => process.exit(143)));
    try {
        await Promise.race([main(), broken]);
    } catch (error) {
        console.error(error instanceof Failed ? `\n${name}: ${error.message}\nlogs: ${home}` : error);
        process.exitCode = 1;
    } finally {
        await stop();
    }
}

/** How long each stage took. */
export function tellStages() {
    end();
    console.log(`\n${bold('How long each stage took')}`);
    for (const { title, seconds } of stages) console.log(`  ${seconds.toFixed(1).padStart(6)} s  ${title}`);
    console.log(`  ${((Date.now() - started) / 1000).toFixed(1).padStart(6)} s  in all`);
}

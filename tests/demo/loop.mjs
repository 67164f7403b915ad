// The whole loop on real input: records → a trained model → paid answers → everyone credited, to the planck; then a liar caught.
//
// What is typed here is what a person types; each step's output is the program's own. Everything runs on this machine's
// loopback, in .demo/, which is emptied first. DATA=dir takes your own texts instead of the shipped ones: one .jsonl, .md, .txt or
// .csv file a contributor; ASK="a|b" your own questions. CI=1 ends when it is done; otherwise it stays up.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const target = process.env.CARGO_TARGET_DIR ?? join(process.env.HOME, '.cache/openledger/target');
const bin = (name, variable) => process.env[variable] ?? join(target, 'release', name);
const NODE = bin('openledger-node', 'OPENLEDGER_NODE');
const WORKER = bin('openledger-worker', 'OPENLEDGER_WORKER');
const LIAR = bin('openledger-liar', 'OPENLEDGER_LIAR');
const CLI = bin('openledger', 'OPENLEDGER_CLI');
const home = join(root, process.env.DEMO_DIR ?? '.demo');
const shipped = join(root, 'gpu-offchain/shipped');
const port = (name, usual) => Number(process.env[name] ?? usual);
const RPC = port('RPC_PORT', 9944);
const ETH = port('ETH_RPC_PORT', 8545);
const HTTP = port('WORKER_PORT', 8700);
const LIE = port('LIAR_PORT', 8701);
const nodeUrl = `ws://127.0.0.1:${RPC}`;
const ci = Boolean(process.env.CI);

const started = Date.now();
const children = [];
const stages = [];
let stage;
let fail;
/** Fails when a program that must stay up has stopped. */
const broken = new Promise((_, reject) => (fail = reject));
broken.catch(() => {});

const bold = (text) => (process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text);
const dim = (text) => (process.stdout.isTTY ? `\x1b[2m${text}\x1b[0m` : text);

/** Starts the next numbered stage and notes how long the last one took. */
function begin(title) {
    end();
    stage = { title, from: Date.now() };
    console.log(`\n${bold(`${stages.length + 1}. ${title}`)}`);
}
function end() {
    if (stage) stages.push({ title: stage.title, seconds: (Date.now() - stage.from) / 1000 });
    stage = undefined;
}

class Failed extends Error {}

/** Makes a worker's folder: its account is of the development phrase too, its receipt key and secret are random. */
function worker(name, data) {
    mkdirSync(data, { recursive: true });
    writeFileSync(join(data, 'account.key'), `//demo//${name}\n`, { mode: 0o600 });
    const made = spawnSync(WORKER, ['init', '--data', data], { encoding: 'utf8' });
    if (made.status !== 0) throw new Failed(`openledger-worker init: ${made.stderr}`);
    return JSON.parse(made.stdout).account;
}

function logs(name) {
    return join(home, `${name}.log`);
}

/** Starts a program that stays up, its output in .demo/NAME.log. */
function start(name, program, args) {
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

async function stop() {
    for (const child of children) child.asked = true;
    for (const child of children) if (!child.gone) child.kill('SIGTERM');
    for (const child of children) while (!child.gone) await sleep(50);
}

const sleep = (millis) => new Promise((done) => setTimeout(done, millis));

/** Waits until `probe` returns something, or says what it waited for. */
async function until(what, seconds, probe) {
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

const get = async (url) => {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
    return answer.json();
};

/** One person: a key file, and what was said in its name. */
class Person {
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

/** The contributors and their files: DATA's, else the shipped ones. */
function contributions() {
    const dir = resolve(process.env.DATA ?? join(shipped, 'corpora'));
    const own = Boolean(process.env.DATA);
    const files = readdirSync(dir)
        .filter((file) => ['.jsonl', '.md', '.txt', '.csv'].includes(extname(file)))
        .filter((file) => own || !['heldout.jsonl', 'README.md'].includes(file))
        .sort()
        .map((file) => ({ name: basename(file, extname(file)), file: join(dir, file) }));
    if (files.length === 0) throw new Failed(`DATA=${dir} has no .jsonl, .md, .txt or .csv file: put one in for each contributor`);
    return files;
}

/** Two questions nobody contributed in these words. */
function questions() {
    if (process.env.ASK) return process.env.ASK.split('|');
    if (process.env.DATA) return ['What is this about?', 'What matters most?'];
    const all = readFileSync(join(shipped, 'corpora/heldout.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
    return [all[0].prompt, all[40].prompt];
}

function need(file, what) {
    if (!existsSync(file)) throw new Failed(`${file} is not there: run make build (${what})`);
}

async function main() {
    for (const [file, what] of [[NODE, 'the node'], [WORKER, 'the worker'], [CLI, 'the command line'], [LIAR, 'the liar of the tests']]) need(file, what);
    rmSync(home, { recursive: true, force: true });
    mkdirSync(join(home, 'keys'), { recursive: true });

    begin('A chain and a worker');
    const account = worker('worker', join(home, 'worker'));
    start('node', NODE, [
        '--dev', '--base-path', join(home, 'node'), '--sealing', 'interval=500', '--rpc-port', String(RPC), '--eth-rpc-port', String(ETH),
        '--no-prometheus', '--worker', `http://127.0.0.1:${HTTP}`, '--worker-secret-file', join(home, 'worker/secret'),
    ]);
    const alice = new Person('alice');
    alice.dev = 'Alice';
    await until('the node answers', 60, () => spawnSync(CLI, alice.args(['supply'])).status === 0);
    console.log(`chain: ${nodeUrl}, a block every half second, log in ${logs('node')}`);
    const watched = start('supply', CLI, ['--node', nodeUrl, 'supply', '--follow']);

    const people = contributions().map(({ name, file }) => Object.assign(new Person(name), { corpus: file }));
    const developer = new Person('developer');
    const consumer = new Person('consumer');
    const watcher = new Person('watcher');
    for (const person of [...people, developer, consumer, watcher]) {
        // Keys of the development phrase: everybody knows them, and they are the same in every run.
        writeFileSync(person.file, `//demo//${person.name}\n`, { mode: 0o600 });
        person.account = person.asks('key', 'show').account;
        alice.asks('send', person.account, '1000');
    }
    alice.asks('send', account, '5000');
    console.log('each contributor, the developer, the consumer and the watcher have 1,000 OPEN, the worker 5,000');
    const registered = spawnSync(WORKER, [
        'register', '--data', join(home, 'worker'), '--node', nodeUrl, '--bond', '4000',
        '--endpoint', `http://127.0.0.1:${HTTP}`,
    ], { encoding: 'utf8' });
    if (registered.status !== 0) throw new Failed(`openledger-worker register: ${registered.stderr}`);
    process.stdout.write(registered.stdout);
    const run = (data, http, more = []) => [
        'run', '--data', data, '--base', join(shipped, 'base'), '--node', nodeUrl, '--listen', `127.0.0.1:${http}`, '--admin', `127.0.0.1:${http + 10}`,
        '--batch-receipts', '2',
        '--batch-seconds', '5', ...more,
    ];
    start('worker', WORKER, run(join(home, 'worker'), HTTP));
    await until('the worker answers', 60, async () => (await get(`http://127.0.0.1:${HTTP}/health`)).status === 'ok');

    begin(`A Datanet, and ${people.length} contributors`);
    developer.does('datanet', 'create', 'commons', '--licence', 'CC0-1.0', '--curator', developer.account);
    for (const person of people) person.does('contribute', '0', person.corpus);
    for (const number of people.keys()) developer.does('datanet', 'accept', String(number));
    developer.does('datanet', 'publish', '0');

    begin('A model, trained as a job that the chain assigns');
    developer.does('base', 'register', 'shipped-base', '--dir', join(shipped, 'base'));
    developer.does('model', 'create', 'commons-answers', '--base', '0', '--price-in', '0.1', '--price-out', '1');
    developer.does('train', 'commons-answers', '--source', '0:0:100', '--price', '20', ...(process.env.RECIPE?.split(' ') ?? []));
    developer.does('model', 'serve', 'commons-answers');

    begin('Two questions, each paid by a voucher');
    consumer.does('channel', 'open', '50');
    await until('the worker serves the model', 60, async () => (await get(`http://127.0.0.1:${HTTP}/v1/models`)).data.length > 0);
    for (const question of questions()) consumer.does('chat', 'commons-answers', question, '--seed', '7');

    begin('The batch stands: everyone is credited and claims');
    const batch = await until('the batch is credited', 120, async () => {
        const { batches } = await get(`http://127.0.0.1:${HTTP}/v1/batches`);
        return batches.find((one) => one.state === 'credited');
    });
    const { receipts } = await get(`http://127.0.0.1:${HTTP}/v1/receipts?limit=10`);
    const computed = new Map();
    for (const { receipt } of receipts.toReversed()) {
        consumer.does('explain', receipt);
        for (const part of consumer.asks('explain', receipt).contributors) {
            const planck = BigInt(part.amount.planck ?? part.amount);
            computed.set(part.contributor, (computed.get(part.contributor) ?? 0n) + planck);
        }
    }
    console.log(`batch ${batch.id} is credited; what each contributor can claim, and what the receipts give:`);
    const shares = {};
    for (const person of people) {
        const shown = person.asks('rewards', 'show');
        const credited = BigInt(shown.credited.planck ?? shown.credited);
        const expected = computed.get(person.account) ?? 0n;
        shares[person.name] = credited.toString();
        if (credited !== expected) throw new Failed(`${person.name} is credited ${credited} planck and the receipts give ${expected}`);
        console.log(`  ${person.name}: ${credited} planck, to the planck what explain computes`);
        if (credited > 0n) person.does('rewards', 'claim');
    }
    writeFileSync(join(home, 'shares.json'), JSON.stringify(shares, null, 2));

    begin('A second worker that lies about one score');
    const dishonest = join(home, 'liar');
    const liar = worker('liar', dishonest);
    alice.asks('send', liar, '5000');
    for (const args of [
        ['register', '--data', dishonest, '--node', nodeUrl, '--bond', '4000', '--result-key', liar, '--endpoint', `http://127.0.0.1:${LIE}`],
        ['fetch', '--data', dishonest, '--base', join(shipped, 'base'), '--node', nodeUrl, '--from', `http://127.0.0.1:${HTTP}`, '--model', '0', '--generation', '1'],
    ]) {
        const result = spawnSync(WORKER, args, { encoding: 'utf8' });
        if (result.status !== 0) throw new Failed(`openledger-worker ${args[0]}: ${result.stderr}`);
        process.stdout.write(result.stdout);
    }
    start('liar', LIAR, run(dishonest, LIE));
    await until('the liar serves the model', 60, async () => (await get(`http://127.0.0.1:${LIE}/v1/models`)).data.length > 0);
    const victim = Object.assign(new Person('consumer', LIE), {});
    victim.does('channel', 'open', '20');
    victim.does('chat', 'commons-answers', questions()[0], '--seed', '7');
    console.log('a watcher, which reads only the chain and what workers publish:');
    const lied = await until('the liar submits its batch', 60, async () => {
        const { batches } = await get(`http://127.0.0.1:${LIE}/v1/batches`);
        return batches.find((one) => one.state === 'open')?.id;
    });
    const status = watcher.types('watch', '--from', String(lied), '--batches', '1');
    if (status !== 1) throw new Failed(`the watcher ended with ${status}: 1 says that it found and proved a lie`);

    begin('The supply');
    watched.asked = true;
    watched.kill('SIGTERM');
    const followed = readFileSync(logs('supply'), 'utf8').trim().split('\n');
    console.log(followed.at(-1));
    alice.does('supply');
    end();

    console.log(`\n${bold('How long each stage took')}`);
    for (const { title, seconds } of stages) console.log(`  ${seconds.toFixed(1).padStart(6)} s  ${title}`);
    console.log(`  ${((Date.now() - started) / 1000).toFixed(1).padStart(6)} s  in all`);
    if (ci) return;
    console.log(`\nStill running; Ctrl-C ends it.
  the answers with their sources   http://127.0.0.1:${HTTP}/
  polkadot.js                      https://polkadot.js.org/apps/?rpc=${encodeURIComponent(nodeUrl)}
  Ethereum JSON-RPC                http://127.0.0.1:${ETH}`);
    await new Promise((done) => process.on('SIGINT', done));
}

process.on('SIGTERM', () => stop().then(() => process.exit(143)));
try {
    await Promise.race([main(), broken]);
} catch (error) {
    console.error(error instanceof Failed ? `\ndemo: ${error.message}\nlogs: ${home}` : error);
    process.exitCode = 1;
} finally {
    await stop();
}

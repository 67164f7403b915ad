// The whole loop on real input: records → a trained model → paid answers → everyone credited, to the planck; then a liar caught.
//
// What is typed here is what a person types; each step's output is the program's own. Everything runs on this machine's
// loopback, in .demo/, which is emptied first. DATA=dir takes your own texts instead of the shipped ones: one .jsonl, .md, .txt or
// .csv file a contributor; ASK="a|b" your own questions. CI=1 ends when it is done; otherwise it stays up.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';
import {
    begin, ci, CLI, ETH, Failed, get, home, HTTP, LIAR, LIE, logs, need, NODE, nodeUrl, Person, play, RPC, shipped, start, tellStages,
    until, worker, WORKER,
} from './lib.mjs';

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
    const run = (data, http, receipts) => [
        'run', '--data', data, '--base', join(shipped, 'base'), '--node', nodeUrl, '--listen', `127.0.0.1:${http}`,
        '--admin', `127.0.0.1:${http + 10}`,
        '--batch-receipts', String(receipts), '--batch-seconds', '5',
    ];
    start('worker', WORKER, run(join(home, 'worker'), HTTP, 2));
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

    begin('The batch stands: data is shown on demand, everyone is credited and claims');
    const submitted = await until('the batch is in a final block', 120, async () => {
        const { batches } = await get(`http://127.0.0.1:${HTTP}/v1/batches`);
        return batches.find((one) => ['open', 'credited'].includes(one.state));
    });
    console.log('a stranger pays the chain to see the sketch behind the first answer, and the worker shows it by itself:');
    await until('the worker shows what is asked for', 60, () => watcher.types('request', String(submitted.id), 'query:0') === 0);
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

    begin('A second worker that lies: about a score, about who is credited, and by showing nothing');
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
    const lie = join(home, 'lie');
    writeFileSync(lie, 'nothing');
    start('liar', LIAR, [`@${lie}`, ...run(dishonest, LIE, 1)]);
    await until('the liar serves the model', 60, async () => (await get(`http://127.0.0.1:${LIE}/v1/models`)).data.length > 0);
    const victim = Object.assign(new Person('consumer', LIE), {});
    victim.does('channel', 'open', '20');
    let last = submitted.id;
    for (const [word, what] of [
        ['score', 'it doubles the score of the first row'],
        ['credit', 'it takes the credit of a contributor'],
        ['withheld', 'it publishes nothing of its batch, and does not show it when the chain demands it'],
    ]) {
        console.log(`\n${what}:`);
        writeFileSync(lie, word);
        victim.does('chat', 'commons-answers', questions()[0], '--seed', '7');
        last = await until('the liar submits its batch', 60, async () => {
            const { batches } = await get(`http://127.0.0.1:${LIE}/v1/batches`);
            return batches.find((one) => one.state === 'open' && one.id > last)?.id;
        });
        console.log('a watcher, which reads only the chain and what workers publish:');
        const status = watcher.types('watch', '--from', String(last), '--batches', '1', '--only', 'batches');
        if (status !== 1) throw new Failed(`the watcher ended with ${status}: 1 says that it found and proved a lie`);
    }

    begin('The supply');
    watched.asked = true;
    watched.kill('SIGTERM');
    const followed = readFileSync(logs('supply'), 'utf8').trim().split('\n');
    console.log(followed.at(-1));
    alice.does('supply');
    tellStages();
    if (ci) return;
    console.log(`\nStill running; Ctrl-C ends it.
  the answers with their sources   http://127.0.0.1:${HTTP}/
  polkadot.js                      https://polkadot.js.org/apps/?rpc=${encodeURIComponent(nodeUrl)}
  Ethereum JSON-RPC                http://127.0.0.1:${ETH}`);
    await new Promise((done) => process.on('SIGINT', done));
}

await play('demo', main);

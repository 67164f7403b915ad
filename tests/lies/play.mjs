// Every kind of lie, told by a worker that is honest otherwise, found and proved by a watcher that reads only the chain and what
// workers publish; and beside it honest workers, who are paid to the planck.
//
// The chain must run, with the liar (LIAR_PORT, secret in DEMO_DIR/liar/secret) paired to a node's hook: it is the one that is
// drawn to train and to index. tests/lies/dev.mjs starts such a chain, tests/net/scenarios/lies.mjs such a network.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { begin, CLI, Failed, get, home, HTTP, LIAR, LIE, logs, nodeUrl, Person, shipped, start, until, worker, WORKER } from '../demo/lib.mjs';

/** Lies about an index take a training each; about a draw, two epochs. */
const OF_INDEXES = ['row', 'corpus', 'basis'];
const OF_DRAWS = ['draw', 'forfeit'];

/** Every lie with the guilt it is condemned as, from the liar itself. */
export function table() {
    const listed = spawnSync(LIAR, ['--list'], { encoding: 'utf8' });
    if (listed.status !== 0) throw new Failed(`openledger-liar --list: ${listed.stderr}`);
    const lines = listed.stdout.trim().split('\n').map((line) => line.trim().split(' '));
    return new Map(lines.filter(([, guilt]) => guilt).map(([word, guilt]) => [word, guilt]));
}

/** What the watcher has said so far. */
function said() {
    return readFileSync(logs('watcher'), 'utf8').split('\n').flatMap((line) => {
        try {
            return line.startsWith('{') ? [JSON.parse(line)] : [];
        } catch {
            return []; // half a line: it is whole at the next look
        }
    });
}

/** Waits until the watcher had something condemned, and says of what. */
async function condemned(what, accused, guilt, seconds) {
    const found = await until(`${what} is caught`, seconds, () =>
        said().find((line) => line.accused === accused && (line.verdict?.condemned || line.condemned)));
    const kind = found.kind ?? 'Withheld';
    if (!kind.startsWith(guilt)) throw new Failed(`${what}: ${accused} was condemned as ${kind}, not as ${guilt}`);
    console.log(`  ${what.padEnd(14)} ${accused.padEnd(12).slice(0, 24)} condemned in block ${found.verdict?.block ?? found.block}: ${kind}`);
    return found;
}

export const data = (name) => join(home, name);
const secretOf = (name) => join(home, name, 'secret');
export const runs = (name, http, receipts, more = []) => [
    'run', '--data', data(name), '--base', join(shipped, 'base'), '--node', nodeUrl, '--listen', `127.0.0.1:${http}`, '--admin', `127.0.0.1:${http + 50}`,
    '--batch-receipts', String(receipts), '--batch-seconds', '4', '--threads', '1', ...more,
];

export function must(program, args) {
    const done = spawnSync(program, args, { encoding: 'utf8' });
    if (done.status !== 0) throw new Failed(`${program} ${args[0]}: ${done.stderr}`);
    return done.stdout;
}

/** The liar's account; its folder must be there before the node starts, which reads the secret. */
export const prepare = () => ({ account: worker('liar', data('liar')), secret: secretOf('liar'), url: `http://127.0.0.1:${LIE}` });

export const listed = async (http) => (await get(`http://127.0.0.1:${http}/v1/batches`)).batches;

/** Plays it. `words` are the lies that are told, `honest` how many honest workers are paid beside. */
export async function play({ account, words, honest = 1, seconds = 60 }) {
    const guilts = table();
    const alice = new Person('alice');
    alice.dev = 'Alice';
    const files = readdirSync(join(shipped, 'corpora')).filter((file) => file.endsWith('.jsonl') && file !== 'heldout.jsonl').sort();
    const people = files.map((file) => Object.assign(new Person(basename(file, '.jsonl')), { corpus: join(shipped, 'corpora', file) }));
    const [developer, thief, consumer, victim, watcher] = ['developer', 'thief', 'consumer', 'victim', 'watcher'].map((name) => new Person(name));
    victim.worker = LIE;
    for (const person of [...people, developer, thief, consumer, victim, watcher]) {
        person.worker = LIE;
        writeFileSync(person.file, `//lies//${person.name}\n`, { mode: 0o600 });
        person.account = person.asks('key', 'show').account;
        alice.asks('send', person.account, '2000');
    }
    const lie = join(home, 'lie');
    const tell = (word) => writeFileSync(lie, word);
    tell('nothing');
    alice.asks('send', account, '20000');
    must(WORKER, ['register', '--data', data('liar'), '--node', nodeUrl, '--bond', '15000', '--endpoint', `http://127.0.0.1:${LIE}`]);
    let liar = start('liar', LIAR, [`@${lie}`, ...runs('liar', LIE, 2)]);
    await until('the liar answers', 60, async () => (await get(`http://127.0.0.1:${LIE}/health`)).status === 'ok');
    start('watcher', CLI, [...watcher.args(['watch', '--json', '--patience', '2'])]);

    begin('A Datanet; somebody else brings one contributor’s records as its own');
    developer.does('datanet', 'create', 'commons', '--licence', 'CC0-1.0', '--curator', developer.account);
    for (const person of people) person.does('contribute', '0', person.corpus);
    for (const number of people.keys()) developer.does('datanet', 'accept', String(number));
    if (words.includes('copy')) {
        thief.does('contribute', '0', people[0].corpus);
        await condemned('copy', `contribution ${people.length}`, 'Duplicate', seconds);
    }
    developer.does('datanet', 'publish', '0');
    developer.does('base', 'register', 'shipped-base', '--dir', join(shipped, 'base'));
    developer.does('model', 'create', 'commons-answers', '--base', '0', '--price-in', '0.1', '--price-out', '1');
    const train = () => developer.does('train', 'commons-answers', '--source', '0:0:100', '--price', '20', '--epochs', '1');

    begin('Lies about indexes');
    let generations = 0;
    for (const word of words.filter((word) => OF_INDEXES.includes(word))) {
        tell(word);
        train();
        generations += 1;
        const voided = await until(`${word} is caught`, seconds * 3, () =>
            said().filter((line) => line.accused?.startsWith('index ') && line.verdict?.condemned)[generations - 1]);
        if (!voided.kind.startsWith(guilts.get(word))) throw new Failed(`${word} was condemned as ${voided.kind}`);
        console.log(`  ${word.padEnd(14)} ${voided.accused.slice(0, 20)}… void in block ${voided.verdict.block}: ${voided.kind}`);
    }
    tell('nothing');
    train();
    generations += 1;
    developer.does('model', 'serve', 'commons-answers');
    await until('the liar serves the model', 120, async () => (await get(`http://127.0.0.1:${LIE}/v1/models`)).data.length > 0);

    begin(`${honest} honest ${honest === 1 ? 'worker' : 'workers'} on the same base`);
    const question = 'How do I keep my bread from drying out?';
    const workers = [];
    for (let n = 0; n < honest; n += 1) {
        const [name, http] = [`worker-${n}`, HTTP + 10 + n];
        const own = worker(name, data(name));
        alice.asks('send', own, '5000');
        must(WORKER, ['register', '--data', data(name), '--node', nodeUrl, '--bond', '4000', '--result-key', own, '--endpoint', `http://127.0.0.1:${http}`]);
        must(WORKER, ['fetch', '--data', data(name), '--base', join(shipped, 'base'), '--node', nodeUrl, '--from', `http://127.0.0.1:${LIE}`,
            '--model', '0', '--generation', String(generations)]);
        start(name, WORKER, runs(name, http, 1));
        await until(`${name} serves the model`, 60, async () => (await get(`http://127.0.0.1:${http}/v1/models`)).data.length > 0);
        consumer.worker = http;
        consumer.does('channel', 'open', '20');
        consumer.does('chat', 'commons-answers', question, '--seed', String(n));
        workers.push({ name, http });
    }

    begin('Lies about batches');
    victim.does('channel', 'open', '200');
    let last = -1;
    const told = async (word) => {
        tell(word);
        for (const seed of ['1', '2']) victim.asks('chat', 'commons-answers', question, '--seed', seed);
        last = await until('the liar submits its batch', seconds, async () =>
            (await listed(LIE)).find((one) => ['open', 'condemned'].includes(one.state) && one.id > last)?.id);
        await condemned(word, `batch ${last}`, guilts.get(word), seconds * 2);
        tell('nothing');
    };
    const of = (kinds) => words.filter((word) => kinds.includes(word));
    const batches = words.filter((word) => guilts.has(word) && ![...OF_INDEXES, ...OF_DRAWS].includes(word));
    for (const word of batches) await told(word);
    if (of(OF_DRAWS).length > 0) {
        liar.asked = true;
        liar.kill('SIGTERM');
        await until('the liar ends', 30, () => liar.gone);
        liar = start('liar', LIAR, [`@${lie}`, ...runs('liar', LIE, 2, ['--sample', '4'])]);
        await until('the liar serves the model', 120, async () => (await get(`http://127.0.0.1:${LIE}/v1/models`)).data.length > 0);
        for (const word of of(OF_DRAWS)) await told(word);
    }

    begin('The honest are paid to the planck');
    const computed = new Map();
    for (const { name, http } of workers) {
        await until(`${name} is settled`, 300, async () => (await listed(http)).some((one) => one.state === 'credited'));
        consumer.worker = http;
        for (const { receipt } of (await get(`http://127.0.0.1:${http}/v1/receipts`)).receipts) {
            for (const part of consumer.asks('explain', receipt).contributors) {
                const planck = BigInt(part.amount.planck ?? part.amount);
                computed.set(part.contributor, (computed.get(part.contributor) ?? 0n) + planck);
            }
        }
    }
    for (const person of people) {
        const shown = person.asks('rewards', 'show');
        const credited = BigInt(shown.credited.planck ?? shown.credited);
        const expected = computed.get(person.account) ?? 0n;
        if (credited !== expected) throw new Failed(`${person.name} is credited ${credited} planck; the honest workers' receipts give ${expected}`);
        console.log(`  ${person.name}: ${credited} planck, to the planck what explain computes`);
    }
    const wrong = said().filter((line) => line.verdict && !line.verdict.condemned);
    if (wrong.length > 0) throw new Failed(`the watcher accused somebody for nothing: ${JSON.stringify(wrong[0])}`);
    alice.does('supply');
    return { batches: batches.length, indexes: of(OF_INDEXES).length, draws: of(OF_DRAWS).length };
}

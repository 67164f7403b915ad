// Lies that no integer tells, on a development chain whose committees have five seats, four of which decide, as on a network:
// - an answer's sketch is not what its text gives, and everything else follows from it: an audit draws the answer, five workers recompute it
//   from the text that the liar must hand them, and the batch is condemned;
// - the base answers in place of the adapter that is paid for: who paid asks, five workers give the answer again;
// - half of the data is left out of a training: somebody asks, five workers train again.
// Before and beside, committees find what the same worker does honestly right.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { begin, CLI, ETH, Failed, get, home, HTTP, LIAR, LIE, logs, need, NODE, nodeUrl, Person, play, RPC, shipped, start, tellStages, until, worker, WORKER } from '../demo/lib.mjs';
import { data, listed, must, prepare, runs } from './play.mjs';

/** One more than sits: a seat may be passed over. */
const MEMBERS = Number(process.env.MEMBERS ?? 6);
/** Lying batches: of each, an audit meets the answer's side or the index's, either half of the time. */
const BATCHES = 6;
const BLOCK_MS = Number(process.env.BLOCK_MS ?? 1_000);

/** What a program has logged, line by line. */
const lines = (name) => readFileSync(logs(name), 'utf8').split('\n');

/** A development chain under another chain id, so that its committees are those of a network, and its draws. */
function spec() {
    const file = join(home, 'chain.json');
    must(NODE, ['export-chain-spec', '--chain', 'dev', '--output', file]);
    // As text: its amounts are larger than what JavaScript's numbers hold.
    const written = readFileSync(file, 'utf8');
    // Twice the time for everything, so that five trainings fit on one machine.
    const other = written.replace(/"chainId": *161299\b/, '"chainId": 161300').replace(/"known": *true\b/, '"known": false')
        .replace(/"hourBlocks": *1\b/, '"hourBlocks": 2');
    if (!/"chainId": 161300.*"known": false|"known": false.*"chainId": 161300/s.test(other)) throw new Failed('the development chain is another than this script knows');
    writeFileSync(file, other);
    return file;
}

await play('committee', async () => {
    for (const [file, what] of [[NODE, 'the node'], [WORKER, 'the worker'], [CLI, 'the command line'], [LIAR, 'the liar']]) need(file, what);
    rmSync(home, { recursive: true, force: true });
    mkdirSync(join(home, 'keys'), { recursive: true });
    begin('A chain, a worker that will lie, a model');
    const liar = prepare();
    start('node', NODE, [
        '--chain', spec(), '--alice', '--force-authoring', '--base-path', join(home, 'node'), '--sealing', `interval=${BLOCK_MS}`,
        '--rpc-port', String(RPC), '--eth-rpc-port', String(ETH), '--no-prometheus', '--worker', liar.url, '--worker-secret-file', liar.secret,
    ]);
    // As a key file: this is another chain than the one that takes well-known keys.
    const alice = new Person('alice');
    writeFileSync(alice.file, '//Alice\n', { mode: 0o600 });
    await until('the node answers', 60, () => spawnSync(CLI, alice.args(['supply'])).status === 0);
    const [developer, victim] = ['developer', 'victim'].map((name) => new Person(name, LIE));
    for (const person of [developer, victim]) {
        writeFileSync(person.file, `//lies//${person.name}\n`, { mode: 0o600 });
        person.account = person.asks('key', 'show').account;
        alice.asks('send', person.account, '2000');
    }
    const lie = join(home, 'lie');
    const tell = (word) => writeFileSync(lie, word);
    tell('nothing');
    alice.asks('send', liar.account, '20000');
    must(WORKER, ['register', '--data', data('liar'), '--node', nodeUrl, '--bond', '15000', '--endpoint', `http://127.0.0.1:${LIE}`]);
    start('liar', LIAR, [`@${lie}`, ...runs('liar', LIE, 2)]);
    await until('the liar answers', 60, async () => (await get(`http://127.0.0.1:${LIE}/health`)).status === 'ok');
    developer.does('datanet', 'create', 'commons', '--licence', 'CC0-1.0', '--curator', developer.account);
    developer.does('contribute', '0', join(shipped, 'corpora', process.env.CORPUS ?? 'ada-thorn.jsonl'));
    developer.does('datanet', 'accept', '0');
    developer.does('datanet', 'publish', '0');
    developer.does('base', 'register', 'shipped-base', '--dir', join(shipped, 'base'));
    developer.does('model', 'create', 'commons-answers', '--base', '0', '--price-in', '0.1', '--price-out', '1');
    developer.does('train', 'commons-answers', '--source', '0:0:100', '--price', '20', '--epochs', '1');
    developer.does('model', 'serve', 'commons-answers');
    await until('the liar serves the model', 300, async () => (await get(`http://127.0.0.1:${LIE}/v1/models`)).data.length > 0);

    begin(`${MEMBERS} workers join the committees`);
    const members = [];
    for (let n = 0; n < MEMBERS; n += 1) {
        const [name, http] = [`member-${n}`, HTTP + 10 + n];
        const own = worker(name, data(name));
        alice.asks('send', own, '5000');
        must(WORKER, ['register', '--data', data(name), '--node', nodeUrl, '--bond', '4000', '--result-key', own, '--attest', '--endpoint', `http://127.0.0.1:${http}`]);
        // The last has the generation only when it gets a seat.
        if (n < MEMBERS - 1) {
            must(WORKER, ['fetch', '--data', data(name), '--base', join(shipped, 'base'), '--node', nodeUrl, '--from', `http://127.0.0.1:${LIE}`, '--model', '0', '--generation', '1']);
        }
        start(name, WORKER, runs(name, http, 1));
        await until(`${name} runs`, 120, async () => (await get(`http://127.0.0.1:${http}/health`)).status === 'ok');
        members.push(name);
    }

    const question = 'What is the warmth in the middle of the brood nest?';
    const ask = (seed) => victim.asks('chat', 'commons-answers', question, '--seed', String(seed));
    const batches = () => listed(LIE);
    /** Asks for a batch and says which it became. */
    const batch = async (seed) => {
        const before = (await batches()).length;
        for (const n of [0, 1]) ask(seed + n);
        return until('the batch', 120, async () => {
            const all = await batches();
            return all.length > before && all[0].id !== null && all[0].state !== 'submitted' ? { id: all[0].id } : undefined;
        });
    };
    const state = async (id) => (await batches()).find((one) => one.id === id)?.state;
    const votes = () => members.flatMap((name) => lines(name)
        .filter((line) => line.includes('revealed what was recomputed'))
        .map((line) => ({ name, line: line.replace(/\x1b\[[0-9;]*m/g, '') })));
    const told = new Set();
    /** Prints the votes that were not printed yet. */
    const tellVotes = () => {
        for (const { name, line } of votes()) {
            const vote = `  ${name}: ${line.slice(line.indexOf('revealed'))}`;
            if (!told.has(vote)) console.log(vote);
            told.add(vote);
        }
    };

    begin('An honest batch is audited and settled');
    victim.does('channel', 'open', '300');
    const honest = await batch(10);
    await until(`batch ${honest.id} is settled`, 400, async () => {
        const now = await state(honest.id);
        if (now === 'condemned') throw new Failed(`the honest batch ${honest.id} was condemned`);
        return now === 'credited';
    });
    await until('its committee has voted', 120, () => votes().length >= 4);
    tellVotes();
    const wrong = votes().filter(({ line }) => line.includes('Wrong'));
    if (wrong.length > 0) throw new Failed(`${wrong[0].name} voted against an honest answer: ${wrong[0].line}`);

    begin('Lying batches are audited until one is caught');
    tell('sketch');
    const lying = [];
    for (let n = 0; n < BATCHES; n += 1) lying.push((await batch(20 + 2 * n)).id);
    tell('nothing');
    const caught = await until('a lying batch is condemned', 900, async () => {
        const line = lines('liar').find((line) => line.includes('a batch was proved wrong'));
        return line?.replace(/\x1b\[[0-9;]*m/g, '');
    });
    tellVotes();
    console.log(`  ${caught.slice(caught.indexOf('a batch'))}`);
    if (!caught.includes('Recomputed')) throw new Failed(`it was condemned for something else: ${caught}`);
    const id = Number(caught.match(/batch=(\d+)/)?.[1]);
    if (!lying.includes(id)) throw new Failed(`batch ${id} did not lie`);
    await until('the liar knows', 60, async () => (await state(id)) === 'condemned');

    /** Asks a committee, and fails if it finds another than was told. */
    const puts = (who, expected, ...what) => {
        const status = who.types('question', ...what);
        tellVotes();
        if (status !== expected) throw new Failed(`question ${what.join(' ')} ended with ${status}, not with ${expected}`);
    };
    begin('Whoever paid has answers given again: one of the adapter, one of the base alone');
    const answered = [];
    for (const word of ['nothing', 'output']) {
        tell(word);
        const before = (await batches()).length;
        const [first] = [ask(50 + answered.length), ask(60 + answered.length)];
        await until('the batch', 120, async () => {
            const all = await batches();
            return all.length > before && all[0].id !== null && all[0].state !== 'submitted';
        });
        tell('nothing');
        answered.push(first.receipt);
        puts(victim, word === 'output' ? 1 : 0, 'output', first.receipt);
    }

    begin('A training is repeated: an honest one, and one that left out half of the data');
    puts(alice, 0, 'training', '0:1');
    tell('training');
    developer.does('train', 'commons-answers', '--source', '0:0:100', '--price', '20', '--epochs', '1');
    tell('nothing');
    puts(alice, 1, 'training', '0:2');
    alice.does('supply');
    tellStages();
    console.log(`\nbatch ${id} of lying batches ${lying.join(', ')} was condemned by a committee; honest batch ${honest.id} was settled after one; `
        + 'the answer of the base and the training on half of the data were found out, the honest ones not');
});

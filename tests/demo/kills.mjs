// The loop with its worker and its node killed (SIGKILL) at named points and started again: the contributors must be credited the
// same planck as in the run before it, in which nobody was killed. The development chain's draws make the two runs alike.
//
// Run scripts/demo.sh with CI=1 first: its .demo/shares.json is what this compares with.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const before = join(root, '.demo/shares.json');
if (!existsSync(before)) {
    console.error(`${before} is not there: run CI=1 scripts/demo.sh first`);
    process.exit(2);
}
const expected = JSON.parse(readFileSync(before, 'utf8'));
const home = join(root, '.demo-kills');

/** Who is killed when a line of the worker's log says so, once each. */
const POINTS = [
    { name: 'worker in training', who: 'worker', line: /training \d{3}\// },
    { name: 'worker with an adapter not delivered', who: 'worker', line: / trained / },
    { name: 'node while the job waits', who: 'node', line: /a job is done; the node's hook delivers it/ },
    { name: 'worker in indexing', who: 'worker', line: /indexing \d{2,3}\// },
    { name: 'worker with an index not delivered', who: 'worker', line: / indexed / },
    { name: 'worker with a batch not submitted', who: 'worker', line: /made a batch/ },
    { name: 'node with a batch in a block', who: 'node', line: /a batch is final/ },
];

const loop = spawn('node', [join(root, 'tests/demo/loop.mjs')], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, CI: '1', DEMO_DIR: '.demo-kills', SUPERVISE: '1' },
});
let read = 0;
const done = [];
const timer = setInterval(() => {
    const log = join(home, 'worker.log');
    if (!existsSync(log)) return;
    const text = readFileSync(log, 'utf8');
    const news = text.slice(read);
    read = text.length;
    for (const point of POINTS) {
        if (done.includes(point) || !point.line.test(news)) continue;
        const supervisor = readFileSync(join(home, `${point.who}.pid`), 'utf8').trim();
        const killed = spawnSync('pkill', ['-KILL', '-P', supervisor]);
        if (killed.status === 0) {
            done.push(point);
            console.log(`*** killed: ${point.name}`);
        }
        // One at a time: what it wrote meanwhile is of the killed one.
        break;
    }
}, 50);

loop.on('exit', (code) => {
    clearInterval(timer);
    if (code !== 0) {
        console.error(`the loop ended with ${code} after ${done.length} kills`);
        process.exit(1);
    }
    const shares = JSON.parse(readFileSync(join(home, 'shares.json'), 'utf8'));
    const same = JSON.stringify(shares) === JSON.stringify(expected);
    console.log(`\n${done.length} of ${POINTS.length} points: ${done.map((point) => point.name).join(', ')}`);
    console.log(`credited without kills ${JSON.stringify(expected)}`);
    console.log(`credited with kills    ${JSON.stringify(shares)}: ${same ? 'the same' : 'DIFFERENT'}`);
    process.exit(same && done.length >= 5 ? 0 : 1);
});

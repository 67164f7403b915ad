// tests/lies/play.mjs on a development node: LIES="score withheld …" tells those, all of them by default.
import { mkdirSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { begin, CLI, ETH, home, LIAR, need, NODE, Person, play, RPC, start, tellStages, until, WORKER } from '../demo/lib.mjs';
import * as lies from './play.mjs';

await play('lies', async () => {
    for (const [file, what] of [[NODE, 'the node'], [WORKER, 'the worker'], [CLI, 'the command line'], [LIAR, 'the liar']]) need(file, what);
    rmSync(home, { recursive: true, force: true });
    mkdirSync(join(home, 'keys'), { recursive: true });
    begin('A chain');
    const liar = lies.prepare();
    start('node', NODE, [
        '--dev', '--base-path', join(home, 'node'), '--sealing', 'interval=500', '--rpc-port', String(RPC), '--eth-rpc-port', String(ETH),
        '--no-prometheus', '--worker', liar.url, '--worker-secret-file', liar.secret,
    ]);
    const alice = new Person('alice');
    alice.dev = 'Alice';
    await until('the node answers', 60, () => spawnSync(CLI, alice.args(['supply'])).status === 0);
    const words = process.env.LIES?.split(' ') ?? ['copy', ...lies.table().keys()];
    const told = await lies.play({ account: liar.account, words });
    tellStages();
    console.log(`\n${words.length} lies told, ${words.length} caught: ${JSON.stringify(told)}`);
});

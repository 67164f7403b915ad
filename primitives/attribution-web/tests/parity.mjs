// Runs the WebAssembly exports on what the native test wrote, and compares every result.
// node parity.mjs MODULE.wasm PAIRS.bin CASES.json
import { readFileSync } from "node:fs";

const [, , wasm, pairsFile, casesFile] = process.argv;
const { instance } = await WebAssembly.instantiate(readFileSync(wasm));
const ol = instance.exports;
const cases = JSON.parse(readFileSync(casesFile, "utf8"));
let checks = 0;

const fail = (text) => {
  console.error(text);
  process.exit(1);
};
const same = (got, wanted, what) => {
  checks += 1;
  if (got !== wanted) fail(`${what}: got ${got}, native says ${wanted}`);
};
const put = (bytes) => {
  const at = ol.ol_alloc(bytes.length);
  if (at === 0 && bytes.length > 0) fail("no memory");
  new Uint8Array(ol.memory.buffer, at, bytes.length).set(bytes);
  return at;
};
const room = (length) => put(new Uint8Array(length));
const unhex = (text) => Uint8Array.from(Buffer.from(text, "hex"));
const hexAt = (at, length) => Buffer.from(ol.memory.buffer, at, length).toString("hex");
const ascii = (text) => new TextEncoder().encode(text);

same(ol.ol_version(), cases.version, "version");

// Objects, hashes, receipts.
for (const { tag, bytes, status, hash } of cases.objects) {
  const input = unhex(bytes);
  const out = room(32);
  same(ol.ol_hash(put(ascii(tag)), put(input), input.length, out), status, `status of ${tag}`);
  if (status === 0) same(hexAt(out, 32), hash, `hash of ${tag}`);
}
for (const { bytes, hash } of cases.keccak) {
  const input = unhex(bytes);
  const out = room(32);
  ol.ol_keccak(put(input), input.length, out);
  same(hexAt(out, 32), hash, "keccak");
}
for (const { bytes, status } of cases.receipts) {
  const input = unhex(bytes);
  same(ol.ol_check_receipt(put(input), input.length), status, "receipt");
}

// Shares, amounts, proofs.
for (const { weights, count, status, shares } of cases.shares) {
  const out = room(4 * count);
  same(ol.ol_shares(put(unhex(weights)), count, out), status, "status of shares");
  if (status === 0) same(hexAt(out, 4 * count), shares, "shares");
}
for (const { attribution, mix, amount, status, count, amounts } of cases.amounts) {
  const input = unhex(attribution);
  const [out, counted] = [room(48 * 64), room(4)];
  const got = ol.ol_amounts(put(input), input.length, put(unhex(mix)), put(unhex(amount)), out, 64, counted);
  same(got, status, "status of amounts");
  if (status === 0) {
    same(new DataView(ol.memory.buffer).getUint32(counted, true), count, "contributors");
    same(hexAt(out, 48 * count), amounts, "amounts");
  }
}
for (const { tag, root, opening, status, before } of cases.proofs) {
  const input = unhex(opening);
  const out = room(16);
  same(ol.ol_verify(put(ascii(tag)), put(unhex(root)), put(input), input.length, out), status, "status of a proof");
  if (status === 0) same(hexAt(out, 16), before, "sum before a leaf");
}

// Scores: all queries with all rows.
ol.ol_reset();
const { layout, rules, queries, rows, bytes: size, evaluateEvery } = cases.pairs;
const layoutBytes = unhex(layout);
const number = ol.ol_rule(put(layoutBytes), layoutBytes.length, put(unhex(rules)));
if (number < 0) fail(`no rule: ${number}`);
const file = readFileSync(pairsFile);
const sketches = put(file.subarray(0, (queries + rows) * size));
const out = room(32);
const expected = new DataView(file.buffer, file.byteOffset + (queries + rows) * size);
const results = new DataView(ol.memory.buffer, out, 32);
const start = performance.now();
let at = 0;
let pairs = 0;
for (let query = 0; query < queries; query += 1) {
  for (let row = 0; row < rows; row += 1) {
    const [q, r] = [sketches + query * size, sketches + (queries + row) * size];
    const status = ol.ol_score(number, q, r, out);
    // 16 bytes of score, one of status: 0, or 1 for "no score".
    const wanted = expected.getUint8(at + 16) === 0 ? 0 : -3;
    if (status !== wanted) fail(`pair ${query}, ${row}: status ${status}, native says ${wanted}`);
    if (status === 0) {
      const low = results.getBigUint64(0, true) === expected.getBigUint64(at, true);
      const high = results.getBigUint64(8, true) === expected.getBigUint64(at + 8, true);
      if (!low || !high) fail(`pair ${query}, ${row}: another score`);
    }
    at += 17;
    pairs += 1;
  }
}
const seconds = (performance.now() - start) / 1000;
let evaluated = 0;
for (let n = 0; n < queries * rows; n += evaluateEvery) {
  const [q, r] = [sketches + Math.floor(n / rows) * size, sketches + (queries + (n % rows)) * size];
  const status = ol.ol_evaluate(number, q, r, out);
  // 17 bytes, then one of status.
  const wanted = expected.getUint8(at + 17) === 0 ? 0 : -3;
  if (status !== wanted) fail(`evaluation ${n}: status ${status}, native says ${wanted}`);
  if (status === 0) {
    for (let byte = 0; byte < 17; byte += 1) {
      if (results.getUint8(byte) !== expected.getUint8(at + byte)) fail(`evaluation ${n}: another result`);
    }
  }
  at += 18;
  evaluated += 1;
}
console.log(
  `${checks} checks, ${pairs} pairs of ${size} bytes (${(pairs / seconds / 1e6).toFixed(2)} million a second), ` +
    `${evaluated} evaluations: all as native`,
);

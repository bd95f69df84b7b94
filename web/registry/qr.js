// qr.js - a QR code (ISO/IEC 18004): bytes, error correction M, versions 1 to 40
//
// encode(text) gives rows of 0 and 1, or null when the text is too long. draw(text) gives an SVG.
import { svg } from "./page.js";

// Of error correction M, by version: check bytes of a block, and blocks.
const CHECKS = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26, 26];
const checksOf = (version) => CHECKS[version - 1] ?? 28;
const BLOCKS = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16, 17, 17, 18, 20, 21, 23, 25,
  26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49];

const alignments = (version) => (version === 1 ? 0 : Math.floor(version / 7) + 2);

/** Bytes that a version holds, check bytes included. */
function capacity(version) {
  const n = alignments(version);
  let bits = (16 * version + 128) * version + 64;
  if (n) bits -= (25 * n - 10) * n - 55;
  if (version >= 7) bits -= 36;
  return bits >> 3;
}

const room = (version) => capacity(version) - checksOf(version) * BLOCKS[version - 1];

// GF(256) modulo x^8 + x^4 + x^3 + x^2 + 1
const EXP = new Uint8Array(510), LOG = new Uint8Array(256);
for (let i = 0, x = 1; i < 255; i++, x = (x << 1) ^ (x & 128 ? 0x11d : 0)) {
  EXP[i] = EXP[i + 255] = x;
  LOG[x] = i;
}
const times = (a, b) => (a && b ? EXP[LOG[a] + LOG[b]] : 0);

function checkBytes(data, n) {
  let divisor = [1];
  for (let i = 0; i < n; i++) {
    const next = [...divisor, 0];
    divisor.forEach((d, k) => { next[k + 1] ^= times(d, EXP[i]); });
    divisor = next;
  }
  const rest = new Uint8Array(n);
  for (const byte of data) {
    const factor = byte ^ rest[0];
    rest.copyWithin(0, 1);
    rest[n - 1] = 0;
    for (let k = 0; k < n; k++) rest[k] ^= times(divisor[k + 1], factor);
  }
  return rest;
}

/** Mode, length, bytes, end, filling. */
function dataBytes(text, version) {
  const bits = [], size = room(version);
  const push = (value, n) => { while (n--) bits.push((value >> n) & 1); };
  push(4, 4);
  push(text.length, version < 10 ? 8 : 16);
  text.forEach((byte) => push(byte, 8));
  push(0, Math.min(4, size * 8 - bits.length));
  push(0, -bits.length & 7);
  const bytes = new Uint8Array(size);
  for (let i = 0; i < bits.length; i++) bytes[i >> 3] |= bits[i] << (7 - (i & 7));
  for (let i = bits.length >> 3, odd = 0; i < size; i++, odd ^= 1) bytes[i] = odd ? 0x11 : 0xec;
  return bytes;
}

/** Split into blocks, each with its check bytes, and dealt out by turns. */
function interleave(data, version) {
  const blocks = BLOCKS[version - 1], checks = checksOf(version), total = capacity(version);
  const short = Math.floor(total / blocks) - checks, shorts = blocks - (total % blocks);
  const parts = [];
  for (let i = 0, at = 0; i < blocks; i++) {
    const part = data.subarray(at, (at += short + (i >= shorts)));
    parts.push({ part, check: checkBytes(part, checks) });
  }
  const out = [];
  for (let i = 0; i <= short; i++) for (const { part } of parts) if (i < part.length) out.push(part[i]);
  for (let i = 0; i < checks; i++) for (const { check } of parts) out.push(check[i]);
  return out;
}

/** A value and its remainder, as format and version are written. */
function protect(value, generator, n) {
  let rest = value;
  for (let i = 0; i < n; i++) rest = (rest << 1) ^ ((rest >> (n - 1)) * generator);
  return (value << n) | rest;
}

/** The parts that are the same whatever is said: cells, and which of them are taken. */
function frame(version) {
  const size = version * 4 + 17;
  const cells = Array.from({ length: size }, () => new Uint8Array(size));
  const taken = Array.from({ length: size }, () => new Uint8Array(size));
  const set = (x, y, dark) => {
    if (x < 0 || y < 0 || x >= size || y >= size) return;
    cells[y][x] = dark;
    taken[y][x] = 1;
  };
  const square = (cx, cy, radius, rings) => {
    for (let y = -radius; y <= radius; y++)
      for (let x = -radius; x <= radius; x++)
        set(cx + x, cy + y, rings.includes(Math.max(Math.abs(x), Math.abs(y))) ? 1 : 0);
  };
  for (let i = 0; i < size; i++) { set(6, i, ~i & 1); set(i, 6, ~i & 1); }
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) square(x, y, 4, [0, 1, 3]);
  const n = alignments(version), places = n ? [6] : [];
  const step = version === 32 ? 26 : Math.ceil((version * 4 + 4) / (n * 2 - 2)) * 2;
  for (let i = n - 2; i >= 0; i--) places.push(size - 7 - i * step);
  places.forEach((x, i) => places.forEach((y, j) => {
    const isCorner = (i === 0 && j === 0) || (i === 0 && j === n - 1) || (i === n - 1 && j === 0);
    if (!isCorner) square(x, y, 2, [0, 2]);
  }));
  if (version >= 7) {
    const bits = protect(version, 0x1f25, 12);
    for (let i = 0; i < 18; i++) {
      const a = size - 11 + (i % 3), b = Math.floor(i / 3);
      set(a, b, (bits >> i) & 1);
      set(b, a, (bits >> i) & 1);
    }
  }
  return { size, cells, taken, set };
}

function writeFormat({ size, set }, mask) {
  const bits = protect(mask, 0x537, 10) ^ 0x5412; // M is 00
  const bit = (i) => (bits >> i) & 1;
  for (let i = 0; i < 6; i++) set(8, i, bit(i));
  set(8, 7, bit(6));
  set(8, 8, bit(7));
  set(7, 8, bit(8));
  for (let i = 9; i < 15; i++) set(14 - i, 8, bit(i));
  for (let i = 0; i < 8; i++) set(size - 1 - i, 8, bit(i));
  for (let i = 8; i < 15; i++) set(8, size - 15 + i, bit(i));
  set(8, size - 8, 1);
}

function writeData({ size, cells, taken }, bytes) {
  let i = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) {
      const y = ((right + 1) & 2) === 0 ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (taken[y][x]) continue;
        if (i < bytes.length * 8) cells[y][x] = (bytes[i >> 3] >> (7 - (i & 7))) & 1;
        i++;
      }
    }
  }
}

const MASKS = [
  (x, y) => (x + y) % 2, (x, y) => y % 2, (x) => x % 3, (x, y) => (x + y) % 3,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2, (x, y) => ((x * y) % 2) + ((x * y) % 3),
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2, (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2,
];

function applyMask({ size, cells, taken }, mask) {
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++)
      if (!taken[y][x] && MASKS[mask](x, y) === 0) cells[y][x] ^= 1;
}

/** How hard it is to read: runs, squares, what looks like a finder, too dark or too light. */
function penalty({ size, cells }) {
  let sum = 0, dark = 0;
  const finder = /(?=10111010000|00001011101)/g;
  for (let turn = 0; turn < 2; turn++)
    for (let a = 0; a < size; a++) {
      let line = "";
      for (let b = 0; b < size; b++) line += turn ? cells[b][a] : cells[a][b];
      for (const run of line.match(/0{5,}|1{5,}/g) ?? []) sum += run.length - 2;
      sum += 40 * (line.match(finder)?.length ?? 0);
    }
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      const cell = cells[y][x];
      dark += cell;
      if (x && y && cell === cells[y][x - 1] && cell === cells[y - 1][x] && cell === cells[y - 1][x - 1]) sum += 3;
    }
  return sum + 10 * Math.floor(Math.abs((dark * 20) / (size * size) - 10));
}

export function encode(text) {
  const bytes = new TextEncoder().encode(text);
  let version = 1;
  while (version <= 40 && bytes.length + (version < 10 ? 2 : 3) > room(version)) version++;
  if (version > 40) return null;
  const code = frame(version);
  writeFormat(code, 0);
  writeData(code, interleave(dataBytes(bytes, version), version));
  let best = 0, least = Infinity;
  for (let mask = 0; mask < 8; mask++) {
    applyMask(code, mask);
    writeFormat(code, mask);
    const p = penalty(code);
    if (p < least) { least = p; best = mask; }
    applyMask(code, mask);
  }
  applyMask(code, best);
  writeFormat(code, best);
  return code.cells;
}

export function draw(text) {
  const cells = encode(text);
  if (!cells) return null;
  const size = cells.length + 8; // four cells of quiet around it
  let d = "";
  cells.forEach((row, y) => row.forEach((dark, x) => { if (dark) d += `M${x + 4} ${y + 4}h1v1h-1z`; }));
  const box = svg("svg", { viewBox: `0 0 ${size} ${size}`, "shape-rendering": "crispEdges", "aria-hidden": "true" });
  box.append(svg("path", { d, fill: "#000" }));
  return box;
}

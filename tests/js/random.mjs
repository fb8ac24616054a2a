// @ts-check
/** Random JSON from a seed, so that a test that failed fails again. */

/** @typedef {() => number} Random from 0 to 1 */

/** A small generator of random numbers (mulberry32). @param {number} seed @returns {Random} */
export function seeded(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** @template T @param {Random} random @param {readonly T[]} items @returns {T} */
export function pick(random, items) {
  return items[Math.floor(random() * items.length)];
}

const NAMES = ["a", "b", "c", "", "0", "__proto__", "constructor", "\uffff", "\u{1f600}"];

/** @param {Random} random @param {number} depth @returns {unknown} */
export function randomValue(random, depth) {
  if (depth > 0 && random() < 0.5) return randomObject(random, depth - 1);
  return pick(random, [true, false, 0, 1, -1.5, "", "x", [], [1, [null]], [{ a: null }]]);
}

/** An object without null as a member: a patch could not say it. @param {Random} random @param {number} depth */
export function randomObject(random, depth) {
  const names = NAMES.filter(() => random() < 0.3);
  return Object.fromEntries(names.map((name) => [name, randomValue(random, depth)]));
}

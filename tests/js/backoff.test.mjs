// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { Backoff } from "../../examples/js-client/backoff.mjs";

const RETRY = { baseMs: 100, maxMs: 1_000, laterMs: 5_000, stableMs: 60_000 };

/** @param {Backoff} backoff @param {number} count @param {number} [code] */
const pauses = (backoff, count, code = 1006) => Array.from({ length: count }, () => backoff.next(code, -Infinity));

test("the pause is anything up to a bound that doubles and then stays", () => {
  assert.deepEqual(pauses(new Backoff(RETRY, () => 1), 6), [100, 200, 400, 800, 1_000, 1_000]);
  assert.deepEqual(pauses(new Backoff(RETRY, () => 0), 3), [0, 0, 0]);
  assert.ok(pauses(new Backoff(RETRY, () => 1), 2_000).every((pauseMs) => pauseMs <= 1_000));
});

test("a server that asks for a longer pause gets one", () => {
  for (const code of [1013, 4429]) {
    assert.deepEqual(pauses(new Backoff(RETRY, () => 0.5), 2, code), [5_050, 5_100]);
  }
});

test("only a connection that held makes the failures before it forgotten", () => {
  const backoff = new Backoff(RETRY, () => 1);
  pauses(backoff, 3);
  assert.equal(backoff.next(1006, 59_999), 800);
  assert.equal(backoff.next(1006, 60_000), 100);
  assert.equal(backoff.next(1006, -Infinity), 200);
});

test("a server that says how long is believed, but for more than an hour", () => {
  const backoff = new Backoff({ ...RETRY, maxMs: 100 }, () => 1);
  const wishes = [0, 2_000, 1e300, -1e9];
  assert.deepEqual(
    wishes.map((notBeforeMs) => backoff.next(4429, 0, notBeforeMs)),
    [100, 2_100, 3_600_100, 100],
  );
});

test("by default the first pause is half a second at most, and the longest half a minute", () => {
  const backoff = new Backoff({}, () => 1);
  assert.equal(backoff.next(1006, 0), 500);
  assert.equal(pauses(backoff, 20).at(-1), 30_000);
  assert.equal(backoff.next(4429, 0), 35_000);
});

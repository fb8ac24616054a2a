// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { Pace } from "../../examples/js-client/pace.mjs";

test("so many go at once, the rest in order and no faster than a server takes them", async () => {
  /** @type {[number, number][]} */
  const sent = [];
  const begin = performance.now();
  await new Promise((resolve) => {
    const pace = new Pace((/** @type {number} */ number) => {
      sent.push([number, performance.now() - begin]);
      if (number === 18) resolve(null);
    });
    for (let number = 0; number < 19; number += 1) pace.push(number);
    assert.equal(sent.length, 16);
  });
  assert.deepEqual(
    sent.map(([number]) => number),
    Array.from({ length: 19 }, (_, number) => number),
  );
  assert.ok(sent[18][1] >= 700, String(sent[18][1])); // three more, at four a second
});

test("a longer message counts as several, and the longest is sent too", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  /** @type {number[]} */
  const sent = [];
  const pace = new Pace((/** @type {string} */ message) => sent.push(message.length));
  for (const length of [60_000, 60_000, 60_000]) pace.push("x".repeat(length));
  assert.deepEqual(sent, [60_000, 60_000]);
  pace.stop();
  new Pace((/** @type {string} */ message) => sent.push(message.length)).push("x".repeat(1_000_000));
  assert.deepEqual(sent, [60_000, 60_000, 1_000_000]);
});

test("what is stopped sends nothing any more", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let sent = 0;
  const pace = new Pace(() => (sent += 1));
  for (let number = 0; number < 20; number += 1) pace.push(number);
  pace.stop();
  context.mock.timers.tick(10_000);
  assert.equal(sent, 16);
});

// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { compareCodePoints, EventPlaces, States } from "../../examples/js-client/states.mjs";
import { pick, seeded } from "./random.mjs";

/** @param {string} symbol @param {number} [size] */
const long = (symbol, size = 1) => ({ symbol, side: "long", size });

/** @param {object} changes */
const message = (changes) => {
  const data = { balance: 1, positions: [long("B"), long("C")] };
  return { bot: "main", epoch: "e", seq: 1, data, ...changes };
};

test("a patch adds, changes and removes positions, which are a list in the order of their keys again", () => {
  const states = new States();
  states.replace(message({}));
  const patch = { balance: 2, positions: { "A|long": long("A"), "B|long": { size: 5 }, "C|long": null } };
  const data = states.patch({ bot: "main", epoch: "e", base: 1, seq: 4, patch });
  assert.deepEqual(data, { balance: 2, positions: [long("A"), long("B", 5)] });
  assert.deepEqual(states.since(), { main: { epoch: "e", seq: 4 } });
});

test("a patch that fits no state that is here changes nothing", () => {
  const states = new States();
  states.replace(message({}));
  const patch = { bot: "main", epoch: "e", base: 1, seq: 2, patch: { balance: 2 } };
  const patches = [[], { positions: null }, { positions: { a: 1 } }].map((broken) => ({ patch: broken }));
  for (const wrong of [{ bot: "other" }, { epoch: "f" }, { base: 0 }, ...patches]) {
    assert.equal(states.patch({ ...patch, ...wrong }), null, JSON.stringify(wrong));
    assert.deepEqual(states.since(), { main: { epoch: "e", seq: 1 } });
  }
  assert.equal(states.patch(patch)?.balance, 2);
});

test("a patch that nests deeper than the stack is no patch", () => {
  const states = new States();
  states.replace(message({}));
  const deep = JSON.parse('{"a":'.repeat(100_000) + "1" + "}".repeat(100_000));
  assert.equal(states.patch({ bot: "main", epoch: "e", base: 1, seq: 2, patch: { deep } }), null);
  assert.deepEqual(states.since(), { main: { epoch: "e", seq: 1 } });
});

test("what is no state is not taken over", () => {
  const nameless = { positions: [{ symbol: { toString: null }, side: "long" }] };
  const states = new States();
  for (const data of [undefined, null, 1, [], {}, { positions: {} }, { positions: [null] }, nameless]) {
    assert.equal(states.replace(message({ data })), null);
  }
  assert.deepEqual(states.since(), {});
});

test("a server that names neither bots nor epochs has no places", () => {
  const states = new States();
  assert.deepEqual(states.replace({ data: { positions: [] } }), { positions: [] });
  assert.deepEqual(states.since(), {});
});

test("the order is that of the code points, also beyond U+FFFF", () => {
  assert.ok("\u{1f600}" < "\uff5e" && compareCodePoints("\u{1f600}", "\uff5e") > 0);
  const random = seeded(1);
  const characters = ["a", "b", "|", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{1f600}", "\u{10ffff}"];
  const text = () => Array.from({ length: Math.floor(random() * 4) }, () => pick(random, characters)).join("");
  const points = (/** @type {string} */ of) => Array.from(of, (character) => character.codePointAt(0) ?? 0);
  for (let round = 0; round < 5_000; round += 1) {
    const [one, other] = [text(), text()];
    const [left, right] = [points(one), points(other)];
    const at = left.findIndex((point, index) => point !== right[index]);
    const expected = at < 0 || at >= right.length ? left.length - right.length : left[at] - right[at];
    assert.equal(Math.sign(compareCodePoints(one, other)), Math.sign(expected), JSON.stringify([one, other]));
  }
});

test("the place among the events begins where the server says, and moves with each event and each gap", () => {
  const places = new EventPlaces();
  assert.equal(places.since(), undefined);
  places.begin({ epoch: "e", since: { main: { epoch: "e", seq: 4 }, quiet: { epoch: "e", seq: 2 } } });
  assert.ok(places.heard({ bot: "main", epoch: "e", seq: 5 }));
  for (const seq of [4, 5]) {
    assert.ok(!places.heard({ bot: "main", epoch: "e", seq }), "it came twice");
  }
  places.lost({ bot: "main", epoch: "e", first: 6, last: 40 });
  const quiet = { epoch: "e", seq: 2 };
  assert.deepEqual(places.since(), { main: { epoch: "e", seq: 40 }, quiet });
  places.begin({ epoch: "e", since: null });
  places.begin({ epoch: "f", since: { main: { epoch: "e", seq: 40 }, new: { epoch: "f", seq: 0 } } });
  assert.deepEqual(places.since(), { main: { epoch: "e", seq: 40 }, quiet, new: { epoch: "f", seq: 0 } });
  places.lost({ bot: "main", epoch: "e", first: 41, last: null });
  assert.deepEqual(places.since(), { main: { epoch: "f", seq: 0 }, quiet, new: { epoch: "f", seq: 0 } });
});

test("no more bots are named than a server takes, and a place that was not named is not given up", () => {
  const [states, places] = [new States(), new EventPlaces()];
  const bots = Array.from({ length: 1_001 }, (_, number) => `bot ${number}`);
  for (const bot of bots) states.replace(message({ bot }));
  places.begin({ epoch: "e", since: Object.fromEntries(bots.map((bot) => [bot, { epoch: "e", seq: 3 }])) });
  for (const since of [states.since(), places.since() ?? {}]) {
    assert.equal(Object.keys(since).length, 1_000);
  }
  places.begin({ epoch: "e", since: { "bot 1000": { epoch: "e", seq: 0 } } });
  assert.ok(!places.heard({ bot: "bot 1000", epoch: "e", seq: 3 }));
});

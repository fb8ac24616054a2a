// @ts-check
/** RFC 7396: its own examples, and what must be true of every document. */

import assert from "node:assert/strict";
import test from "node:test";
import { isDeepStrictEqual } from "node:util";

import { applyMergePatch, isObject } from "../../examples/js-client/merge-patch.mjs";
import { randomObject, randomValue, seeded } from "./random.mjs";

/** Appendix A: target, patch, result. @type {[string, string, string][]} */
const RFC_EXAMPLES = [
  ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
  ['{"a":"b"}', '{"a":null}', "{}"],
  ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
  ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
  ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
  ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
  ['["a","b"]', '["c","d"]', '["c","d"]'],
  ['{"a":"b"}', '["c"]', '["c"]'],
  ['{"a":"foo"}', "null", "null"],
  ['{"a":"foo"}', '"bar"', '"bar"'],
  ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
  ["[1,2]", '{"a":"b","c":null}', '{"a":"b"}'],
  ["{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
];

/**
 * The patch from one object to another.
 * @param {Record<string, unknown>} one
 * @param {Record<string, unknown>} other
 * @returns {Record<string, unknown>}
 */
function difference(one, other) {
  const patch = new Map(Object.keys(one).map((name) => [name, /** @type {unknown} */ (null)]));
  for (const [name, value] of Object.entries(other)) {
    const before = Object.hasOwn(one, name) ? Object.getOwnPropertyDescriptor(one, name)?.value : undefined;
    if (isDeepStrictEqual(before, value)) patch.delete(name);
    else patch.set(name, isObject(before) && isObject(value) ? difference(before, value) : value);
  }
  return Object.fromEntries(patch);
}

test("the examples of the RFC", () => {
  for (const [target, patch, result] of RFC_EXAMPLES) {
    assert.deepEqual(applyMergePatch(JSON.parse(target), JSON.parse(patch)), JSON.parse(result), `${target} ${patch}`);
  }
});

test("a difference applied is the other document, and nothing that went in is changed", () => {
  const random = seeded(7396);
  for (let round = 0; round < 2_000; round += 1) {
    const [one, other] = [randomObject(random, 3), randomObject(random, 3)];
    const patch = difference(one, other);
    const before = JSON.stringify([one, patch]);
    assert.deepEqual(applyMergePatch(one, patch), other, before);
    assert.equal(JSON.stringify([one, patch]), before);
  }
});

test("a patch applied twice is a patch applied once", () => {
  const random = seeded(5789);
  for (let round = 0; round < 2_000; round += 1) {
    const [document, patch] = [randomValue(random, 3), difference(randomObject(random, 3), randomObject(random, 3))];
    const once = applyMergePatch(document, patch);
    assert.deepEqual(applyMergePatch(once, patch), once, JSON.stringify([document, patch]));
  }
});

test("a member called __proto__ is a member like any other", () => {
  const patched = applyMergePatch({}, JSON.parse('{"__proto__": {"isOwner": true}}'));
  assert.equal(JSON.stringify(patched), '{"__proto__":{"isOwner":true}}');
  assert.equal(/** @type {any} */ (patched).isOwner, undefined);
  assert.equal(/** @type {any} */ ({}).isOwner, undefined);
});

// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { refused, schemeHint, turnedAway } from "../../examples/js-client/endings.mjs";

test("a login that was refused is final, whatever the connection ends with", () => {
  for (const code of [1000, 1006, 1012, 4401, 4408]) {
    const { code: told, reason, isFinal } = refused({ message: "no" }, code);
    assert.deepEqual([told, reason, isFinal], [4401, "no", true]);
  }
});

test("one that was not heard is tried again, after the time that the server named, if it did", () => {
  for (const [waitS, code, notBeforeMs] of [
    [37, 4429, 37_000],
    [37, 1006, 37_000],
    [undefined, 4429, undefined],
    [undefined, 1013, undefined],
    [-1, 4429, undefined],
    ["soon", 4429, undefined],
  ]) {
    const ended = refused({ message: "not now", retry_after_s: waitS }, Number(code));
    assert.deepEqual(ended, { code, reason: "not now", isFinal: false, notBeforeMs });
  }
});

test("an HTTP answer is tried again, after its Retry-After, which may be a date or nonsense", () => {
  const now = Date.UTC(2026, 0, 1);
  for (const [value, notBeforeMs] of [
    ["7", 7_000],
    ["Thu, 01 Jan 2026 00:01:00 GMT", 60_000],
    ["Thu, 01 Jan 2020 00:01:00 GMT", 0],
    ["soon", undefined],
    ["", undefined],
    [undefined, undefined],
  ]) {
    const ended = turnedAway({ statusCode: 429, headers: { "retry-after": /** @type {any} */ (value) } }, now);
    const reason = "the server answered HTTP 429: too many failed logins or connections from this address";
    assert.deepEqual(ended, { code: 429, reason, isFinal: false, notBeforeMs });
  }
  assert.match(turnedAway({ statusCode: 302, headers: {} }, now).reason, /give the address/);
  assert.equal(turnedAway({ statusCode: 404, headers: {} }, now).reason, "the server answered HTTP 404");
});

test("where the address may begin with the wrong scheme, the other is proposed", () => {
  for (const [url, detail, tried] of [
    ["wss://x", "Client network socket disconnected before secure TLS connection was established", "ws://"],
    ["wss://x", "write EPROTO ...:wrong version number:...", "ws://"],
    ["ws://x", "socket hang up", "wss://"],
    ["ws://x", "Parse Error: Expected HTTP/", "wss://"],
    ["wss://x", "socket hang up", ""],
    ["ws://x", "connect ECONNREFUSED 127.0.0.1:1", ""],
    ["ws://x", "", ""],
  ]) {
    assert.equal(schemeHint(url, detail).split(": try ")[1] ?? "", tried, `${url} ${detail}`);
  }
});

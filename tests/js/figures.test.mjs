// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { detail, plain } from "../../examples/js-client/figures.mjs";

test("a detail has the digits that are its own, and everything else stays as it is", () => {
  for (const [value, text] of [
    [-0.019979999999999998, "-0.01998"],
    [99512.34, "99512.34"],
    [10003.038001408568, "10003.038"],
    [1678886400123, "1678886400123"],
    [0, "0"],
    [1e-7, "1e-7"],
    ["0.019979999999999998", "0.019979999999999998"],
    [true, "true"],
    [null, "null"],
  ]) {
    assert.equal(detail(value), text);
  }
});

test("a line is a line, whatever is in it", () => {
  assert.equal(plain("a\u001b[2Jb\nc\u009b\u202ed\ud800"), "a\ufffd[2Jb\ufffdc\ufffd\ufffdd\ufffd");
  assert.equal(plain("BTC/USDT:USDT 0.1 é 交易 🚀"), "BTC/USDT:USDT 0.1 é 交易 🚀");
});

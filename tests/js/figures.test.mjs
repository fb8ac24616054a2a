// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { detail } from "../../examples/js-client/figures.mjs";

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

// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { checkPrivacy } from "../../examples/js-client/login.mjs";

const BEYOND = ["ws://bot.example.org:8765", "ws://10.0.0.1", "ws://127.example.org", "ws://localhost.example.org"];
const HERE = ["ws://127.0.0.1:8765", "ws://127.1", "ws://localhost", "ws://[::1]:8765", "ws://[::ffff:127.0.0.1]"];

test("the token does not go unencrypted to another machine, unless it is said to", () => {
  for (const url of BEYOND) {
    assert.throws(() => checkPrivacy({ url, method: "token" }), /allowPlaintextToken/, url);
    checkPrivacy({ url, method: "token", allowPlaintextToken: true });
    checkPrivacy({ url, method: "scram" });
    checkPrivacy({ url });
  }
  for (const url of [...HERE, "wss://bot.example.org"]) {
    checkPrivacy({ url, method: "token" });
  }
});

// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { connect } from "../../examples/js-client/passivbot-client.mjs";

const LOGIN = { password: "password", publicKeyPart: "key" };

test("an address that is none is not taken for a path of the page's own host", () => {
  class WebSocket {
    constructor() {
      assert.fail("it connects");
    }
  }
  for (const url of ["127.0.0.1:8765", "http://127.0.0.1:8765", "https://x", "", "/ws", "localhost"]) {
    assert.throws(() => connect({ ...LOGIN, url, WebSocket }), /an address begins with ws:\/\/ or wss:\/\//, url);
  }
});

test("a Node without a WebSocket is told what to install", () => {
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, "WebSocket");
  Object.defineProperty(globalThis, "WebSocket", { value: undefined, configurable: true });
  try {
    assert.throws(() => connect({ ...LOGIN, url: "ws://127.0.0.1:1" }), /npm install ws, and pass it as `WebSocket`/);
  } finally {
    Object.defineProperty(globalThis, "WebSocket", descriptor ?? { value: undefined, configurable: true });
  }
});

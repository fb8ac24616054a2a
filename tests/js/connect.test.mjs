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

test("a network that is back ends a pause, but for one that the server asked for", () => {
  const page = new EventTarget();
  const listening = {
    addEventListener: page.addEventListener.bind(page),
    removeEventListener: page.removeEventListener.bind(page),
  };
  Object.assign(globalThis, listening);
  /** @type {any[]} */
  const sockets = [];
  class WebSocket {
    constructor() {
      sockets.push(this);
    }
    close() {}
  }
  /** @param {number} code @param {object} [refusal] what the server says before it closes */
  const triesAgain = (code, refusal) => {
    const connection = connect({ ...LOGIN, url: "ws://127.0.0.1:1", WebSocket, retry: { baseMs: 1e9, maxMs: 1e9 } });
    const socket = sockets.at(-1);
    if (refusal) socket.onmessage({ data: JSON.stringify({ type: "auth_result", success: false, ...refusal }) });
    socket.onclose({ code, reason: "" });
    page.dispatchEvent(new Event("online"));
    connection.close();
    return sockets.at(-1) !== socket;
  };
  assert.ok(triesAgain(1006));
  assert.ok(triesAgain(1012));
  assert.ok(!triesAgain(1013));
  assert.ok(!triesAgain(4429));
  assert.ok(!triesAgain(1006, { message: "later", retry_after_s: 37 }));
  for (const code of [4400, 4401, 4403]) {
    assert.ok(!triesAgain(code));
  }
  for (const name of Object.keys(listening)) {
    Reflect.deleteProperty(globalThis, name);
  }
});

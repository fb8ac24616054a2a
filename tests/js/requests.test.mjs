// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { Requests } from "../../examples/js-client/requests.mjs";

test("what is asked while nobody is connected, or whose answer is lost, is sent by the next connection", async () => {
  const requests = new Requests(5_000);
  /** @type {Record<string, any>[]} */
  const sent = [];
  const asked = requests.ask({ type: "ping" }, "pong");
  assert.equal(sent.length, 0);
  requests.begin((message) => sent.push(message));
  requests.lose();
  requests.begin((message) => sent.push(message));
  assert.deepEqual(sent, [sent[0], sent[0]]);
  assert.ok(requests.settle({ type: "pong", id: sent[0].id }));
  assert.equal((await asked).type, "pong");
  assert.ok(!requests.settle({ type: "pong", id: sent[0].id }));
  requests.lose();
  requests.begin(() => assert.fail("it was answered"));
});

test("what is not answered in time is refused, and says whether somebody was connected", async () => {
  const requests = new Requests(1);
  await assert.rejects(requests.ask({ type: "ping" }, "pong"), { message: "no pong in 1 ms; not connected" });
  requests.begin(() => {});
  await assert.rejects(requests.ask({ type: "ping" }, "pong"), { message: "no pong in 1 ms" });
});

test("at the end all are refused, those too that come after it", async () => {
  const requests = new Requests(5_000);
  const asked = requests.ask({ type: "ping" }, "pong");
  requests.end("closed by this client");
  const refusal = { message: "no pong: closed by this client" };
  await assert.rejects(asked, refusal);
  await assert.rejects(requests.ask({ type: "ping" }, "pong"), refusal);
});

test("an answer without an id is that of the oldest that it can answer", async () => {
  const requests = new Requests(5_000);
  requests.begin(() => {});
  const [config, one, other] = ["config", "pong", "pong"].map((answer) => requests.ask({ type: "x" }, answer));
  requests.settle({ type: "pong", which: 1 });
  requests.settle({ type: "pong", which: 2 });
  requests.settle({ type: "config" });
  assert.deepEqual(
    (await Promise.all([config, one, other])).map(({ which }) => which),
    [undefined, 1, 2],
  );
  assert.ok(!requests.settle({ type: "statistics" }));
});

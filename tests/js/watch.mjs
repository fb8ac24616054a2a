// @ts-check
/**
 * The client module as a process: options as JSON in the arguments, what its callbacks are told as lines of
 * JSON on standard output, and calls as lines of JSON on standard input. Ends with the connection.
 */

import process from "node:process";
import { createInterface } from "node:readline";

import { connect } from "../../examples/js-client/passivbot-client.mjs";

const { channels, ...options } = JSON.parse(process.argv[2]);
// @ts-ignore: the package has no types of its own
const { WebSocket } = await import("../../examples/js-client/node_modules/ws/wrapper.mjs");

/** @param {unknown[]} parts */
function tell(...parts) {
  process.stdout.write(`${JSON.stringify(parts)}\n`);
}

/** Tells what comes over the wire too: what the module makes of it does not show whether it came whole. */
class ToldSocket extends WebSocket {
  /** @param {string} url */
  constructor(url) {
    super(url);
    this.addEventListener("message", (/** @type {MessageEvent} */ { data }) => tell("received", data));
  }
}

/** @type {Record<string, object>} */
const CALLBACKS = {
  statistics: {
    onStatistics: (/** @type {object} */ data, /** @type {object} */ origin) => tell("statistics", data, origin),
  },
  events: {
    onEvent: (/** @type {object} */ event, /** @type {object} */ origin) => tell("event", event, origin),
    onGap: (/** @type {object} */ gap) => tell("gap", gap),
  },
  config: { onConfigChanged: (/** @type {object} */ change) => tell("config_changed", change) },
};

/** @type {any} */
const connection = connect({
  ...options,
  ...Object.assign({}, ...channels.map((/** @type {string} */ channel) => CALLBACKS[channel])),
  WebSocket: ToldSocket,
  onState: (state) => {
    tell("state", state);
    if (state.state === "ended") process.stdin.destroy(); // nothing is left to be done
  },
  onSubscribed: (subscribed) => tell("subscribed", subscribed),
  onError: (error) => tell("error", error),
});

const calls = createInterface({ input: process.stdin });
calls.on("line", async (line) => {
  const [method, ...parameters] = JSON.parse(line);
  try {
    tell("answer", method, (await connection[method](...parameters)) ?? null);
  } catch (error) {
    const { message, code } = /** @type {{ message: string, code?: string }} */ (error);
    tell("refused", method, message, code ?? null);
  }
});

// @ts-check
/** Watch a bot from a terminal; run without arguments to see how. */

import process from "node:process";

import { connect } from "./passivbot-client.mjs";

/** @typedef {import("./passivbot-client.mjs").Statistics} Statistics */

const USAGE = `Usage: node cli.mjs ADDRESS PASSWORD KEY_PART [--config] [--once]

  ADDRESS    where the bot is served, such as ws://127.0.0.1:8765
  PASSWORD   its websocket_password
  KEY_PART   its websocket_public_key_part
  --config   print the bot's configuration once
  --once     end after the first statistics (and the configuration, if asked for)

Exit codes: 0 done, 1 no login or no connection, 2 wrong usage.`;

/** How long a server may take to agree to the end. */
const CLOSE_MS = 2_000;

const FLAGS = ["--config", "--once"];
const given = process.argv.slice(2);
const flags = given.filter((argument) => FLAGS.includes(argument));
const [url, password, publicKeyPart, ...rest] = given.filter((argument) => !FLAGS.includes(argument));

if (!url || !password || !publicKeyPart || rest.length > 0) {
  console.error(USAGE);
  process.exit(2);
}
process.stdout.on("error", () => process.exit(0)); // the reader left, as `head` does
await watch({ wantsConfig: flags.includes("--config"), isOnce: flags.includes("--once") });

/** @param {{ wantsConfig: boolean, isOnce: boolean }} wishes */
async function watch({ wantsConfig, isOnce }) {
  const waitingFor = new Set(wantsConfig ? ["statistics", "config"] : ["statistics"]);
  /** @type {number | null} */
  let code = null; // set by who ends it here
  const options = {
    url,
    password,
    publicKeyPart,
    WebSocket: await findWebSocket(),
    onLogin() {
      if (wantsConfig) connection.getConfig("config");
    },
    onStatistics(/** @type {Statistics} */ data, /** @type {{ bot?: string }} */ { bot }) {
      if (code !== null || (isOnce && !waitingFor.has("statistics"))) return;
      console.log(line(bot, data));
      done("statistics");
    },
    onConfig(/** @type {object} */ config) {
      console.log(JSON.stringify(config, null, 2));
      done("config");
    },
    onError(/** @type {{ message: string, id?: string | number }} */ { message, id }) {
      console.error(`server: ${message}`);
      if (id === "config" && isOnce) end(1);
    },
    onClose(/** @type {import("./passivbot-client.mjs").Closed} */ { reason, mayRetry }) {
      if (code === null) {
        console.error(`${reason}; ${mayRetry ? "try again later" : "trying again will not help"}`);
      }
      process.exitCode = code ?? 1;
      process.removeAllListeners("SIGINT"); // nothing is left to be done
    },
  };
  const connection = open(options);
  process.on("SIGINT", () => end(0));

  /** @param {string} what */
  function done(what) {
    waitingFor.delete(what);
    if (isOnce && waitingFor.size === 0) end(0);
  }

  /** @param {number} exitCode */
  function end(exitCode) {
    code = exitCode;
    connection.close();
    setTimeout(() => process.exit(exitCode), CLOSE_MS).unref();
  }
}

/** @param {import("./passivbot-client.mjs").Options} options */
function open(options) {
  try {
    return connect(options);
  } catch (error) {
    console.error(`${options.url}: ${/** @type {Error} */ (error).message}`);
    return process.exit(2);
  }
}

/** Node's own WebSocket (22 and later), or the one of the package ws. */
async function findWebSocket() {
  const { webcrypto } = await import("node:crypto");
  globalThis.crypto ??= /** @type {Crypto} */ (webcrypto); // Node 18 keeps it there only
  if (globalThis.WebSocket) {
    return globalThis.WebSocket;
  }
  try {
    // @ts-ignore: the package has no types of its own
    return (await import("ws")).WebSocket;
  } catch {
    console.error(`this Node has no WebSocket of its own; run "npm install" in ${import.meta.dirname ?? "this folder"}`);
    return process.exit(1);
  }
}

/**
 * @param {string | undefined} bot
 * @param {Statistics} data
 */
function line(bot, data) {
  return (
    `${bot ?? "main"} ${data.status ?? "unknown"}: balance ${amount(data.balance)} ${data.quote ?? ""}`.trimEnd() +
    `, upnl ${amount(data.upnl)}, ${data.positions.length} positions, ${data.open_orders_count ?? "?"} open orders`
  );
}

/** @param {number | null} value */
function amount(value) {
  return value === null ? "?" : value.toFixed(2);
}

// @ts-check
/** Watch bots from a terminal; run without arguments to see how. */

import process from "node:process";
import { parseArgs } from "node:util";

import { connect } from "./passivbot-client.mjs";

/** @typedef {import("./types.mjs").Statistics} Statistics */
/** @typedef {import("./types.mjs").BotEvent} BotEvent */

const USAGE = `Usage: node cli.mjs ADDRESS PASSWORD KEY_PART [options]

  ADDRESS    where the bot is served, such as ws://127.0.0.1:8765
  PASSWORD   its websocket_password
  KEY_PART   its websocket_public_key_part
  --bot NAME this bot only; may be given again
  --events   print what happens at the bots, too
  --config   print the configuration once
  --list     print the bots and how they are, and end
  --once     end after the first statistics (and the configuration, if asked for)
  --token    log in with the published token: for servers that know no SCRAM-SHA-256
  --allow-plaintext-token
             send it by ws:// to another machine, for everybody between to read

It comes back when the connection is lost; with --once or --list it tries once.

Exit codes: 0 done, 1 no login, no connection or not allowed, 2 wrong usage.`;

/** How long a server may take to agree to the end. */
const CLOSE_MS = 2_000;

const { address: url, password, publicKeyPart, flags } = readArguments();
const isOneTry = Boolean(flags.once || flags.list);
/** What is still to be printed before the end, where there is one. */
const waitingFor = new Set(flags.list ? ["list"] : flags.config ? ["statistics", "config"] : ["statistics"]);
/** @type {number | null} */
let exitCode = null; // set by who ends it here

process.stdout.on("error", () => process.exit(0)); // the reader left, as `head` does
process.on("SIGINT", () => end(0));

const connection = open({
  url,
  password,
  publicKeyPart,
  method: flags.token ? "token" : "scram",
  allowPlaintextToken: flags["allow-plaintext-token"],
  bots: flags.bot,
  WebSocket: await findWebSocket(),
  onState: tellState,
  onStatistics: flags.list ? undefined : tellStatistics,
  onEvent: flags.events ? tellEvent : undefined,
  onGap: ({ bot, first, last }) => console.log(`${bot}: events ${first} to ${last ?? "?"} are lost`),
  onError({ message, code, channel }) {
    console.error(`server: ${message}`);
    if (code === "forbidden" && channel !== "events") skip("statistics");
  },
});

/** @param {import("./types.mjs").ConnectionState} state */
function tellState({ state, reason, retryInMs }) {
  if (state === "live") {
    ask();
    if (!flags.list) tellOfSilence();
  } else if (state === "waiting") {
    // A certificate does not mend itself.
    const isLast = isOneTry || /certificate/i.test(reason ?? "");
    const again = isOneTry ? "try again later" : `trying again in ${((retryInMs ?? 0) / 1000).toFixed(1)} s`;
    console.error(isLast && !isOneTry ? reason : `${reason}; ${again}`);
    if (/certificate|network error/i.test(reason ?? "") && url.startsWith("wss://")) {
      console.error("If its certificate is your own, name it: NODE_EXTRA_CA_CERTS=cert.pem node cli.mjs ...");
    }
    if (isLast) end(1);
  } else if (state === "ended") {
    if (exitCode === null) {
      console.error(`${reason}; trying again will not help`);
    }
    process.exitCode = exitCode ?? 1;
    process.removeAllListeners("SIGINT"); // nothing is left to be done
    setTimeout(() => process.exit(), CLOSE_MS).unref();
  }
}

async function ask() {
  try {
    if (flags.list) {
      for (const bot of await connection.listBots()) {
        const age = bot.age_ms === null ? "no snapshot yet" : `${(bot.age_ms / 1000).toFixed(1)} s ago`;
        console.log(`${bot.bot} ${bot.status ?? "unknown"}: ${bot.exchange ?? "?"}, ${age}`);
      }
      done("list");
    } else if (waitingFor.has("config") || (flags.config && !flags.once)) {
      flags.config = false; // once, however often it comes back
      const { config } = await connection.getConfig({ bot: flags.bot?.[0] });
      console.log(JSON.stringify(config, null, 2));
      done("config");
    }
  } catch (error) {
    if (exitCode !== null) return; // it was we who left
    console.error(`server: ${/** @type {Error} */ (error).message}`);
    if (isOneTry) end(1);
  }
}

/** Who sees nothing is to know that it is not the connection. */
async function tellOfSilence() {
  try {
    const bots = (await connection.listBots()).filter(({ bot }) => flags.bot?.includes(bot) ?? true);
    if (exitCode === null && bots.every(({ seq }) => seq === 0)) {
      console.error(`connected; nothing is known of ${flags.bot?.join(", ") ?? "any bot"} yet`);
    }
  } catch {
    // a server of the published interface says it by itself
  }
}

/**
 * @param {Statistics} data
 * @param {{ bot?: string }} origin
 */
function tellStatistics(data, { bot }) {
  if (exitCode !== null || (flags.once && !waitingFor.has("statistics"))) return;
  console.log(
    `${bot ?? "main"} ${data.status ?? "unknown"}: balance ${amount(data.balance)} ${data.quote ?? ""}`.trimEnd() +
      `, upnl ${amount(data.upnl)}, ${data.positions.length} positions, ${data.open_orders_count ?? "?"} open orders`,
  );
  done("statistics");
}

/**
 * @param {BotEvent} event
 * @param {{ bot?: string }} origin
 */
function tellEvent({ timestamp, kind, symbol, side, details }, { bot }) {
  const where = [symbol, side].filter(Boolean).join(" ");
  const what = Object.entries(details).map(([name, value]) => `${name}=${value}`);
  console.log([`${bot} ${new Date(timestamp).toISOString()} ${kind}`, where, ...what].filter(Boolean).join(" "));
}

/** @param {string} what */
function done(what) {
  waitingFor.delete(what);
  if (isOneTry && waitingFor.size === 0) end(0);
}

/** It will not come: end if there is nothing else to wait for. @param {string} what */
function skip(what) {
  waitingFor.delete(what);
  if ((isOneTry && waitingFor.size === 0) || !(flags.events || waitingFor.size)) end(1);
}

/** @param {number} code */
function end(code) {
  exitCode ??= code;
  connection.close();
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        bot: { type: "string", multiple: true },
        events: { type: "boolean" },
        config: { type: "boolean" },
        list: { type: "boolean" },
        once: { type: "boolean" },
        token: { type: "boolean" },
        "allow-plaintext-token": { type: "boolean" },
      },
    });
    const [address, password, publicKeyPart, ...rest] = positionals;
    if (address && password && publicKeyPart && rest.length === 0) {
      if (!/^wss?:\/\//.test(address)) {
        console.error(`${address}: an address begins with ws:// or wss://, such as ws://127.0.0.1:8765`);
        return process.exit(2);
      }
      return { address, password, publicKeyPart, flags: values };
    }
  } catch {
    // parseArgs says what is unknown; the usage says what there is
  }
  console.error(USAGE);
  return process.exit(2);
}

/** @param {import("./types.mjs").Options} options */
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
    const folder = import.meta.dirname ?? "this folder";
    console.error(`this Node has no WebSocket of its own; run "npm install --omit=dev" in ${folder}`);
    return process.exit(1);
  }
}

/** @param {number | null} value */
function amount(value) {
  return value === null ? "?" : value.toFixed(2);
}

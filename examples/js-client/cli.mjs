// @ts-check
/** Watch bots from a terminal; run without arguments to see how. */

import process from "node:process";

import { findPassword, readArguments, refuse } from "./arguments.mjs";
import { detail, plain } from "./figures.mjs";
import { connect } from "./passivbot-client.mjs";

/** @typedef {import("./types.mjs").Statistics} Statistics */
/** @typedef {import("./types.mjs").BotEvent} BotEvent */
/** @typedef {import("./types.mjs").BotStatus} BotStatus */

/** How long a server may take to agree to the end. */
const CLOSE_MS = 2_000;

/** The end of what a server says where it does not let anybody in now. */
const SAID_WHEN = /; try again (?:later|in \d+ s)$/;

const { address: url, password: given, publicKeyPart, flags } = readArguments();
const isOneTry = Boolean(flags.once || flags.list);
/** What is still to be printed before the end, where there is one. */
const waitingFor = new Set(flags.list ? ["list"] : flags.config ? ["statistics", "config"] : ["statistics"]);
/** @type {number | null} */
let exitCode = null; // set by who ends it here

process.stdout.on("error", () => process.exit(0)); // the reader left, as `head` does

const connection = open({
  url,
  WebSocket: await findWebSocket(), // before anybody is asked for a password
  password: given === "-" ? await findPassword() : given,
  publicKeyPart,
  method: flags.token ? "token" : "scram",
  allowPlaintextToken: flags["allow-plaintext-token"],
  bots: flags.bot,
  onState: tellState,
  onStatistics: flags.list ? undefined : tellStatistics,
  onEvent: flags.events ? tellEvent : undefined,
  onGap: flags.events ? tellGap : undefined,
  onError({ message, code, channel }) {
    const isBlind = code === "forbidden" && channel === "statistics" && !flags.events;
    complain(`server: ${message}${isBlind ? "; --events shows what happens, where it may see that" : ""}`);
    if (code === "forbidden" && channel !== "events") skip("statistics");
  },
});
process.on("SIGINT", () => end(0));

/** @param {string} line */
function print(line) {
  console.log(plain(line));
}

/** @param {string} line */
function complain(line) {
  console.error(plain(line));
}

/** What a terminal might obey, as JSON may say it too. @param {string} character */
function escaped(character) {
  return character.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
}

/** @param {import("./types.mjs").ConnectionState} state */
function tellState({ state, reason, retryInMs }) {
  if (state === "live") {
    ask();
    if (!flags.list) lookForBots();
  } else if (state === "waiting") {
    // A certificate does not mend itself.
    const isLast = isOneTry || /certificate/i.test(reason ?? "");
    complain(isLast && !isOneTry ? (reason ?? "") : `${reason?.replace(SAID_WHEN, "")}; ${when(retryInMs ?? 0)}`);
    if (/certificate|network error/i.test(reason ?? "") && url.startsWith("wss://")) {
      complain("If its certificate is your own, name it: NODE_EXTRA_CA_CERTS=cert.pem node cli.mjs ...");
    }
    if (isLast) end(1);
  } else if (state === "ended") {
    if (exitCode === null) {
      complain(`${reason}; trying again will not help`);
    }
    process.exitCode = exitCode ?? 1;
    process.removeAllListeners("SIGINT"); // nothing is left to be done
    setTimeout(() => process.exit(), CLOSE_MS).unref();
  }
}

/** @param {number} retryInMs */
function when(retryInMs) {
  const seconds = retryInMs / 1000;
  if (!isOneTry) {
    return `trying again in ${seconds.toFixed(1)} s`;
  }
  // The first pause is shorter than a second, unless the server asked for more.
  return seconds < 1 ? "try again later" : `try again in ${Math.ceil(seconds)} s`;
}

async function ask() {
  try {
    if (flags.list) {
      for (const bot of await connection.listBots()) {
        print(describe(bot));
      }
      done("list");
    } else if (waitingFor.has("config") || (flags.config && !flags.once)) {
      flags.config = false; // once, however often it comes back
      const { config } = await connection.getConfig({ bot: flags.bot?.[0] });
      console.log(JSON.stringify(config, null, 2).replace(/(?!\n)\p{C}/gu, escaped));
      done("config");
    }
  } catch (error) {
    if (exitCode !== null) return; // it was we who left
    complain(`server: ${/** @type {Error} */ (error).message}`);
    if (isOneTry) end(1);
  }
}

/** @param {BotStatus} bot */
function describe({ bot, status, exchange, age_ms: ageMs }) {
  if (ageMs === null) {
    return `${bot}: no snapshot yet`;
  }
  return `${bot} ${status ?? "unknown"}: ${exchange ?? "?"}, ${(ageMs / 1000).toFixed(1)} s ago`;
}

/** Who sees nothing is to know that it is not the connection; who tries once is not to wait for it. */
async function lookForBots() {
  try {
    const bots = await connection.listBots();
    const wanted = bots.filter(({ bot }) => flags.bot?.includes(bot) ?? true);
    if (exitCode !== null || wanted.some(({ seq }) => seq > 0)) {
      return;
    }
    const others = bots.filter((bot) => !wanted.includes(bot)).map(({ bot }) => bot);
    const there = others.length > 0 ? `; there is ${others.join(", ")}` : "";
    complain(`connected; nothing is known of ${flags.bot?.join(", ") ?? "any bot"} yet${there}`);
    if (flags.once) end(1);
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
  print(
    `${bot ?? "main"} ${data.status ?? "unknown"}: balance ${amount(data.balance)} ${data.quote ?? ""}`.trimEnd() +
      `, upnl ${amount(data.upnl)}, positions ${data.positions.length}, open orders ${data.open_orders_count ?? "?"}`,
  );
  done("statistics");
}

/**
 * @param {BotEvent} event
 * @param {{ bot?: string }} origin
 */
function tellEvent({ timestamp, kind, symbol, side, details }, { bot }) {
  const where = [symbol, side].filter(Boolean).join(" ");
  const what = Object.entries(details).map(([name, value]) => `${name}=${detail(value)}`);
  print([`${bot} ${new Date(timestamp).toISOString()} ${kind}`, where, ...what].filter(Boolean).join(" "));
}

/** @param {import("./types.mjs").Gap} gap */
function tellGap({ bot, first, last }) {
  print(`${bot}: events ${first} to ${last ?? "?"} are lost`);
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

/** @param {import("./types.mjs").Options} options */
function open(options) {
  try {
    return connect(options);
  } catch (error) {
    return refuse(`${options.url}: ${/** @type {Error} */ (error).message}`);
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
    complain(`this Node has no WebSocket of its own; run "npm install --omit=dev" in ${folder}`);
    return process.exit(1);
  }
}

/** @param {number | null} value */
function amount(value) {
  return value === null ? "?" : value.toFixed(2);
}

// @ts-check
/**
 * A client of the Passivbot WebSocket API, for browsers and for Node, without dependencies. It logs in,
 * subscribes, comes back when the connection is lost, and goes on where it stood.
 *
 *     import { connect } from "./passivbot-client.mjs";
 *
 *     connect({
 *       url: "ws://127.0.0.1:8765",
 *       password: "...",
 *       publicKeyPart: "...",
 *       onState: ({ state, reason }) => console.log(state, reason),
 *       onStatistics: (data, { bot }) => console.log(bot, data.balance, data.upnl),
 *     });
 *
 * A browser's WebSocket cannot be told to wait: what the server sends is handed on at once, in order. A
 * page that is slow to draw keeps the latest statistics of each bot and draws them in an animation frame.
 */

import { Backoff } from "./backoff.mjs";
import { LATER_CODES } from "./endings.mjs";
import { Link, TIMEOUT_MS } from "./link.mjs";
import { checkPrivacy } from "./login.mjs";
import { Requests } from "./requests.mjs";
import { Subscriptions } from "./subscriptions.mjs";

export { generateAuthToken } from "./login.mjs";
export { RequestError } from "./requests.mjs";

/** @typedef {import("./types.mjs").Options} Options */
/** @typedef {import("./types.mjs").BotStatus} BotStatus */
/** @typedef {import("./link.mjs").Message} Message */

/**
 * Connect and log in, again and again where that makes sense. What comes of it is told to the callbacks.
 * @param {Options} options
 * @returns {Connection}
 * @throws {Error} The url is none, the browser forbids it, an option is missing, or the token would be shown.
 */
export function connect(options) {
  return new Connection(options);
}

/** A connection that is kept up until it is closed, or until the server will not have us. */
export class Connection {
  #options;
  #backoff;
  #requests;
  #subscriptions;
  /** @type {Link | null} */ #link = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #retry;
  #liveSince = 0;
  #mayHurry = false; // whether the present pause may be cut short
  #isEnded = false;
  #isOnline = () => this.#hurry();
  #isLookedAt = () => document.visibilityState === "visible" && this.#hurry();

  /** @param {Options} options */
  constructor(options) {
    if (!(options.WebSocket ?? globalThis.WebSocket)) {
      throw new Error("Node before 22 has no WebSocket: npm install ws, and pass it as `WebSocket`");
    }
    if (!/^wss?:\/\//i.test(options.url)) {
      throw new Error("an address begins with ws:// or wss://, such as ws://127.0.0.1:8765");
    }
    if (!options.password || !options.publicKeyPart) {
      throw new Error("password and public key part are both needed");
    }
    checkPrivacy(options);
    this.#options = options;
    this.#requests = new Requests(options.timeoutMs ?? TIMEOUT_MS);
    this.#backoff = new Backoff(options.retry);
    this.#subscriptions = new Subscriptions(options);
    this.#open();
    globalThis.addEventListener?.("online", this.#isOnline);
    globalThis.document?.addEventListener("visibilitychange", this.#isLookedAt);
  }

  /**
   * A bot's configuration.
   * @param {{ bot?: string }} [which] default: the first that has one
   * @returns {Promise<{ config: Record<string, unknown>, bot?: string, hash?: string }>}
   */
  async getConfig({ bot } = {}) {
    const answer = await this.#requests.ask({ type: "get_config", bot }, "config");
    return { config: answer.data, bot: answer.bot, hash: answer.hash };
  }

  /**
   * The bots, and how each of them is.
   * @returns {Promise<BotStatus[]>}
   */
  async listBots() {
    return (await this.#requests.ask({ type: "list_bots" }, "bots")).data;
  }

  /** Whether the server is there: resolved when it answers. */
  async ping() {
    await this.#requests.ask({ type: "ping" }, "pong");
  }

  /** End it, for good. */
  close() {
    if (this.#link !== null) {
      this.#link.close();
    } else {
      this.#end({ code: 1000, reason: "closed by this client" });
    }
  }

  // --- from one link to the next -----------------------------------------------------

  #open() {
    const link = new Link(this.#options, {
      subscriptions: () => this.#subscriptions.all(),
      onLive: () => this.#enter(link),
      onMessage: (message) => this.#requests.settle(message) || this.#subscriptions.receive(message, link),
      onEnd: (ended) => this.#lose(ended),
    });
    this.#link = link;
    this.#liveSince = Infinity;
    // Not before `connect` has returned: the callback may use what it returns.
    queueMicrotask(() => this.#link === link && this.#options.onState?.({ state: "connecting" }));
  }

  /** @param {Link} link */
  #enter(link) {
    this.#liveSince = performance.now();
    this.#subscriptions.begin();
    this.#requests.begin((message) => link.send(message));
    this.#options.onState?.({ state: "live" });
  }

  /** @param {import("./endings.mjs").Ended} ended */
  #lose({ code, reason, isFinal, notBeforeMs }) {
    this.#link = null;
    this.#requests.lose();
    if (isFinal) {
      this.#end({ code, reason });
      return;
    }
    const retryInMs = this.#backoff.next(code, performance.now() - this.#liveSince, notBeforeMs);
    this.#mayHurry = !LATER_CODES.includes(code) && !notBeforeMs;
    this.#retry = setTimeout(() => this.#tryAgain(), retryInMs);
    this.#options.onState?.({ state: "waiting", code, reason, retryInMs });
  }

  #tryAgain() {
    clearTimeout(this.#retry);
    try {
      this.#open();
    } catch (error) {
      this.#end({ code: 1006, reason: /** @type {Error} */ (error).message });
    }
  }

  /** The network is back, or somebody looks at the page again. */
  #hurry() {
    if (this.#link !== null) {
      this.#link.check();
    } else if (this.#mayHurry) {
      this.#tryAgain();
    }
  }

  /** @param {{ code: number, reason: string }} how */
  #end({ code, reason }) {
    if (this.#isEnded) {
      return;
    }
    this.#isEnded = true;
    clearTimeout(this.#retry);
    this.#requests.end(reason);
    globalThis.removeEventListener?.("online", this.#isOnline);
    globalThis.document?.removeEventListener("visibilitychange", this.#isLookedAt);
    this.#options.onState?.({ state: "ended", code, reason });
  }
}

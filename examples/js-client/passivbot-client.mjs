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

import { Backoff, LATER_CODES } from "./backoff.mjs";
import { Link } from "./link.mjs";
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
 * @throws {Error} The url is none, the browser forbids it, or an option is missing.
 */
export function connect(options) {
  return new Connection(options);
}

/** A connection that is kept up until it is closed, or until the server will not have us. */
export class Connection {
  #options;
  #backoff;
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
      throw new Error("no WebSocket here: pass one in");
    }
    if (!options.password || !options.publicKeyPart) {
      throw new Error("password and public key part are both needed");
    }
    this.#options = options;
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
    const answer = await this.#request({ type: "get_config", bot }, "config");
    return { config: answer.data, bot: answer.bot, hash: answer.hash };
  }

  /**
   * The bots, and how each of them is.
   * @returns {Promise<BotStatus[]>}
   */
  async listBots() {
    return (await this.#request({ type: "list_bots" }, "bots")).data;
  }

  /** Whether the server is there: resolved when it answers. */
  async ping() {
    await this.#request({ type: "ping" }, "pong");
  }

  /** End it, for good. */
  close() {
    if (this.#link !== null) {
      this.#link.close();
    } else {
      this.#end({ code: 1000, reason: "closed by this client" });
    }
  }

  /**
   * @param {Message} message
   * @param {string} answer
   * @returns {Promise<Message>}
   */
  #request(message, answer) {
    return new Promise((resolve, reject) => {
      if (this.#link === null) {
        reject(new Error("not connected"));
      } else {
        this.#link.ask(message, { answer, resolve, reject });
      }
    });
  }

  // --- from one link to the next -----------------------------------------------------

  #open() {
    const link = new Link(this.#options, {
      subscriptions: () => this.#subscriptions.all(),
      onLive: () => this.#enter(),
      onMessage: (message) => this.#subscriptions.receive(message, link),
      onEnd: (ended) => this.#lose(ended),
    });
    this.#link = link;
    this.#liveSince = Infinity;
    // Not before `connect` has returned: the callback may use what it returns.
    queueMicrotask(() => this.#link === link && this.#options.onState?.({ state: "connecting" }));
  }

  #enter() {
    this.#liveSince = performance.now();
    this.#subscriptions.begin();
    this.#options.onState?.({ state: "live" });
  }

  /** @param {import("./link.mjs").Ended} ended */
  #lose({ code, reason, isFinal }) {
    this.#link = null;
    if (isFinal) {
      this.#end({ code, reason });
      return;
    }
    const retryInMs = this.#backoff.next(code, performance.now() - this.#liveSince);
    this.#mayHurry = !LATER_CODES.includes(code);
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
    globalThis.removeEventListener?.("online", this.#isOnline);
    globalThis.document?.removeEventListener("visibilitychange", this.#isLookedAt);
    this.#options.onState?.({ state: "ended", code, reason });
  }
}

// @ts-check
/** One connection, from connecting through the login to its end. */

import { FINAL_CODES, refused, schemeHint, turnedAway } from "./endings.mjs";
import { makeLogin } from "./login.mjs";
import { isObject } from "./merge-patch.mjs";
import { Pace } from "./pace.mjs";

/** @typedef {import("./types.mjs").Options} Options */
/** @typedef {import("./endings.mjs").Ended} Ended */
/** @typedef {Record<string, any>} Message */

/**
 * @typedef {object} Handlers
 * @property {() => Message[]} subscriptions what to ask for with the login; asked when it is sent
 * @property {() => void} onLive the server let us in, and proved itself if it was asked to
 * @property {(message: Message) => void} onMessage what it sends from then on
 * @property {(ended: Ended) => void} onEnd comes once, and nothing after it
 */

/** What the server takes in one message before the login, 8 KiB, less some room. */
const AUTH_MAX_BYTES = 8_000;

const KEEPALIVE_MS = 20_000;

/** For the login, for each request and each ping. */
export const TIMEOUT_MS = 10_000;

/** One connection. */
export class Link {
  #options;
  #handlers;
  #socket;
  #login;
  #timeoutMs;
  #pace;
  #deadline; // of the login
  /** The next ping, or the end if that one is not answered. @type {ReturnType<typeof setTimeout> | undefined} */
  #watch;
  /** Subscriptions too long to go with the login. @type {Message[]} */
  #late = [];
  #isOpen = false;
  #isLive = false;
  #isEnded = false;
  /** What the server said when it refused the login. @type {Message | null} */
  #refusal = null;
  #detail = "";

  /**
   * @param {Options} options
   * @param {Handlers} handlers
   * @throws {Error} The url is none, or the browser forbids it.
   */
  constructor(options, handlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#login = makeLogin(options);
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#pace = new Pace((/** @type {Message} */ message) => this.#send(message));
    this.#socket = new (options.WebSocket ?? globalThis.WebSocket)(options.url);
    this.#socket.onopen = () => this.#begin();
    this.#socket.onmessage = (/** @type {MessageEvent} */ { data }) => this.#receive(data);
    this.#socket.onerror = (/** @type {ErrorEvent} */ event) => this.#stumble(event);
    this.#socket.onclose = (/** @type {CloseEvent} */ event) => this.#closed(event.code, event.reason);
    // Of an HTTP answer in place of the handshake's, the package ws tells; a browser tells a page nothing.
    this.#socket.on?.("unexpected-response", (/** @type {unknown} */ _request, /** @type {any} */ answer) =>
      this.#finish(turnedAway(answer, Date.now())),
    );
    this.#deadline = setTimeout(() => this.#closed(1006, `no answer from ${options.url}`), this.#timeoutMs);
  }

  /** Send a message, once logged in, as soon as the server is to take it. @param {Message} message */
  send(message) {
    this.#pace.push(message);
  }

  /** Ask now whether the server is there; the connection ends if it does not answer in time. */
  check() {
    if (this.#isLive && !this.#isEnded) {
      clearTimeout(this.#watch);
      this.#send({ type: "ping" });
      this.#watch = setTimeout(() => this.#stalled(), this.#timeoutMs);
    }
  }

  /** End it: our own wish. */
  close() {
    this.#finish({ code: 1000, reason: "closed by this client", isFinal: true }, 1000);
  }

  /** To pass over what does not hold would show an old state as the latest. @param {string} reason */
  lose(reason) {
    this.#finish({ code: 1006, reason, isFinal: false });
  }

  // --- the login ---------------------------------------------------------------------

  async #begin() {
    this.#isOpen = true;
    await this.#say(() => this.#login.begin());
  }

  /** @param {() => Promise<Message>} make */
  async #say(make) {
    try {
      const message = await make();
      this.#send(message.type === "auth" ? this.#withSubscriptions(message) : message);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {Message} auth */
  #withSubscriptions(auth) {
    const subscribe = this.#handlers.subscriptions();
    const message = { ...auth, subscribe };
    if (new TextEncoder().encode(JSON.stringify(message)).length <= AUTH_MAX_BYTES) {
      return message;
    }
    this.#late = subscribe; // after the login a message may be longer
    return { ...auth, subscribe: [] };
  }

  /** @param {Message} message */
  #receiveAnswer(message) {
    switch (message.type) {
      case "challenge":
        this.#say(() => this.#login.answer(message.data));
        break;
      case "auth_result":
        if (message.success === true) {
          this.#enter(message.data);
        } else {
          this.#refusal = message; // the close code that follows says whether to come back
        }
        break;
      default: // nothing that somebody says who has not proved himself counts
        this.#try(() => this.#login.overhear());
    }
  }

  /** @param {unknown} proof */
  #enter(proof) {
    if (!this.#try(() => this.#login.verify(proof))) {
      return;
    }
    this.#isLive = true;
    clearTimeout(this.#deadline);
    for (const subscription of this.#late) {
      this.send({ type: "subscribe", ...subscription });
    }
    this.#handlers.onLive();
  }

  /** @param {() => void} judge throws where the server is not to be believed @returns {boolean} whether it is */
  #try(judge) {
    try {
      judge();
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  // --- what comes --------------------------------------------------------------------

  /** @param {unknown} text */
  #receive(text) {
    const message = parse(text);
    if (!this.#isLive) {
      this.#receiveAnswer(message ?? {});
    } else if (message === null) {
      this.lose("the server sent something that is no message");
    } else {
      this.#handlers.onMessage(message);
    }
    if (this.#isLive && !this.#isEnded) {
      clearTimeout(this.#watch); // whatever it was, somebody is there
      this.#watch = setTimeout(() => this.check(), this.#options.keepaliveMs ?? KEEPALIVE_MS);
    }
  }

  /** @param {Message} message */
  #send(message) {
    if (this.#socket.readyState === 1) {
      this.#socket.send(JSON.stringify(message));
    }
  }

  // --- the end -----------------------------------------------------------------------

  /** @param {unknown} error of ours, or of a server that is not to be trusted: it would come again */
  #fail(error) {
    this.#finish({ code: 1006, reason: /** @type {Error} */ (error).message, isFinal: true });
  }

  /** A proxy that stalls keeps the connection open, and nothing comes any more. */
  #stalled() {
    this.lose("the server stopped answering");
    this.#socket.terminate?.(); // the package ws would wait for a closing handshake
  }

  /** @param {ErrorEvent} event browsers tell nothing in it, Node does */
  #stumble({ message, error }) {
    this.#detail = (error?.cause?.message || message || error?.message || "").trim();
    if (!this.#isOpen) {
      this.#closed(1006, ""); // Node 22 sends no close event after this one
    }
  }

  /**
   * @param {number} code
   * @param {string} said
   */
  #closed(code, said) {
    if (this.#refusal !== null) {
      this.#finish(refused(this.#refusal, code));
      return;
    }
    const { url } = this.#options;
    const lost = this.#isOpen ? "the connection was lost" : `cannot connect to ${url}`;
    const detail = this.#detail && `: ${this.#detail}${this.#isOpen ? "" : schemeHint(url, this.#detail)}`;
    const reason = FINAL_CODES[code] ?? (said || lost + detail);
    this.#finish({ code, reason, isFinal: code in FINAL_CODES });
  }

  /**
   * @param {Ended} ended
   * @param {number} [code] to close the socket with
   */
  #finish(ended, code) {
    if (this.#isEnded) {
      return;
    }
    this.#isEnded = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.#watch);
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.onerror = () => {}; // the package ws throws an error that nobody listens for
    this.#socket.close(code);
    this.#pace.stop();
    this.#handlers.onEnd(ended);
  }
}

/**
 * @param {unknown} text
 * @returns {Message | null} null: it is no message
 */
function parse(text) {
  try {
    const message = JSON.parse(String(text));
    return isObject(message) && typeof message.type === "string" ? message : null;
  } catch {
    return null;
  }
}

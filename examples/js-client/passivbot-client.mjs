// @ts-check
/**
 * A client of the Passivbot WebSocket API, for browsers and for Node. It imports nothing.
 *
 *     import { connect } from "./passivbot-client.mjs";
 *
 *     connect({
 *       url: "ws://127.0.0.1:8765",
 *       password: "...",
 *       publicKeyPart: "...",
 *       onStatistics: (data) => console.log(data.balance, data.upnl),
 *       onClose: ({ reason, mayRetry }) => console.log(reason, mayRetry),
 *     });
 */

/**
 * One held side of one symbol. `null` means that the bot does not know, never zero.
 * @typedef {object} Position
 * @property {string} symbol
 * @property {string} side "long" or "short"
 * @property {number | null} size
 * @property {number | null} entry_price
 * @property {number | null} [upnl]
 * @property {number | null} [last_price]
 * @property {number | null} [wallet_exposure]
 */

/**
 * A bot's state. The optional fields came after the interface was published.
 * @typedef {object} Statistics
 * @property {number | null} timestamp milliseconds since the Unix epoch
 * @property {number | null} balance
 * @property {number | null} upnl
 * @property {number | null} open_orders_count
 * @property {number | null} active_symbols_count
 * @property {Position[]} positions
 * @property {string | null} [status] "running", "stale" or "stopped"
 * @property {string | null} [exchange]
 * @property {string | null} [quote]
 */

/** @typedef {{ bot?: string, epoch?: string, seq?: number }} Origin which bot, and which of its states */
/** @typedef {{ message: string, code?: string, id?: string | number }} ServerError */

/**
 * How a connection ended.
 * @typedef {object} Closed
 * @property {number} code the WebSocket close code; 4401 for every failed login
 * @property {string} reason for people
 * @property {boolean} mayRetry false where trying again would only end the same way
 */

/**
 * @typedef {object} Options
 * @property {string} url such as "ws://127.0.0.1:8765"
 * @property {string} password the bot's `websocket_password`
 * @property {string} publicKeyPart the bot's `websocket_public_key_part`
 * @property {() => void} [onLogin] the server let us in
 * @property {(data: Statistics, origin: Origin) => void} [onStatistics] right after the login, and at each change
 * @property {(config: Record<string, unknown>) => void} [onConfig] the answer to getConfig()
 * @property {() => void} [onPong] the answer to ping()
 * @property {(error: ServerError) => void} [onError] the server could not do something; the connection stays
 * @property {(closed: Closed) => void} [onClose] the end, whatever the reason; comes once
 * @property {any} [WebSocket] a WebSocket class, where there is none built in
 * @property {number} [loginTimeoutMs] from connecting to logged in
 */

/** Codes after which the same try would end the same way. @type {Record<number, string>} */
const FINAL_CODES = {
  4400: "the server got too many bad messages from this client",
  4401: "authentication failed",
  4403: "the credentials were changed or are no longer allowed",
};

/**
 * The token that proves the password: the SHA-256 of password and key part, in lower-case hex.
 * It is as good as the password.
 * @param {string} password
 * @param {string} publicKeyPart
 * @returns {Promise<string>}
 */
export async function generateAuthToken(password, publicKeyPart) {
  if (!globalThis.crypto?.subtle) {
    throw new Error("no SubtleCrypto here: open the page over https:// or from localhost");
  }
  if (!password || !publicKeyPart) {
    throw new Error("password and public key part are both needed");
  }
  const bytes = new TextEncoder().encode(password + publicKeyPart);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Connect and log in. What comes of it is told to the callbacks.
 * @param {Options} options
 * @returns {Connection}
 * @throws {Error} The url is none, or the browser forbids it.
 */
export function connect(options) {
  return new Connection(options);
}

/** One connection, from connecting to closed. */
export class Connection {
  #options;
  #socket;
  #deadline;
  #isOpen = false;
  #isLoggedIn = false;
  #isOurEnd = false;
  #isEnded = false;
  #detail = "";
  /** @type {Closed | null} */ #failure = null;

  /** @param {Options} options */
  constructor(options) {
    const WebSocket = options.WebSocket ?? globalThis.WebSocket;
    if (!WebSocket) {
      throw new Error("no WebSocket here: pass one in");
    }
    const timeoutMs = options.loginTimeoutMs ?? 10_000;
    this.#options = options;
    this.#socket = new WebSocket(options.url);
    this.#socket.onopen = () => this.#login();
    this.#socket.onmessage = (/** @type {MessageEvent} */ event) => this.#receive(event.data);
    this.#socket.onerror = (/** @type {ErrorEvent} */ event) => this.#stumble(event.message);
    this.#socket.onclose = (/** @type {CloseEvent} */ event) => this.#end(event);
    this.#deadline = setTimeout(
      () => this.#fail({ code: 1006, reason: `no answer from ${options.url}`, mayRetry: true }),
      timeoutMs,
    );
  }

  /**
   * Ask for the bot's configuration.
   * @param {string | number} [id] comes back with an error, to tell what it answers
   */
  getConfig(id) {
    this.#send({ type: "get_config", id });
  }

  /** Ask whether the server is there. */
  ping() {
    this.#send({ type: "ping" });
  }

  /** End the connection. */
  close() {
    this.#isOurEnd = true;
    this.#socket.close(1000);
  }

  /** @param {object} message */
  #send(message) {
    if (this.#socket.readyState === 1) {
      this.#socket.send(JSON.stringify(message));
    }
  }

  async #login() {
    this.#isOpen = true;
    const { password, publicKeyPart } = this.#options;
    try {
      const token = await generateAuthToken(password, publicKeyPart);
      this.#send({ type: "auth", token, public_key_part: publicKeyPart });
    } catch (error) {
      this.#fail({ code: 4401, reason: /** @type {Error} */ (error).message, mayRetry: false });
    }
  }

  /** @param {string} text */
  #receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      this.#options.onError?.({ message: "the server sent something that is not JSON" });
      return;
    }
    const { onLogin, onStatistics, onConfig, onPong, onError } = this.#options;
    switch (message?.type) {
      case "auth_result":
        if (!message.success) {
          this.#fail({ code: 4401, reason: message.message, mayRetry: false });
          break;
        }
        this.#isLoggedIn = true;
        clearTimeout(this.#deadline);
        onLogin?.();
        break;
      case "statistics":
        onStatistics?.(message.data, { bot: message.bot, epoch: message.epoch, seq: message.seq });
        break;
      case "config":
        onConfig?.(message.data);
        break;
      case "pong":
        onPong?.();
        break;
      case "error":
        onError?.({ message: message.message, code: message.code, id: message.id });
        break;
      default: // a type from a later version of the server
    }
  }

  /** @param {Closed} failure */
  #fail(failure) {
    this.#failure ??= failure;
    this.#socket.close();
  }

  /** @param {string | undefined} detail what Node may tell; browsers tell nothing */
  #stumble(detail) {
    this.#detail = detail ?? "";
    if (!this.#isOpen) {
      this.#end({ code: 1006, reason: "" }); // Node 22 sends no close event after this one
    }
  }

  /** @param {{ code: number, reason: string }} event */
  #end({ code, reason }) {
    if (this.#isEnded) {
      return;
    }
    this.#isEnded = true;
    clearTimeout(this.#deadline);
    const lost = this.#isLoggedIn ? "the connection was lost" : `cannot connect to ${this.#options.url}`;
    const why = FINAL_CODES[code] ?? (reason || (this.#detail ? `${lost}: ${this.#detail}` : lost));
    const closed = { code, reason: why, mayRetry: !(code in FINAL_CODES) };
    const ours = { code, reason: "closed by this client", mayRetry: false };
    this.#options.onClose?.(this.#failure ?? (this.#isOurEnd ? ours : closed));
  }
}

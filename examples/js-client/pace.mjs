// @ts-check
/** How fast a client speaks. */

/** A little less than a server takes by default: what is more counts as bad there, and ends in 4400. */
const PER_S = 4;
const BURST = 16;

/** So many characters are one message there; a longer one counts as more. */
const MESSAGE_UNIT = 8192;

/** @param {unknown} message */
const cost = (message) => Math.min(BURST, 1 + Math.floor(JSON.stringify(message).length / MESSAGE_UNIT));

/**
 * Hands messages on in order, each as soon as the server is to take one more.
 * @template Message
 */
export class Pace {
  #send;
  #tokens = BURST;
  #countedAt = performance.now();
  /** @type {Message[]} */
  #waiting = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {(message: Message) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /** @param {Message} message */
  push(message) {
    this.#waiting.push(message);
    if (this.#timer === undefined) {
      this.#flow();
    }
  }

  /** Nothing is handed on any more. */
  stop() {
    clearTimeout(this.#timer);
    this.#waiting = [];
  }

  #flow() {
    const now = performance.now();
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#countedAt) * PER_S) / 1000);
    this.#countedAt = now;
    while (this.#waiting.length > 0 && this.#tokens >= cost(this.#waiting[0])) {
      this.#tokens -= cost(this.#waiting[0]);
      this.#send(/** @type {Message} */ (this.#waiting.shift()));
    }
    this.#timer = this.#waiting.length > 0 ? setTimeout(() => this.#flow(), 1000 / PER_S) : undefined;
  }
}

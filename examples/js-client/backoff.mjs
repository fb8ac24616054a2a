// @ts-check
/** When to come back after a connection ended, and when never. Pure. */

/** Codes after which the same try would end the same way. @type {Readonly<Record<number, string>>} */
export const FINAL_CODES = {
  4400: "the server got too many bad messages from this client",
  4401: "authentication failed",
  4403: "the credentials were changed or are no longer allowed",
};

/** Codes with which the server asks for a longer pause: logins cannot be recorded; throttled. */
export const LATER_CODES = [1013, 4429];

/**
 * @typedef {object} Retry
 * @property {number} [baseMs] the longest first pause; it doubles with each failure
 * @property {number} [maxMs] the longest pause of all
 * @property {number} [laterMs] the shortest pause after the codes 1013 and 4429
 * @property {number} [stableMs] a connection that held for so long makes the failures before it forgotten
 */

/**
 * Exponential backoff with full jitter: a random pause between nothing and a bound that doubles. Clients
 * that lost one server together do not come back together.
 */
export class Backoff {
  #failures = 0;
  #random;
  #retry;

  /**
   * @param {Retry} [retry]
   * @param {() => number} [random] from 0 to 1
   */
  constructor(retry = {}, random = Math.random) {
    this.#retry = { baseMs: 1_000, maxMs: 60_000, laterMs: 30_000, stableMs: 30_000, ...retry };
    this.#random = random;
  }

  /**
   * @param {number} code that the connection was closed with
   * @param {number} liveMs for how long it was logged in
   * @returns {number} how long to wait, milliseconds
   */
  next(code, liveMs) {
    const { baseMs, maxMs, laterMs, stableMs } = this.#retry;
    if (liveMs >= stableMs) {
      this.#failures = 0;
    }
    const boundMs = Math.min(maxMs, baseMs * 2 ** this.#failures);
    this.#failures += 1;
    return Math.round((LATER_CODES.includes(code) ? laterMs : 0) + this.#random() * boundMs);
  }
}

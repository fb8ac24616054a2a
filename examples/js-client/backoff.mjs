// @ts-check
/** When to come back after a connection ended. Pure. */

import { LATER_CODES } from "./endings.mjs";

/** However long a server asks to wait: its own longest lock is 15 min by default. */
const NOT_BEFORE_MAX_MS = 3_600_000;

/**
 * @typedef {object} Retry
 * @property {number} [baseMs] the longest first pause; it doubles with each failure
 * @property {number} [maxMs] the longest pause of all
 * @property {number} [laterMs] the shortest pause after the codes 1013 and 4429, if the server names none
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
    this.#retry = { baseMs: 500, maxMs: 30_000, laterMs: 5_000, stableMs: 30_000, ...retry };
    this.#random = random;
  }

  /**
   * @param {number} code that the connection ended with
   * @param {number} liveMs for how long it was logged in
   * @param {number} [notBeforeMs] how long the server asks to wait
   * @returns {number} how long to wait, milliseconds
   */
  next(code, liveMs, notBeforeMs) {
    const { baseMs, maxMs, laterMs, stableMs } = this.#retry;
    if (liveMs >= stableMs) {
      this.#failures = 0;
    }
    const boundMs = Math.min(maxMs, baseMs * 2 ** this.#failures);
    this.#failures += 1;
    const shortestMs = notBeforeMs ?? (LATER_CODES.includes(code) ? laterMs : 0);
    return Math.round(Math.min(Math.max(shortestMs, 0), NOT_BEFORE_MAX_MS) + this.#random() * boundMs);
  }
}

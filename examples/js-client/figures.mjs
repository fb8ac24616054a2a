// @ts-check
/** Figures as people read them. Pure. */

/** So many digits of a price are its own; what floats have beyond them is not. */
const DIGITS = 8;

/**
 * A detail of an event, without the digits that only a float has: 0.01998, not 0.019979999999999998.
 * @param {unknown} value
 * @returns {string}
 */
export function detail(value) {
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(DIGITS))) : String(value);
}

/**
 * A text fit for a line of a terminal: nothing in it moves the cursor, begins a line or turns the text around.
 * @param {string} text somebody else's
 * @returns {string}
 */
export function plain(text) {
  return text.replace(/\p{C}/gu, "\ufffd");
}

// @ts-check
/** What the end of a connection means: come back, and when, or never. Pure. */

/**
 * How a connection ended.
 * @typedef {object} Ended
 * @property {number} code the WebSocket close code, or the HTTP status; 1006 where there was none
 * @property {string} reason for people
 * @property {boolean} isFinal whether trying again would only end the same way
 * @property {number} [notBeforeMs] how long the server asks to wait
 */

/** Codes after which the same try would end the same way. @type {Readonly<Record<number, string>>} */
export const FINAL_CODES = {
  4400: "the server got too many bad messages from this client",
  4401: "authentication failed",
  4403: "the credentials were changed or are no longer allowed",
};

/** Codes with which the server asks for a longer pause: logins cannot be recorded; throttled. */
export const LATER_CODES = [1013, 4429];

/**
 * A login that was refused is not tried again, whatever the connection ends with, but where it was not heard.
 * @param {Record<string, any>} result the `auth_result`
 * @param {number} code that the connection was closed with then
 * @returns {Ended}
 */
export function refused({ message, retry_after_s: waitS }, code) {
  const notBeforeMs = Number.isInteger(waitS) && waitS > 0 ? waitS * 1000 : undefined;
  const isLater = LATER_CODES.includes(code) || notBeforeMs !== undefined;
  return { code: isLater ? code : 4401, reason: String(message), isFinal: !isLater, notBeforeMs };
}

/** What an HTTP status means here, where it means more than the number. @type {Readonly<Record<number, string>>} */
const STATUSES = {
  429: ": too many failed logins or connections from this address",
  503: ": it takes no more connections now, or is not ready",
};

/**
 * @param {{ statusCode: number, headers: Record<string, string | undefined> }} answer in place of the handshake's
 * @param {number} nowMs since the Unix epoch
 * @returns {Ended}
 */
export function turnedAway({ statusCode: code, headers }, nowMs) {
  const hint = code >= 300 && code < 400 ? "; give the address that it leads to" : (STATUSES[code] ?? "");
  const notBeforeMs = retryAfterMs(headers["retry-after"], nowMs);
  return { code, reason: `the server answered HTTP ${code}${hint}`, isFinal: false, notBeforeMs };
}

/**
 * Whether the address may begin with the wrong one of ws:// and wss://, by what Node says of a connection that
 * never opened; a browser says nothing.
 * @param {string} url
 * @param {string} detail
 * @returns {string} what to try, or nothing
 */
export function schemeHint(url, detail) {
  if (/^wss:/i.test(url)) {
    const isPlain = /before secure TLS|wrong version number|packet length too long/.test(detail);
    return isPlain ? "; the server may not speak TLS: try ws://" : "";
  }
  return /socket hang up|Parse Error/.test(detail) ? "; the server may speak TLS: try wss://" : "";
}

/**
 * @param {string | undefined} value a `Retry-After` (RFC 9110 section 10.2.3), which may be a date
 * @param {number} nowMs since the Unix epoch
 * @returns {number | undefined} milliseconds; undefined: there is none
 */
function retryAfterMs(value, nowMs) {
  const ms = /^\s*[0-9]+\s*$/.test(value ?? "") ? Number(value) * 1000 : Date.parse(value ?? "") - nowMs;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

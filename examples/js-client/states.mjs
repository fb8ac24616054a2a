// @ts-check
/** What the client has of each bot: its latest state, and how far its events were heard. Pure. */

import { applyMergePatch, isObject } from "./merge-patch.mjs";

/** @typedef {import("./types.mjs").Statistics} Statistics */
/** @typedef {Record<string, any>} Message what the server sent */
/** @typedef {{ epoch: string, seq: number }} Place where the client stands with a bot */

/** What a `since` may name. */
const SINCE_MAX = 1_000;

/**
 * One bot's latest state.
 * @typedef {object} State
 * @property {Record<string, unknown>} keyed with the positions as an object, by `symbol|side`
 * @property {string} [epoch]
 * @property {number} [seq]
 */

/** The latest state of each bot. */
export class States {
  /** @type {Map<string | undefined, State>} by the bot's name; a server of the published interface names none */
  #states = new Map();

  /**
   * Take a whole state over.
   * @param {Message} message a `statistics`
   * @returns {Statistics | null} null: it is none, and nothing was taken over
   */
  replace({ bot, epoch, seq, data }) {
    if (!isObject(data) || !Array.isArray(data.positions) || !data.positions.every(isPosition)) {
      return null;
    }
    this.#states.set(bot, { keyed: toKeyed(data), epoch, seq });
    return /** @type {Statistics} */ (/** @type {unknown} */ (data));
  }

  /**
   * Apply a patch to the state that it was made for.
   * @param {Message} message a `statistics_delta`
   * @returns {Statistics | null} null: it fits no state that is here, and nothing was changed
   */
  patch({ bot, epoch, base, seq, patch }) {
    const state = this.#states.get(bot);
    if (state === undefined || state.epoch !== epoch || state.seq !== base || !isObject(patch)) {
      return null;
    }
    const keyed = tryPatch(state.keyed, patch);
    const data = fromKeyed(keyed);
    if (data !== null) {
      this.#states.set(bot, { keyed, epoch, seq });
    }
    return data;
  }

  /**
   * Forget a bot's state: the next one has to be a whole one.
   * @param {string | undefined} bot
   */
  forget(bot) {
    this.#states.delete(bot);
  }

  /** @returns {Record<string, Place>} where the client stands, as `since` says it */
  since() {
    const places = Array.from(this.#states).flatMap(([bot, { epoch, seq }]) =>
      bot !== undefined && epoch !== undefined && seq !== undefined ? [[bot, { epoch, seq }]] : [],
    );
    return Object.fromEntries(places.slice(0, SINCE_MAX));
  }
}

/** How far each bot's events were heard. */
export class EventPlaces {
  /** Null before the first subscription. @type {Map<string, Place> | null} */
  #places;
  /** The server's present run. @type {string | null} */
  #epoch = null;

  /** @param {Record<string, Place>} [since] how far an earlier run of the program heard them */
  constructor(since) {
    this.#places = since ? new Map(Object.entries(since)) : null;
  }

  /** @param {Message} message a `subscribed`, which says where we stand with each known bot */
  begin({ epoch, since }) {
    this.#epoch = epoch;
    // Of a bot without an event, this alone tells where we stand; of the others we know it.
    this.#places = new Map([...Object.entries(since ?? {}), ...(this.#places ?? [])]);
  }

  /**
   * @param {Message} message an `event`
   * @returns {boolean} whether it is news
   */
  heard({ bot, epoch, seq }) {
    const place = this.#places?.get(bot);
    if (place !== undefined && place.epoch === epoch && seq <= place.seq) {
      return false;
    }
    this.#places?.set(bot, { epoch, seq });
    return true;
  }

  /** @param {Message} message a `gap` */
  lost({ bot, epoch, last }) {
    if (last !== null) {
      this.#places?.set(bot, { epoch, seq: last });
    } else if (this.#epoch !== null) {
      // That run of the server is over, and with this one the client stands at the beginning:
      // asked from the old place again, the server would tell of the same gap again.
      this.#places?.set(bot, { epoch: this.#epoch, seq: 0 });
    }
  }

  /** @returns {Record<string, Place> | undefined} as `since` says it; undefined: all is new to us */
  since() {
    return this.#places === null ? undefined : Object.fromEntries([...this.#places].slice(0, SINCE_MAX));
  }
}

/** @param {unknown} held @returns {boolean} whether it has a name among the positions */
function isPosition(held) {
  return isObject(held) && typeof held.symbol === "string" && typeof held.side === "string";
}

/**
 * @param {Record<string, unknown>} keyed
 * @param {Record<string, unknown>} patch
 * @returns {Record<string, unknown>} a state's keyed form, or nothing of one where the patch nests too deep
 */
function tryPatch(keyed, patch) {
  try {
    return /** @type {Record<string, unknown>} */ (applyMergePatch(keyed, patch));
  } catch {
    return {}; // the stack is not as deep as JSON may be
  }
}

/**
 * @param {Record<string, any>} data
 * @returns {Record<string, unknown>} with the positions as an object
 */
function toKeyed(data) {
  const named = data.positions.map((/** @type {Message} */ held) => [`${held.symbol}|${held.side}`, held]);
  return { ...data, positions: Object.fromEntries(named) };
}

/**
 * @param {Record<string, unknown>} keyed
 * @returns {Statistics | null} with the positions as a list; null: it is no state's keyed form
 */
function fromKeyed(keyed) {
  const { positions } = keyed;
  if (!isObject(positions) || !Object.values(positions).every(isObject)) {
    return null;
  }
  const names = Object.keys(positions).sort(compareCodePoints);
  const data = { ...keyed, positions: names.map((name) => positions[name]) };
  return /** @type {Statistics} */ (/** @type {unknown} */ (data));
}

/**
 * The order of texts by their code points. JavaScript's own is by UTF-16 code units, in which what is
 * beyond U+FFFF, as two surrogates, comes before U+E000 to U+FFFF.
 * @param {string} one
 * @param {string} other
 * @returns {number} below, at or above zero
 */
export function compareCodePoints(one, other) {
  const length = Math.min(one.length, other.length);
  let index = 0;
  while (index < length && one[index] === other[index]) {
    index += 1;
  }
  if (index === length) {
    return one.length - other.length;
  }
  return rank(one.charCodeAt(index)) - rank(other.charCodeAt(index));
}

/** A code unit's place among code points: surrogates stand for what comes after all others. @param {number} unit */
function rank(unit) {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

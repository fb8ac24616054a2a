// @ts-check
/** What the client is subscribed to, across connections: each goes on where the one before stood. */

import { EventPlaces, States } from "./states.mjs";

/** @typedef {import("./types.mjs").Options} Options */
/** @typedef {import("./link.mjs").Link} Link */
/** @typedef {Record<string, any>} Message */

/** The subscriptions of one client: what there are callbacks for. */
export class Subscriptions {
  #options;
  #states = new States();
  #events;
  /** What each bot's config was when it was last told. @type {Map<string, string>} */
  #configHashes = new Map();
  #misfits = 0; // deltas on this connection that fitted nothing
  #isResuming = false; // whether a new subscription to the statistics was asked for and has not begun

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    this.#events = new EventPlaces(options.since);
  }

  /** @returns {Message[]} what to ask for with the login, from where we stand */
  all() {
    const { bots, kinds, symbols, onStatistics, onConfigChanged } = this.#options;
    const subscriptions = [];
    if (onStatistics) {
      subscriptions.push(this.#statistics());
    }
    if (this.#wantsEvents()) {
      subscriptions.push({ channel: "events", bots, kinds, symbols, since: this.#events.since(), id: "events" });
    }
    if (onConfigChanged) {
      subscriptions.push({ channel: "config", bots, id: "config" });
    }
    return subscriptions;
  }

  /** A connection logged in. */
  begin() {
    this.#misfits = 0;
    this.#isResuming = false;
  }

  /**
   * @param {Message} message what the server sent unasked
   * @param {Link} link
   */
  receive(message, link) {
    const { type, bot, epoch, seq } = message;
    const { onEvent, onGap, onConfigChanged, onError } = this.#options;
    switch (type) {
      case "subscribed":
        this.#subscribed(message);
        break;
      case "statistics":
      case "statistics_delta":
        this.#receiveStatistics(message, link);
        break;
      case "event":
        if (this.#events.heard(message)) onEvent?.(message.data, { bot, epoch, seq });
        break;
      case "gap":
        this.#events.lost(message);
        onGap?.({ bot, epoch, first: message.first, last: message.last });
        break;
      case "config_changed":
        if (this.#isAnotherConfig(message)) {
          onConfigChanged?.({ bot, hash: message.hash, paths: message.paths, values: message.values });
        }
        break;
      case "error":
        onError?.({ message: message.message, code: message.code, channel: message.id });
        if (this.#isResuming && message.id === "statistics") link.lose(message.message);
        break;
      default: // a type from a later version of the server
    }
  }

  #wantsEvents() {
    return this.#options.onEvent !== undefined || this.#options.onGap !== undefined;
  }

  #statistics() {
    const { bots, maxRate, mode = "delta" } = this.#options;
    const since = this.#states.since();
    // The id is the channel's name: an error that has it says which channel it is about.
    return { channel: "statistics", bots, mode, max_rate: maxRate, since, id: "statistics" };
  }

  /** @param {Message} message */
  #subscribed(message) {
    const { channel, epoch } = message;
    if (channel === "events") {
      this.#events.begin(message);
    } else if (channel === "statistics") {
      this.#isResuming = false;
    }
    this.#options.onSubscribed?.({ channel, epoch });
  }

  /**
   * @param {Message} message
   * @param {Link} link
   */
  #receiveStatistics(message, link) {
    const { type, bot, epoch, seq } = message;
    const { onStatistics } = this.#options;
    if (this.#isResuming || !onStatistics) {
      return; // the new subscription begins where the last state that was taken left off
    }
    const data = type === "statistics" ? this.#states.replace(message) : this.#states.patch(message);
    if (data !== null) {
      onStatistics(data, { bot, epoch, seq });
    } else if (type === "statistics") {
      link.lose("the server sent statistics that are none");
    } else {
      this.#subscribeAnew(bot, link);
    }
  }

  /**
   * A delta fits nothing that is here. That cannot be, says the protocol; where it is, a new subscription
   * begins with a whole state, and after a second one on this connection they all come whole.
   * @param {string} bot
   * @param {Link} link
   */
  #subscribeAnew(bot, link) {
    this.#misfits += 1;
    this.#isResuming = true;
    this.#states.forget(bot);
    link.send({ type: "subscribe", ...this.#statistics(), ...(this.#misfits > 1 && { mode: "full" }) });
  }

  /** The first of each connection may tell of nothing new. @param {Message} message */
  #isAnotherConfig({ bot, hash, paths }) {
    const isKnown = this.#configHashes.get(bot) === hash;
    this.#configHashes.set(bot, hash);
    return !isKnown || paths !== null;
  }
}

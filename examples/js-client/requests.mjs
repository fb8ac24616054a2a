// @ts-check
/** The requests of one connection that wait for their answers. */

/** @typedef {Record<string, any>} Message */

/**
 * @typedef {object} Pending
 * @property {string} answer the type of message that answers it
 * @property {(message: Message) => void} resolve called at once, before the next message is looked at
 * @property {(error: Error) => void} reject
 */

/** The server said no to a request. */
export class RequestError extends Error {
  /** @param {Message} answer an `error` */
  constructor({ message, code }) {
    super(message);
    this.name = "RequestError";
    /** The code that docs/protocol.md lists. @type {string | undefined} */
    this.code = code;
  }
}

/** Those that were sent and not answered yet. */
export class Requests {
  #timeoutMs;
  #lastId = 0;
  /** @type {Map<number, Pending & { deadline: ReturnType<typeof setTimeout> }>} */
  #pending = new Map();

  /** @param {number} timeoutMs for each */
  constructor(timeoutMs) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * @param {Pending} pending
   * @returns {number} the id to send the request with
   */
  add(pending) {
    const id = ++this.#lastId;
    const late = () => this.#take(id)?.reject(new Error(`no ${pending.answer} in ${this.#timeoutMs} ms`));
    this.#pending.set(id, { ...pending, deadline: setTimeout(late, this.#timeoutMs) });
    return id;
  }

  /**
   * @param {Message} message
   * @returns {boolean} whether it answers one of them
   */
  settle(message) {
    const pending = this.#take(message.id ?? this.#oldest(message.type));
    if (message.type === "error") {
      pending?.reject(new RequestError(message));
    } else {
      pending?.resolve(message);
    }
    return pending !== undefined;
  }

  /** @param {string} reason why none of them will be answered */
  rejectAll(reason) {
    for (const id of [...this.#pending.keys()]) {
      this.#take(id)?.reject(new Error(`no answer: ${reason}`));
    }
  }

  /** Whose answer it is where that has no id: the published interface knows none. @param {string} answer */
  #oldest(answer) {
    for (const [id, pending] of this.#pending) {
      if (pending.answer === answer) return id;
    }
    return 0;
  }

  /** @param {number} id */
  #take(id) {
    const pending = this.#pending.get(id);
    clearTimeout(pending?.deadline);
    this.#pending.delete(id);
    return pending;
  }
}

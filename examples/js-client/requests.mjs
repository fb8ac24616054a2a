// @ts-check
/** The requests that wait for their answers, from one connection to the next. */

/** @typedef {Record<string, any>} Message */

/**
 * @typedef {object} Pending
 * @property {Message} message with its id
 * @property {string} answer the type of message that answers it
 * @property {(message: Message) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {ReturnType<typeof setTimeout>} deadline
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

/**
 * Those that were not answered yet. None of them changes anything: one whose answer is lost with its
 * connection is sent again by the next one.
 */
export class Requests {
  #timeoutMs;
  #lastId = 0;
  /** @type {Map<number, Pending>} */
  #pending = new Map();
  /** Null while nobody is connected. @type {((message: Message) => void) | null} */
  #send = null;
  /** Why nobody ever will be again. @type {string | null} */
  #ended = null;

  /** @param {number} timeoutMs for each, the wait for a connection included */
  constructor(timeoutMs) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * @param {Message} request with its type
   * @param {string} answer the type of message that answers it
   * @returns {Promise<Message>} the answer
   */
  ask(request, answer) {
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) {
        reject(new Error(`no ${answer}: ${this.#ended}`));
        return;
      }
      const message = { ...request, id: ++this.#lastId };
      const deadline = setTimeout(() => this.#expire(message.id), this.#timeoutMs);
      this.#pending.set(message.id, { message, answer, resolve, reject, deadline });
      this.#send?.(message);
    });
  }

  /** A connection is live. @param {(message: Message) => void} send */
  begin(send) {
    this.#send = send;
    for (const { message } of this.#pending.values()) {
      send(message);
    }
  }

  /** It is lost. */
  lose() {
    this.#send = null;
  }

  /** There will be no other. @param {string} reason */
  end(reason) {
    this.#ended = reason;
    for (const id of [...this.#pending.keys()]) {
      const pending = this.#take(id);
      pending?.reject(new Error(`no ${pending.answer}: ${reason}`));
    }
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

  /** @param {number} id */
  #expire(id) {
    const pending = this.#take(id);
    const why = this.#send === null ? "; not connected" : "";
    pending?.reject(new Error(`no ${pending.answer} in ${this.#timeoutMs} ms${why}`));
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

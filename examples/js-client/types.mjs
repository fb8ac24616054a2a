// @ts-check
/** What goes into the client and what comes out of it; nothing here runs. */

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
 * A bot's state. The optional fields came after the interface was published. Do not change it: it shares
 * its parts with the next one.
 * @typedef {object} Statistics
 * @property {number | null} timestamp milliseconds since the Unix epoch
 * @property {number | null} balance
 * @property {number | null} upnl
 * @property {number | null} open_orders_count
 * @property {number | null} active_symbols_count
 * @property {Position[]} positions in the order of `symbol|side`, by code points
 * @property {string | null} [status] "running", "stale" or "stopped"
 * @property {string | null} [exchange]
 * @property {string | null} [quote]
 * @property {number | null} [realized_pnl]
 * @property {Record<string, number | null> | null} [health]
 * @property {string | null} [version]
 */

/**
 * Something that happened at a bot; docs/hooks.md has the kinds.
 * @typedef {object} BotEvent
 * @property {number} timestamp milliseconds since the Unix epoch
 * @property {string} kind
 * @property {string | null} symbol
 * @property {string | null} side
 * @property {Record<string, unknown>} details
 */

/**
 * Which bot, which run of the server, and the number within that.
 * @typedef {{ bot?: string, epoch?: string, seq?: number }} Origin
 */

/**
 * Events that are lost to this client: it was away, or slow, for too long.
 * @typedef {{ bot: string, epoch: string, first: number, last: number | null }} Gap
 */

/**
 * A config is another one now. `paths: null`: it may be anything, as after the first login, or a loss
 * in which it changed; compare the hash with that of your copy.
 * @typedef {{ bot: string, hash: string, paths: string[] | null, values?: Record<string, unknown> }} ConfigChange
 */

/**
 * @typedef {object} BotStatus
 * @property {string} bot
 * @property {string | null} status
 * @property {number | null} timestamp of the last snapshot, milliseconds since the Unix epoch
 * @property {number | null} age_ms
 * @property {string | null} exchange
 * @property {boolean} has_config
 * @property {number} seq
 * @property {number} event_seq
 */

/**
 * Where the connection stands. What is shown is live in the state "live" only; a server that stopped
 * answering is found out within `keepaliveMs` and `timeoutMs`.
 * @typedef {object} ConnectionState
 * @property {"connecting" | "live" | "waiting" | "ended"} state
 * @property {string} [reason] for people; why it waits or ended
 * @property {number} [code] the WebSocket close code, or the HTTP status, which browsers do not tell; 1006
 *   where there was none
 * @property {number} [retryInMs] how long it waits
 */

/**
 * `channel`: the subscription that was refused.
 * @typedef {{ message: string, code?: string, channel?: string }} ServerError
 */

/**
 * What there is a callback for is subscribed to.
 * @typedef {object} Options
 * @property {string} url such as "ws://127.0.0.1:8765"
 * @property {string} password kept in memory, to come back with
 * @property {string} publicKeyPart
 * @property {"scram" | "token"} [method] how to log in. "scram" (the default) sends nothing that could be used
 *   again, and makes the server prove itself; "token" is the published way, for servers that know no other
 * @property {boolean} [allowPlaintextToken] send the token by ws:// to another machine, for everybody between to read
 * @property {string[]} [bots] only these; default: all
 * @property {"delta" | "full"} [mode] what the server sends of statistics; you always get whole ones
 * @property {number} [maxRate] so many statistics a second for each bot at most
 * @property {string[]} [kinds] only events of these kinds
 * @property {string[]} [symbols] only events of these symbols
 * @property {Record<string, { epoch: string, seq: number }>} [since] the last event of each bot that an earlier run
 *   of the program heard; those after it come first
 * @property {(state: ConnectionState) => void} [onState] at each change
 * @property {(subscribed: { channel: string, epoch: string }) => void} [onSubscribed] a channel begins; where the
 *   epoch is another one than before, the server was restarted and what you have of it may be gone
 * @property {(data: Statistics, origin: Origin) => void} [onStatistics] the latest state, at each change
 * @property {(event: BotEvent, origin: Origin) => void} [onEvent] each once, in order, across reconnections
 * @property {(gap: Gap) => void} [onGap]
 * @property {(change: ConfigChange) => void} [onConfigChanged]
 * @property {(error: ServerError) => void} [onError] the server could not do something; the connection stays
 * @property {any} [WebSocket] a WebSocket class, where there is none built in
 * @property {number} [timeoutMs] for the login, each ping, and each request with its wait for a connection;
 *   default 10 s
 * @property {number} [keepaliveMs] after so long a silence the server is pinged; default 20 s
 * @property {import("./backoff.mjs").Retry} [retry] how long to wait before coming back
 */

export {};

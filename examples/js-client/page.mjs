// @ts-check
/** The page's script: what the client tells, as text in the page. Nothing is ever put in as HTML. */

import { detail } from "./figures.mjs";
import { connect } from "./passivbot-client.mjs";

/** @typedef {import("./types.mjs").Statistics} Statistics */

const EVENTS_MAX = 20;

/** @type {(selector: string, within?: ParentNode) => any} */
const find = (selector, within = document) => within.querySelector(selector);
const money = (/** @type {number | null | undefined} */ value) =>
  value?.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 }) ?? "–";
const exact = (/** @type {number | null} */ value) =>
  value?.toLocaleString("en", { maximumSignificantDigits: 6 }) ?? "–";
const clock = (/** @type {number} */ ms) => new Date(ms).toLocaleTimeString();
/** With its day: a bot may have stood still, and the page been open, for longer than one. */
const moment = (/** @type {number | null} */ ms) =>
  ms === null ? "" : new Date(ms).toLocaleString([], { month: "short", day: "numeric",
    hour: "numeric", minute: "2-digit", second: "2-digit" });
const direction = (/** @type {number | null | undefined} */ value) => (!value ? "" : value > 0 ? "up" : "down");

/**
 * Each bot's card, and the run of the server that its figures are from.
 * @type {Map<string, { card: HTMLElement, epoch?: string }>}
 */
const cards = new Map();
/**
 * What came since the page was drawn last: the latest of each bot.
 * @type {Map<string, { data: Statistics, epoch?: string }>}
 */
const latest = new Map();
/** @type {import("./passivbot-client.mjs").Connection | null} */
let connection = null;

/**
 * @param {string} state
 * @param {string} text
 */
function show(state, text) {
  find("#state").dataset.is = state;
  find("#state").textContent = text;
  find("#button").textContent = connection ? "Disconnect" : "Connect";
  find("#fields").hidden = find("#fields").disabled = connection !== null;
  find("#bots").classList.toggle("old", state !== "live"); // the figures stay, but not as live ones
}

/** @param {string} text */
function note(text) {
  find("#note").textContent = text;
  find("#note").hidden = !text;
}

/** @param {import("./types.mjs").ConnectionState} change */
function showState({ state, code, reason, retryInMs = 0 }) {
  if (state === "connecting") {
    show("busy", "Connecting …");
  } else if (state === "live") {
    find("#password").value = ""; // the connection keeps it, to come back with
    note("");
    show("live", "Live");
    tellOfSilence();
  } else if (state === "waiting") {
    show("waiting", `Not live: ${reason}; trying again at ${clock(Date.now() + retryInMs)}`);
    if (reason?.startsWith("cannot connect")) note(hint(find("#address").value.trim()));
  } else {
    connection = null;
    show(code === 1000 ? "ended" : "failed", `Not connected: ${reason}`);
  }
}

/** What it may be that a browser tells no page. @param {string} url */
function hint(url) {
  const locked = "After too many failed logins the server lets nobody from this address in for some minutes.";
  const { protocol, host } = new URL(url);
  if (protocol !== "wss:") return `Is it running, and does it speak ws:// and not wss://? ${locked}`;
  return `If its certificate is your own, open https://${host} in this browser once and accept it. ${locked}`;
}

/** Who sees nothing is to know that it is not the connection. */
async function tellOfSilence() {
  try {
    const bots = await connection?.listBots();
    if (bots?.every(({ seq }) => seq === 0) && find("#note").hidden) note("Nothing is known of any bot yet.");
  } catch {
    // a server of the published interface says it by itself
  }
}

/** Statistics may come faster than a page is drawn: what is drawn is the latest. */
function draw() {
  note("");
  const states = [...latest];
  latest.clear(); // before: one that cannot be drawn is not to be the last one
  for (const [bot, { data, epoch }] of states) {
    showStatistics(bot, data, epoch);
  }
}

/** Where its name belongs. @param {string} bot */
function newCard(bot) {
  const card = find("#bot").content.cloneNode(true).firstElementChild;
  find("h2", card).textContent = bot;
  card.dataset.bot = bot;
  const next = Array.from(find("#bots").children).find((other) => other.dataset.bot > bot);
  find("#bots").insertBefore(card, next ?? null);
  return card;
}

/**
 * @param {string} bot
 * @param {Statistics} data
 * @param {string} [epoch]
 */
function showStatistics(bot, data, epoch) {
  const card = cards.get(bot)?.card ?? newCard(bot);
  cards.set(bot, { card, epoch });
  const isOld = data.status === "stale" || data.status === "stopped";
  card.classList.toggle("old", isOld);
  find(".time", card).textContent = `${isOld ? "last change" : "changed"} ${moment(data.timestamp)}`;
  find(".status", card).textContent = data.status ?? "";
  find(".status", card).dataset.is = data.status ?? "";
  find(".quote", card).textContent = data.quote ?? "";
  find(".balance", card).textContent = money(data.balance);
  find(".upnl", card).textContent = money(data.upnl);
  find(".upnl", card).className = `upnl ${direction(data.upnl)}`;
  find(".orders", card).textContent = data.open_orders_count ?? "–";
  find("table", card).hidden = data.positions.length === 0;
  find("tbody", card).replaceChildren(...data.positions.map(row));
}

/** @param {import("./types.mjs").Position} position */
function row({ symbol, side, size, entry_price, upnl }) {
  const line = document.createElement("tr");
  for (const text of [symbol.split(":")[0], exact(size), exact(entry_price), money(upnl)]) {
    line.insertCell().textContent = text;
  }
  line.cells[0].title = symbol;
  line.cells[0].append(Object.assign(document.createElement("small"), { textContent: side }));
  line.cells[3].className = direction(upnl);
  return line;
}

/** @param {string[]} parts */
function showEvent(...parts) {
  const item = document.createElement("li");
  for (const textContent of parts.filter(Boolean)) {
    item.append(Object.assign(document.createElement("span"), { textContent }));
  }
  find("#events").hidden = false;
  find("#events ol").prepend(item);
  find(`#events li:nth-child(n + ${EVENTS_MAX + 1})`)?.remove();
}

function logIn() {
  cards.clear();
  latest.clear();
  find("#bots").replaceChildren();
  find("#events ol").replaceChildren();
  find("#events").hidden = true;
  note("");
  connection = connect({
    url: find("#address").value.trim(),
    password: find("#password").value,
    publicKeyPart: find("#key").value,
    method: find("#token").checked ? "token" : "scram",
    onState: showState,
    onSubscribed({ channel, epoch }) {
      if (channel !== "statistics") return;
      for (const { card, epoch: itsEpoch } of cards.values()) {
        card.classList.toggle("old", itsEpoch !== epoch || card.classList.contains("old")); // until it is heard of
      }
    },
    onStatistics(data, { bot = "main", epoch }) {
      if (latest.size === 0) requestAnimationFrame(draw);
      latest.set(bot, { data, epoch });
    },
    onEvent({ timestamp, kind, symbol, side, details }, { bot = "" }) {
      const more = Object.entries(details).map(([name, value]) => `${name} ${detail(value)}`);
      showEvent(moment(timestamp), bot, kind, symbol ?? "", side ?? "", more.join(", "));
    },
    onGap: ({ bot, first, last }) =>
      showEvent("", bot, `${last === null ? "some" : last - first + 1} events are lost`),
    onError({ message, channel }) {
      if (channel !== "events") note(message);
    },
  });
  show("busy", "Connecting …");
}

find("#login").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  if (connection) return connection.close();
  try {
    logIn();
  } catch (error) {
    show("failed", `Not connected: ${/** @type {Error} */ (error).message}`);
  }
});

find("#unscripted").remove();

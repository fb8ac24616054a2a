"""The JavaScript clients in a real headless Chromium, against real servers."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest
from certificates import Authority
from chromium import REPORTER, browsing
from clients import address_of
from demo_server import JS_CLIENT, Credentials, demo_server, published_client
from processes import EXAMPLES, Process
from publishing import put_statistics
from servers import KEY, PASSWORD, free_port, serving, write_config

from passivbot_hooks import Event, Position
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import event_data

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")

#: The console of the page, to the test.
CONSOLE: Final = """
for (const level of ["log", "error"]) {
  const original = console[level];
  console[level] = (...parts) => { original(...parts); report(...parts); };
}
"""

#: Fills the form of the page in, once for each attempt, and tells what the page shows.
DRIVER: Final = """
const element = (selector) => document.querySelector(selector);
const text = (selector) => element(selector)?.textContent ?? null;
const all = (selector) => Array.from(document.querySelectorAll(selector));
const cells = (row) => Array.from(row.cells, (cell) => cell.textContent);
function tell() {
  report({
    state: text("#state"),
    bot: text(".bot h2"),
    status: text(".status"),
    time: text(".time"),
    unscripted: text("#unscripted"),
    isOld: element("#bots").classList.contains("old"),
    cards: all(".bot").map((card) => [card.querySelector("h2").textContent, card.classList.contains("old")]),
    events: all("#events li").map((line) => Array.from(line.children, (part) => part.textContent)),
    note: text("#note"),
    foreign: document.querySelectorAll("main img, main b, #events img, #events b, #note b").length,
    balance: text(".balance"),
    quote: text(".quote"),
    upnl: text(".upnl"),
    orders: text(".orders"),
    isClipped: all(".scroll").some((table) => table.scrollWidth > table.clientWidth),
    positions: Array.from(document.querySelectorAll("tbody tr"), cells),
    password: element("#password").value,
    button: text("#button"),
  });
}
function logIn({ address, password, keyPart }) {
  element("#address").value = address;
  element("#password").value = password;
  element("#key").value = keyPart;
  element("#login").requestSubmit();
}
new MutationObserver(tell).observe(document.body, {
  subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["class"],
});
"""


#: What page.html loads, by path.
MODULES: Final = {
    f"/{module.name}": ("text/javascript", module.read_text(encoding="utf-8"))
    for module in JS_CLIENT.glob("*.mjs")
}


@pytest.fixture(scope="module")
def server() -> Iterator[Credentials]:
    with demo_server() as credentials:
        yield credentials


def test_published_client_runs_unmodified(server: Credentials, tmp_path: Path) -> None:
    html = '<!doctype html><script src="/first.js"></script><script src="/published.js"></script>'
    pages = {
        "/": ("text/html", html),
        "/first.js": ("text/javascript", REPORTER + CONSOLE),
        "/published.js": ("text/javascript", published_client(server)),
    }
    with browsing("/", pages, tmp_path / "profile") as site:
        site.wait_for(lambda report: report == ["Authentication successful!"])
        _, statistics = site.wait_for(lambda report: report[0] == "Statistics Update:")
        assert list(statistics)[:6] == [
            "timestamp", "balance", "upnl", "open_orders_count", "active_symbols_count", "positions",
        ]  # fmt: skip
        _, config = site.wait_for(lambda report: report[0] == "Configuration Received:")
        assert config["live"]["websocket_public_key_part"] == server.key_part
        site.wait_for(lambda report: report[0] == "Statistics Update:")  # and on it goes


def driven_page(*attempts: Credentials) -> dict[str, tuple[str, str]]:
    """page.html and its module, with a script that logs in with each of these in turn."""
    html = (JS_CLIENT / "page.html").read_text(encoding="utf-8")
    assert html.count("</html>") == 1
    scripts = '<script src="/reporter.js"></script><script type="module" src="/driver.js"></script></html>'
    arguments = [
        {"address": attempt.address, "password": attempt.password, "keyPart": attempt.key_part}
        for attempt in attempts
    ]
    # The next attempt follows when the page says that the one before has failed.
    turns = f"""
    const attempts = {json.dumps(arguments)};
    logIn(attempts.shift());
    new MutationObserver(() => {{
      if (element("#state").dataset.is === "failed" && attempts.length) logIn(attempts.shift());
    }}).observe(element("#state"), {{ attributes: true }});
    """
    return {
        "/page.html": ("text/html", html.replace("</html>", scripts)),
        "/reporter.js": ("text/javascript", REPORTER),
        "/driver.js": ("text/javascript", DRIVER + turns),
        **MODULES,
    }


def test_page_shows_live_figures(server: Credentials, tmp_path: Path) -> None:
    with browsing("/page.html", driven_page(server), tmp_path / "profile") as site:
        [page] = site.wait_for(lambda report: len(report[0]["positions"]) > 0)
        assert (page["state"], page["isOld"], page["unscripted"]) == ("Live", False, None)
        # The day, too: it may be another one's figures, or the page may stand open for long.
        assert re.search(rf"changed .*\b{datetime.now().astimezone().day}\b.*:\d\d:\d\d", page["time"])
        assert (page["bot"], page["status"], page["quote"]) == (server.key_part, "running", "USDT")
        assert re.fullmatch(r"[\d,]+\.\d\d", page["balance"])
        assert re.fullmatch(r"-?[\d,]+\.\d\d", page["upnl"])
        assert re.fullmatch(r"\d+", page["orders"])
        for symbol_and_side, size, entry, upnl in page["positions"]:
            assert re.fullmatch(r"\w+/USDT(long|short)", symbol_and_side)
            assert re.fullmatch(r"[\d,]+(\.\d+)?", size)
            assert re.fullmatch(r"[\d,]+(\.\d+)?", entry)
            assert re.fullmatch(r"-?[\d,]+\.\d\d", upnl)
        assert page["password"] == ""
        assert page["button"] == "Disconnect"


def test_page_says_that_its_script_does_not_run(tmp_path: Path) -> None:
    """As where it is opened as a file: browsers load no module from one."""
    html = (JS_CLIENT / "page.html").read_text(encoding="utf-8")
    seen = """
    addEventListener("animationend", ({ target }) => report(target.id, getComputedStyle(target).visibility));
    """
    pages = {
        "/page.html": ("text/html", html.replace("<title>", '<script src="/seen.js"></script><title>')),
        "/seen.js": ("text/javascript", REPORTER + seen),
    }
    with browsing("/page.html", pages, tmp_path / "profile") as site:
        site.wait_for(lambda report: report == ["unscripted", "visible"])


def test_page_tells_why_a_login_failed_and_takes_another(server: Credentials, tmp_path: Path) -> None:
    wrong = server._replace(password="not the password")
    with browsing("/page.html", driven_page(wrong, server), tmp_path / "profile") as site:
        [page] = site.wait_for(lambda report: report[0]["state"].startswith("Not connected"))
        assert page["state"] == "Not connected: Authentication failed: wrong token or public_key_part"
        assert page["button"] == "Connect"
        assert page["bot"] is None
        site.wait_for(lambda report: report[0]["bot"] is not None)


def test_page_greys_what_is_not_live_and_comes_back(tmp_path: Path) -> None:
    config = write_config(tmp_path / "live.hjson", websocket_port=free_port())
    host = (sys.executable, EXAMPLES / "minimal_host.py", config)
    with ExitStack() as first:
        bot = first.enter_context(Process(*host, cwd=tmp_path))
        pages = driven_page(Credentials(address_of(bot), PASSWORD, KEY))
        with browsing("/page.html", pages, tmp_path / "profile") as site:
            site.wait_for(lambda report: report[0]["bot"] is not None and not report[0]["isOld"])
            bot.end()
            [page] = site.wait_for(lambda report: report[0]["state"].startswith("Not live"))
            assert re.fullmatch(r"Not live: the server is going away; trying again at \d.*", page["state"])
            assert page["isOld"]
            assert page["bot"] == "main"  # the last figures stay
            assert page["button"] == "Disconnect"
            with Process(*host, cwd=tmp_path):
                site.wait_for(
                    lambda report: report[0]["state"] == "Live" and report[0]["cards"] == [["main", False]]
                )


async def test_page_shows_bots_and_events_as_the_text_that_they_are(tmp_path: Path) -> None:
    cache, html = Cache(), "<b>x</b><img src=x onerror=report(1)>"
    async with serving(cache) as (server, address):
        put_statistics(server, cache, "zeta")
        put_statistics(server, cache)
        put_statistics(
            server, cache, html, status="stopped", quote=html, positions=(Position(html, "long", 1.0, 1.0),)
        )
        pages = driven_page(Credentials(address, PASSWORD, KEY))
        with browsing("/page.html", pages, tmp_path / "profile") as site:
            [page] = await asyncio.to_thread(site.wait_for, lambda report: len(report[0]["cards"]) == 3)
            # By name, whoever came first; and what is stopped is not live.
            assert page["cards"] == [[html, True], ["main", False], ["zeta", False]]
            for seq in range(1, 23):
                event = Event(0, "error", symbol=html, details={html: seq, "fee": -0.019979999999999998})
                assert cache.put_event("main", seq, event_data(event))
                server.publish("events", "main")
            [page] = await asyncio.to_thread(
                site.wait_for, lambda report: any(f"{html} 22, " in line[-1] for line in report[0]["events"])
            )
    assert len(page["events"]) == 20
    assert page["events"][0][1:] == ["main", "error", html, f"{html} 22, fee -0.01998"]
    assert page["foreign"] == 0


async def test_page_shows_whole_figures_on_a_phone(tmp_path: Path) -> None:
    cache = Cache()
    async with serving(cache) as (server, address):
        positions = (
            Position("1000PEPE/USDT:USDT", "short", 123456.7, 0.0123456, upnl=4.5),
            Position("BTC/USDT:USDT", "long", 0.123456, 101234.5, upnl=-12345.67),
        )
        put_statistics(server, cache, positions=positions)
        pages = driven_page(Credentials(address, PASSWORD, KEY))
        for width, is_clipped in (390, False), (200, True):
            frame = (
                f'<!doctype html><iframe src="/page.html" style="width: {width}px; height: 800px"></iframe>'
            )
            pages["/phone.html"] = ("text/html", frame)
            with browsing("/phone.html", pages, tmp_path / f"profile{width}") as site:
                [page] = await asyncio.to_thread(
                    site.wait_for, lambda report: len(report[0]["positions"]) == 2
                )
                assert page["isClipped"] is is_clipped


async def test_page_tells_what_to_do_about_a_certificate_of_ones_own(tmp_path: Path) -> None:
    async with serving(tls=Authority(tmp_path).files) as (_, address):
        pages = driven_page(Credentials(address, PASSWORD, KEY))
        with browsing("/page.html", pages, tmp_path / "profile") as site:
            [page] = await asyncio.to_thread(site.wait_for, lambda report: bool(report[0]["note"]))
            assert page["state"].startswith(f"Not live: cannot connect to {address}; trying again at ")
            assert f"open {address.replace('wss:', 'https:')} in this browser" in page["note"]


def test_page_takes_no_address_for_a_path_of_its_own(server: Credentials, tmp_path: Path) -> None:
    for address in (server.address.removeprefix("ws://"), server.address.replace("ws:", "http:")):
        pages = driven_page(server._replace(address=address))
        with browsing("/page.html", pages, tmp_path / "profile") as site:
            [page] = site.wait_for(lambda report: report[0]["state"].startswith("Not connected: "))
        assert "an address begins with ws:// or wss://" in page["state"]


async def test_page_tells_what_its_key_may_not_see(tmp_path: Path) -> None:
    password = "another password of some length"
    async with serving(keys={"guest": {"password": password, "scopes": ["config"]}}) as (_, address):
        pages = driven_page(Credentials(address, password, "guest"))
        with browsing("/page.html", pages, tmp_path / "profile") as site:
            [page] = await asyncio.to_thread(site.wait_for, lambda report: bool(report[0]["note"]))
            assert (page["state"], page["note"]) == ("Live", "this key may not see the statistics")


async def test_page_without_a_bot_says_that_it_is_not_the_connection(tmp_path: Path) -> None:
    cache = Cache()
    async with serving(cache) as (server, address):
        pages = driven_page(Credentials(address, PASSWORD, KEY))
        with browsing("/page.html", pages, tmp_path / "profile") as site:
            [page] = await asyncio.to_thread(site.wait_for, lambda report: bool(report[0]["note"]))
            assert (page["state"], page["note"]) == ("Live", "Nothing is known of any bot yet.")
            put_statistics(server, cache)
            await asyncio.to_thread(site.wait_for, lambda report: not report[0]["note"] and report[0]["bot"])


def test_page_says_why_a_plain_page_from_elsewhere_cannot_log_in(server: Credentials, tmp_path: Path) -> None:
    with browsing("/page.html", driven_page(server), tmp_path / "profile", host="elsewhere.test") as site:
        [page] = site.wait_for(lambda report: report[0]["state"].startswith("Not connected: "))
    assert page["state"].endswith("open it over https://, or from localhost")


def test_module_tries_again_at_once_when_the_network_is_back(tmp_path: Path) -> None:
    script = f"""
    import {{ connect }} from "/passivbot-client.mjs";
    connect({{
      url: "ws://127.0.0.1:{free_port()}", password: "x", publicKeyPart: "y",
      retry: {{ baseMs: 1e9, maxMs: 1e9 }},
      onState({{ state }}) {{
        report(state);
        if (state === "waiting") window.dispatchEvent(new Event("online"));
      }},
    }});
    """
    html = '<script src="/reporter.js"></script><script type="module" src="/script.js"></script>'
    pages = {
        "/": ("text/html", html),
        "/reporter.js": ("text/javascript", REPORTER),
        "/script.js": ("text/javascript", script),
        **MODULES,
    }
    with browsing("/", pages, tmp_path / "profile") as site:
        for _ in range(3):
            site.wait_for(lambda report: report == ["connecting"])
            site.wait_for(lambda report: report == ["waiting"])

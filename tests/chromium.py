"""A real headless Chromium, and a site for it, to which a page under test reports by POST."""

from __future__ import annotations

import json
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from processes import WAIT_S, Process

CHROMIUM: Final = shutil.which("chromium") or "chromium"

#: What a cold browser may take to start and report; seconds.
REPORT_S: Final = 40.0

FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

#: Sends reports in order; `report` is what the other scripts call.
REPORTER: Final = """
let last = Promise.resolve();
function report(...parts) {
  const body = JSON.stringify(parts);
  last = last.then(() => fetch("/report", { method: "POST", body }));
}
window.addEventListener("error", (event) => report("page error", event.message));
window.addEventListener("unhandledrejection", (event) => report("page error", String(event.reason)));
"""


class Site:
    """Pages for the browser, and the reports that they send back."""

    def __init__(self, pages: dict[str, tuple[str, str]]) -> None:
        self.reports: queue.Queue[Any] = queue.Queue()
        self.heard: list[Any] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path not in pages:
                    self.send_error(HTTPStatus.NOT_FOUND)
                    return
                content_type, text = pages[self.path]
                self._answer(HTTPStatus.OK, content_type, text.encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                site.reports.put(json.loads(body))
                self._answer(HTTPStatus.OK, "text/plain", b"")

            def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", f"{content_type}; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass  # not into the tests' output

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def wait_for(self, is_it: Callable[[Any], bool]) -> Any:
        """The next report for which that is true."""
        deadline = time.monotonic() + REPORT_S
        while True:
            try:
                report = self.reports.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"never reported; last heard: {self.heard[-5:]}") from None
            self.heard.append(report)
            assert report[0] != "page error", report
            if is_it(report):
                return report

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(WAIT_S)


@contextmanager
def browsing(
    path: str, pages: dict[str, tuple[str, str]], profile: Path, *, host: str = "127.0.0.1"
) -> Iterator[Site]:
    """A browser of its own that looks at one page of a site of its own.

    Args:
        path: The page's path.
        pages: The site: content type and text by path.
        profile: A folder for the browser.
        host: What the browser takes the site's name for.
    """
    flags = (*FLAGS, f"--user-data-dir={profile}", f"--host-resolver-rules=MAP {host} 127.0.0.1")
    with (
        closing(Site(pages)) as site,
        Process(CHROMIUM, *flags, site.address.replace("127.0.0.1", host) + path) as browser,
    ):
        yield site
        browser.end()

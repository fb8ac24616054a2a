"""The demo's server, and the published client that logs in to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from processes import EXAMPLES, Process

JS_CLIENT: Final = EXAMPLES / "js-client"


class Credentials(NamedTuple):
    """What a client needs."""

    address: str
    password: str
    key_part: str


@contextmanager
def demo_server() -> Iterator[Credentials]:
    """A paper bot on a free port; it must end with exit code 0."""
    with Process.python("passivbot_ws_plugin", "demo", "--port", "0") as process:
        said = process.wait_for(
            r"^ +address +(ws://127\.0\.0\.1:\d+)$", r"^ +password +(\S+)$", r"^ +public key part +(\S+)$"
        )
        yield Credentials(*(match[1] for match in said))
        assert process.end() == 0, process.output


def published_client(credentials: Credentials) -> str:
    """The published client's text, with another address and other credentials and nothing else."""
    text = (JS_CLIENT / "published.js").read_text(encoding="utf-8")
    published = ("ws://localhost:8765", "your_secret_bot_password", "client_A_key")
    for literal, actual in zip(published, credentials, strict=True):
        assert text.count(f'"{literal}"') == 1
        text = text.replace(f'"{literal}"', f'"{actual}"')
    return text

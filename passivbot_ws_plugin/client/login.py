"""The two ways to log in, as generators: each gives the frame to send and is sent the answer. No I/O.

They return once the client is in. Nothing that the server says is believed before.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET
from scramp import ScramClient

from passivbot_ws_plugin.access.auth import make_token
from passivbot_ws_plugin.access.scram import MECHANISM, SCRAM_FAILURES
from passivbot_ws_plugin.errors import WebSocketPluginError
from passivbot_ws_plugin.messages import AuthResult, Challenge

from .errors import ServerNotProvenError
from .incoming import UnusableError, decode

#: How to log in: prove the password, or send the published token.
Method = Literal["scram", "token"]

#: What a server may ask for. RFC 7677 asks for so many at least: of fewer, who answers in the server's place
#: can guess the password sooner.
ITERATIONS_MIN: Final = 4_096

#: Each costs some half a microsecond, in which the client's loop stands still.
ITERATIONS_MAX: Final = 100_000

#: An ``auth`` may have 8 KiB; what else is in it has far less than the rest.
SUBSCRIPTIONS_MAX_BYTES: Final = 7_168

_ITERATIONS: Final = re.compile(r"(?:^|,)i=([0-9]{1,9})(?:,|$)")

Login = Generator[bytes, str | bytes, None]
Subscriptions = Sequence[Mapping[str, Any]]


class RefusedError(WebSocketPluginError):
    """The server said no.

    Attributes:
        message: Its words.
        retry_after_s: How long it asks to wait, seconds; None: it does not.
        code: What it closed with then, once that is known.
    """

    def __init__(self, message: str, retry_after_s: int | None = None, code: int | None = None) -> None:
        self.message = message
        self.retry_after_s = retry_after_s
        self.code = code
        super().__init__(message)


def log_in(method: Method, key: str, password: str, subscriptions: Subscriptions) -> Login:
    """Log in.

    Args:
        method: How.
        key: The key part.
        password: The password.
        subscriptions: What is to begin with the login.

    Raises:
        RefusedError: The server said no.
        ServerNotProvenError: The other end did not prove itself, or is no such server.
    """
    if method == "token":
        yield from _by_token(key, password, subscriptions)
    else:
        yield from _by_scram(key, password, subscriptions)


def check_scram(key: str, password: str) -> None:
    """Whether SCRAM can say these.

    Raises:
        ValueError: It cannot.
    """
    try:
        ScramClient([MECHANISM], key, password).get_client_first()
    except SCRAM_FAILURES:
        # Not from the library's error: it tells of the character.
        raise ValueError(
            "SCRAM cannot say this key or password: a character in it is forbidden (SASLprep, RFC 4013); "
            'choose another password, or method="token"'
        ) from None


def _by_token(key: str, password: str, subscriptions: Subscriptions) -> Login:
    answer = yield _encode(
        type="auth", token=make_token(password, key), public_key_part=key, subscribe=subscriptions
    )
    _result(answer)


def _by_scram(key: str, password: str, subscriptions: Subscriptions) -> Login:
    client = ScramClient([MECHANISM], key, password)
    challenge = yield _encode(type="hello", mechanism=MECHANISM, data=client.get_client_first())
    proof = _prove(client, challenge)
    result = _result((yield _encode(type="auth", data=proof, subscribe=subscriptions)))
    try:
        client.set_server_final(result.data)
    except SCRAM_FAILURES:
        raise ServerNotProvenError(
            "the server does not know the password, though it said that the login succeeded: somebody else "
            "may answer in its place; check the address before you try again"
        ) from None


def _prove(client: ScramClient, frame: str | bytes) -> str:
    match _decode(frame):
        case Challenge(data=data):
            pass
        case AuthResult(success=False) as result:
            raise _refused(result)
        case _:
            raise _no_such_server()
    found = _ITERATIONS.search(data)
    if found is None or not ITERATIONS_MIN <= int(found[1]) <= ITERATIONS_MAX:
        raise _no_such_server()
    try:
        client.set_server_first(data)
        final: str = client.get_client_final()
    except SCRAM_FAILURES:
        raise _no_such_server() from None
    return final


def _result(frame: str | bytes) -> AuthResult:
    match _decode(frame):
        case AuthResult(success=True) as result:
            return result
        case AuthResult() as result:
            raise _refused(result)
        case _:
            raise _no_such_server()


def _refused(result: AuthResult) -> RefusedError:
    wait_s = result.retry_after_s
    return RefusedError(result.message, None if wait_s is UNSET else wait_s)


def _decode(frame: str | bytes) -> object:
    try:
        return decode(frame)
    except UnusableError:
        raise _no_such_server() from None


def _no_such_server() -> ServerNotProvenError:
    return ServerNotProvenError(
        "what answered is not this server, or not as this protocol has it: is another program on that "
        "address? Passivbot's monitor relay has the same default port"
    )


def _encode(**members: object) -> bytes:
    return msgspec.json.encode(members)

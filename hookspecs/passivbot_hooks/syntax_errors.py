"""What is wrong with an HJSON text, in an owner's words and with the line to look at.

The parser that Passivbot uses, and so we do, finds the place. Its own words are for who wrote it,
its line is often that of the next token or of the file's end, and some mistakes end in an
`IndexError`. No sentence here holds anything of the text: it may be a part of a password.
"""

from __future__ import annotations

import math
import re
import traceback
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import hjson

#: HJSON's trap, which its parser's errors never name.
QUOTES_HINT: Final = "put strings in quotes: one without them goes on to the end of its line"

_NO_COLON: Final = "a name has no `:` behind it; a name with blanks needs quotes"
_ONE_TOO_MANY: Final = "the config ends here; is this `}` one too many?"

#: A text whose root has its braces, behind blanks and comments.
_BRACED: Final = re.compile(r"(?:\s|(?:#|//)[^\n]*+|/\*.*?\*/)*+[{\[]", re.DOTALL)

_NUMBER: Final = re.compile(r"\d++(?:\.\d++)?(?:[eE]\+?\d++)?")


class Fault(NamedTuple):
    """What is wrong and what would be right, and the line from 1, if it is known."""

    reason: str
    line: int | None = None


_Say = Callable[[str, hjson.HjsonDecodeError], Fault]


def explain(text: str, exc: Exception) -> Fault:
    """What is wrong with a text.

    Args:
        text: What was parsed.
        exc: What the parser raised, or what stands for its having read an object as a string.
    """
    if not _BRACED.match(text):
        return _explain_without_braces(text)
    return _explain(text, exc)


def _explain_without_braces(text: str) -> Fault:
    """The parser, when it fails, reads the first line as a string, and tells what is wrong with that.

    With a brace of ours before it, in the first line too, the text has no other reading.
    """
    text = "{" + text
    try:
        hjson.loads(text, object_pairs_hook=dict)
    except Exception as exc:  # noqa: BLE001  any of those of the first reading
        if str(exc).startswith("Bad key name") and _innermost(exc) == ("{", 0):
            return _before(_NO_COLON)(text, exc)
        return _explain(text, exc)
    return _before(_ONE_TOO_MANY)(text, hjson.HjsonDecodeError("", text, len(text)))


def _explain(text: str, exc: Exception) -> Fault:
    if isinstance(exc, hjson.HjsonDecodeError):
        say = next((say for beginning, say in _SAYINGS.items() if exc.msg.startswith(beginning)), _unknown)
        return say(text, exc)
    return _past_the_end(text) if isinstance(exc, IndexError) else _too_large(text)


def _unknown(text: str, exc: hjson.HjsonDecodeError) -> Fault:
    return Fault(QUOTES_HINT, _line(text, exc.pos))


def _here(reason: str) -> _Say:
    return lambda text, exc: Fault(reason, _line(text, exc.pos))


def _before(reason: str) -> _Say:
    return lambda text, exc: Fault(reason, _line(text, len(text[: exc.pos].rstrip()) - 1))


def _control_character(text: str, exc: hjson.HjsonDecodeError) -> Fault:
    pos = exc.pos - 1
    if text[pos] in "\r\n":
        return Fault("a string is not closed on its line; end it with a quote", _line(text, pos))
    written = "\\t" if text[pos] == "\t" else f"\\u{ord(text[pos]):04x}"
    return Fault(f"a string holds a control character; write it as `{written}`", _line(text, pos))


def _no_name(text: str, exc: hjson.HjsonDecodeError) -> Fault:
    char = text[exc.pos]
    if char in "{}[],":
        return Fault(f"a name is missing before `{char}`, or it is one too many", _line(text, exc.pos))
    return Fault(_NO_COLON, _line(text, exc.pos))


def _no_value(text: str, exc: hjson.HjsonDecodeError) -> Fault:
    if _innermost(exc)[0] == "[" and text[exc.pos : exc.pos + 1] in ("", "}"):
        return _open_bracket(text, exc)
    return Fault("a value is missing", _line(text, max(text.rfind(mark, 0, exc.pos) for mark in ":,[")))


def _open_bracket(text: str, exc: hjson.HjsonDecodeError) -> Fault:
    bracket, pos = _innermost(exc)
    closing = "]" if bracket == "[" else "}"
    return Fault(f"this `{bracket}` is not closed; add `{closing}`, and {QUOTES_HINT}", _line(text, pos))


def _innermost(exc: Exception) -> tuple[str, int]:
    """The innermost bracket that was open, and its place.

    Nothing tells them but the parser's own frames; where they are others, it is the file's first.
    """
    innermost = "{", 0
    for frame, _ in traceback.walk_tb(exc.__traceback__):
        bracket = {"JSONObject": "{", "JSONArray": "["}.get(frame.f_code.co_name)
        if bracket is not None and "state" in frame.f_locals:
            innermost = bracket, frame.f_locals["state"][1] - 1
    return innermost


def _open_text(text: str, _: object = None) -> Fault:
    return Fault("a string in `'''` is not closed; end it with `'''`", _line(text, text.rfind("'''")))


def _past_the_end(text: str) -> Fault:
    """The parser looks for the end of something beyond the text's."""
    comment = text.find("/*", text.rfind("*/") + 1)
    if comment >= 0:
        return Fault("a comment is not closed; end it with `*/`", _line(text, comment))
    if text.count("'''") % 2 == 0:  # it also looks for the start of the line before, in vain in the first one
        return Fault("a string in `'''` must not stand in the first line; put it in quotes", 1)
    return _open_text(text)


def _too_large(text: str) -> Fault:
    """Python refuses a number of so many digits, and an infinite one where the parser wants a whole one."""
    for number in _NUMBER.finditer(text):
        if math.isinf(float(number[0])):
            return Fault("a number is too large", _line(text, number.start()))
    return Fault(QUOTES_HINT)


def _line(text: str, pos: int) -> int:
    return text.count("\n", 0, max(0, pos)) + 1


#: What the parser's message begins with, and what says it in our words; the first that fits.
_SAYINGS: Final[Mapping[str, _Say]] = {
    "Unterminated string": _here("a string is not closed; end it with a quote"),
    "Invalid control character": _control_character,
    "Invalid \\u": _here(
        r"a string holds `\u` without four hexadecimal digits behind it; a backslash is written as `\\`"
    ),
    "Invalid \\X": _here(r"a string holds a backslash that begins no escape; a backslash is written as `\\`"),
    "Bad multiline string": _open_text,
    "Bad key name": _open_bracket,
    "End of input": _open_bracket,
    "Expecting value": _no_value,
    "Found a punctuator": _no_value,
    "Found ':'": _here("a name is missing before `:`"),
    "Found ": _no_name,
    "Expecting ':'": _before(_NO_COLON),
    "Extra data": _before(_ONE_TOO_MANY),
}

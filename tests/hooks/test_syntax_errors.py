"""Each mistake with its line and the words for who made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from passivbot_hooks import ConfigError
from passivbot_hooks.config import parse_config


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('{\nlive: {\n user: "main\n}\n}', 3, "a string is not closed on its line"),
        ('live: {\n user: "main\n}', 2, "a string is not closed on its line"),
        ('{\n"a": "b', 2, "a string is not closed; end it with a quote"),
        ('{\n"a": "b\tc"}', 2, r"a control character; write it as `\t`"),
        ('{\n"a": "b\1c"}', 2, r"a control character; write it as `\u0001`"),
        ('{live: {\n user: "C:\\x"\n}}', 2, r"a backslash is written as `\\`"),
        ('{live: {\n user: "\\u12"\n}}', 2, r"`\u` without four hexadecimal digits"),
        ("a:'''abc", 1, "a string in `'''` is not closed"),
        ("a:'''abc'''", 1, "a string in `'''` must not stand in the first line"),
        ("{\n\na: '''abc\n\n\n", 3, "a string in `'''` is not closed"),
        ("{\n\na: '''", 3, "a string in `'''` is not closed"),
        ("{\na: 1 /* abc */\nb: 2 /* abc\n\n", 3, "a comment is not closed"),
        ('{\nlive: {\n user: "main"\n}\n', 1, "this `{` is not closed; add `}`"),
        ('# mine\nlive: {\n user: "main"\n', 2, "this `{` is not closed; add `}`"),
        ('live: {\n user: "main"\n}\nbot: {long: {n: x}\n}', 4, "put strings in quotes"),
        ("{\nlive: [1, 2\n}", 2, "this `[` is not closed; add `]`"),
        ("{\nlive: [", 2, "this `[` is not closed; add `]`"),
        ("live: {}\n}\nbot: {}", 2, "is this `}` one too many?"),
        ("{live: {}}\n}", 1, "is this `}` one too many?"),
        ("{live: {\n user main\n}}", 2, "a name has no `:` behind it"),
        ('{live: {\n "user"\n}}', 2, "a name has no `:` behind it"),
        ("{live: {\n user name: 3\n}}", 2, "a name with blanks needs quotes"),
        ("a: 1\nfoo", 2, "a name has no `:` behind it"),
        ("{live: {\n user:\n}}", 2, "a value is missing"),
        ("{live: {\n,}}", 2, "a name is missing before `,`"),
        ("{\n: 1}", 2, "a name is missing before `:`"),
        ("{live: {\n x: 1e999\n}}", 2, "a number is too large"),
        ("main", 1, "a name has no `:` behind it"),
    ],
)
def test_a_mistake_has_its_line_and_what_would_be_right(text: str, line: int, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(Path("live.hjson"), text.encode())
    assert caught.value.line == line
    assert str(caught.value).startswith(f"live.hjson:{line}: not valid HJSON: ")
    assert said in caught.value.reason
    assert "%r" not in caught.value.reason


@pytest.mark.parametrize("mistake", ['"hunter2', '"hunter2\\x"', "hunter2 }", "'''hunter2", '"hunter2" 3: {'])
def test_no_sentence_holds_anything_of_the_file(mistake: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(Path("live.hjson"), f"live: {{\nwebsocket_password: {mistake}\n".encode())
    assert "hunter2" not in str(caught.value)


def test_a_long_line_of_comments_is_explained_at_once() -> None:
    with pytest.raises(ConfigError, match="has no `:` behind it"):
        parse_config(Path("live.hjson"), b"#" * 10_000 + b"/**/" * 10_000 + b"\nfoo")

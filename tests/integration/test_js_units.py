"""The pure parts of the JavaScript client: by Node's own test runner, and beside the server's own."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Final

import pytest
from demo_server import JS_CLIENT
from js_watcher import NODE, needs_node
from scramp import ScramException
from scramp.utils import saslprep  # type: ignore[import-untyped]

pytestmark = needs_node

#: Their normal form was wrong in Unicode 3.2, which SASLprep is bound to, and mended later (Corrigendum 4).
MENDED: Final = {"\U0002f868", "\U0002f874", "\U0002f91f", "\U0002f95f", "\U0002f9bf"}

TESTS: Final = sorted((Path(__file__).parents[1] / "js").glob("*.test.mjs"))


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.name)
def test_by_nodes_own_runner(test: Path) -> None:
    done = subprocess.run([NODE, "--test", test], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout
    assert "pass 0" not in done.stdout


def test_a_password_is_to_the_client_what_it_is_to_the_server() -> None:
    """Wherever the server has SCRAM for a password, the client makes the same of it."""
    source = random.Random(4013)
    letters = (
        "aZ5 \u00a0\u00ad\u00aa\u2168\u0301e\u00e9\u212b\u200b\u3000\ufb01\u0627\u0628\uff21\u1e9b\u0323"
    )
    passwords = ["".join(source.choices(letters, k=source.randint(1, 6))) for _ in range(3000)]
    passwords += [chr(point) for point in range(0x20, 0x3_0000) if not 0xD800 <= point < 0xE000]
    script = f"""
    import {{ saslPrep }} from "{(JS_CLIENT / "scram.mjs").as_uri()}";
    import {{ readFileSync }} from "node:fs";
    const prepared = JSON.parse(readFileSync(0, "utf8")).map((password) => {{
      try {{ return saslPrep(password); }} catch {{ return null; }}
    }});
    process.stdout.write(JSON.stringify(prepared));
    """
    done = subprocess.run(
        [NODE, "--input-type=module", "--eval", script],
        input=json.dumps(passwords), capture_output=True, text=True, timeout=50, check=True,
    )  # fmt: skip
    different = set()
    for password, ours in zip(passwords, json.loads(done.stdout), strict=True):
        try:
            if saslprep(password) != ours:
                different.add(password)
        except ScramException:
            continue  # the server has no SCRAM for it
    assert different == MENDED

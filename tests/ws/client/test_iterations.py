"""How often a server may have the client hash its password: of few, an impostor guesses it sooner."""

from __future__ import annotations

import json

import pytest
from servers import KEY, PASSWORD

from passivbot_ws_plugin.client import ServerNotProvenError
from passivbot_ws_plugin.client.login import ITERATIONS_MAX, ITERATIONS_MIN, log_in


def challenged(count: str) -> bytes:
    """What the client answers to a challenge that asks for so many."""
    client = log_in("scram", KEY, PASSWORD, [])
    nonce = json.loads(next(client))["data"].rpartition("r=")[2]
    data = f"r={nonce}more,s=" + "QUFB" * 6 + f",i={count}"
    return client.send(json.dumps({"type": "challenge", "data": data}))


@pytest.fixture(autouse=True)
def library_that_takes_any_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scramp.core.IterationCount.MIN_ITERATION_COUNT", 1)


@pytest.mark.parametrize(
    "count", ["1", f"{ITERATIONS_MIN - 1}", f"{ITERATIONS_MAX + 1}", "4096,i=1", f"1,i={ITERATIONS_MIN}"]
)
def test_no_proof_is_made_for_too_few_iterations_or_too_many(count: str) -> None:
    with pytest.raises(ServerNotProvenError):
        challenged(count)


@pytest.mark.parametrize("count", [ITERATIONS_MIN, ITERATIONS_MAX])
def test_what_the_rfc_asks_for_is_taken(count: int) -> None:
    assert json.loads(challenged(str(count)))["type"] == "auth"

"""Real files of real Passivbots, if a folder of them is given.

``PASSIVBOT_MONITOR_FILES`` names a folder with monitor roots (``*/<exchange>/<user>/``) and series of
successive ``state.latest.json`` (``*-state-series/*.json``). What is expected is computed here, from
the files, in the plainest way there is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from clients import address_of, log_in, receive, receive_statistics
from monitor_files import published_figures, shown, write_state
from processes import Process
from servers import write_config

_GIVEN = os.environ.get("PASSIVBOT_MONITOR_FILES", "")
FILES = Path(_GIVEN) if _GIVEN else None

pytestmark = pytest.mark.skipif(
    FILES is None, reason="PASSIVBOT_MONITOR_FILES names no folder of a real bot's monitor files"
)

ROOTS = sorted({path.parents[2] for path in FILES.glob("*/*/*/state.latest.json")}) if FILES else []
SERIES = sorted(FILES.glob("*-state-series")) if FILES else []


def run(tmp_path: Path, root: Path, user: str) -> Process:
    config = write_config(tmp_path / "live.hjson", user=user)
    return Process.python(
        "passivbot_hooks", "run", config, "--monitor-root", root, "--poll", "0.02", "--verbose"
    )


@pytest.mark.parametrize("root", ROOTS, ids=lambda path: path.name)
def test_the_figures_served_equal_those_computed_by_hand(root: Path, tmp_path: Path) -> None:
    [path] = root.glob("*/*/state.latest.json")
    document = json.loads(path.read_text())
    with run(tmp_path, root, path.parent.name) as sidecar, log_in(address_of(sidecar)) as client:
        message = receive_statistics(client)
        assert message["data"]["timestamp"] == document["meta"]["snapshot_ts_ms"]
        assert shown(message["data"]) == published_figures(document)
        assert message["data"]["status"] == "stopped"
        assert sidecar.end() == 0


@pytest.mark.parametrize("series", SERIES, ids=lambda path: path.name)
def test_a_replayed_series_gives_one_message_for_each_real_change(series: Path, tmp_path: Path) -> None:
    documents = [json.loads(path.read_text()) for path in sorted(series.glob("*.json"))]
    user = documents[0]["meta"]["user"]
    directory = tmp_path / "monitor" / "fake" / user
    counters = (
        "fills",
        "orders_placed",
        "orders_cancelled",
        "errors_last_hour",
        "ws_reconnects",
        "rate_limits",
    )
    with (
        run(tmp_path, tmp_path / "monitor", user) as sidecar,
        log_in(address_of(sidecar)) as client,
    ):
        assert receive(client)["code"] == "unavailable"
        previous: Any = None
        seq = 0
        for document in documents:
            document["meta"]["pid"] = os.getpid()  # a bot of this machine, stale and not stopped
            write_state(directory, document)
            current = (published_figures(document), [document["health"].get(name) for name in counters])
            expected = json.loads(json.dumps(current, default=lambda approx: approx.expected))
            prices = [
                v.get("last_price") for s in document["positions"].values() for v in s.values() if v["size"]
            ]
            if (expected, prices) == previous:
                # Nothing may come for a timestamp alone: the answer to a ping comes next.
                sidecar.wait_for_line(f"snapshot {document['meta']['snapshot_ts_ms']}")
                client.send('{"type":"ping"}')
                assert receive(client) == {"type": "pong"}
                continue
            previous = (expected, prices)
            seq += 1
            message = receive(client)
            assert (message["type"], message["seq"]) == ("statistics", seq)
            assert shown(message["data"]) == current[0]
        assert seq > 10
        assert sidecar.end() == 0

from __future__ import annotations

import os
import signal
import sys

from processes import ROOT, Process

#: Waits for Ctrl-C, in a child of ours as the tests start one.
CHILD = """
import signal
from processes import Process
with Process("{python}", "-c", "import time; print('up', flush=True); time.sleep(60)") as child:
    child.wait_for_line("up")
    print("the child ended with", child.end(signal.SIGINT), flush=True)
"""


def test_a_child_hears_ctrl_c_where_we_were_started_without_it() -> None:
    command = (sys.executable, "-c", CHILD.format(python=sys.executable))
    env = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    with Process("sh", "-c", "trap '' INT; exec \"$@\"", "sh", *command, env=env) as script:
        script.wait_for_line(f"the child ended with {-signal.SIGINT}")

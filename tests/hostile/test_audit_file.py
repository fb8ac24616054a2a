"""What may happen to the file of the audit record while somebody logs in, and while somebody is in.

What a full disk or a damaged chain means for the file alone is in ``tests/ws/audit``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from disks import mount, small_disk, unmount
from raw import raw, text
from servers import auth_message, closed, connect, receive
from sidecars import beside, modes_count, running
from siege import besieged

from passivbot_ws_plugin.audit import Audit, AuditFile
from passivbot_ws_plugin.audit.verify import verify

OK: Final = (200, {"status": "ok"})
UNAVAILABLE: Final = (503, {"status": "unavailable", "reason": "audit"})

CANNOT: Final = "Authentication failed: the server cannot record logins now; try again later"
ACCEPTED: Final = ("auth.success", "accepted")
WRONG: Final = ("auth.failure", "wrong token")
NOT_RECORDED: Final = ("auth.failure", "login cannot be recorded")


async def health(address: str) -> tuple[int, Any]:
    async with raw(address) as client:
        await client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        status, headers = await client.response()
        body = await client.reader.readexactly(int(headers["content-length"]))
        return status, json.loads(body)


async def is_let_in(address: str) -> bool:
    """Whether a right login is; if not, it is told why."""
    async with connect(address) as client:
        await client.send(auth_message())
        answer = await receive(client)
        if not answer["success"]:
            assert answer["message"] == CANNOT
            assert answer["retry_after_s"] == 5  # so the close may be lost, and the client comes back
            assert await closed(client) == (1013, "logins cannot be recorded")
        return bool(answer["success"])


# --- the disk of a whole sidecar ----------------------------------------------------------


@pytest.mark.parametrize("is_mounted", [True, False], ids=["disk", "limit"])
async def test_a_full_disk_refuses_logins_and_leaves_clients_in(is_mounted: bool, tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    with small_disk(folder, is_mounted=is_mounted) as disk, running(tmp_path, "main") as sidecar:
        disk.process = sidecar.process.pid
        async with beside(sidecar) as good:
            logins = 1
            for _ in range(2):
                disk.fill()
                while await is_let_in(sidecar.address):  # the last block may have room for a few yet
                    logins += 1
                await sidecar.says(r"ERROR .*event=audit\.not_writable .*(No space left|bytes were taken)")
                assert await health(sidecar.address) == UNAVAILABLE
                await good.show("main")
                assert not await is_let_in(sidecar.address)
                disk.free()
                assert await is_let_in(sidecar.address)
                logins += 1
                await sidecar.says(r"event=audit\.writable_again")
                assert await health(sidecar.address) == OK
            assert sidecar.records().count(ACCEPTED) == logins


async def test_without_a_record_if_the_owner_wants(tmp_path: Path) -> None:
    options = {"audit": {"required": False}}
    folder = tmp_path / "audit"
    folder.mkdir()
    with small_disk(folder, is_mounted=False) as disk, running(tmp_path, "main", options=options) as sidecar:
        disk.process = sidecar.process.pid
        async with beside(sidecar):
            disk.fill()
            assert await is_let_in(sidecar.address)
            await sidecar.says(r"event=audit\.not_writable", r"event=auth\.success_not_on_record")
            assert sidecar.process.output.count('"event":"auth.success"') == 2  # its logger has both
            assert await health(sidecar.address) == OK
            disk.free()
            assert await is_let_in(sidecar.address)
            assert sidecar.records() == [ACCEPTED] * 2


@contextmanager
def read_only(folder: Path) -> Iterator[Callable[[], None]]:
    """A folder on a read-only disk, or one that its owner may not write to; call it to make it writable."""
    is_mounted = mount(folder, "ro,size=64k,mode=0700")
    if not is_mounted:
        folder.chmod(0o500)

    def make_writable() -> None:
        if is_mounted:
            subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        else:
            folder.chmod(0o700)

    try:
        yield make_writable
    finally:
        if is_mounted:
            unmount(folder)


async def test_a_read_only_disk_from_the_start_and_later(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    with read_only(folder) as make_writable, running(tmp_path, "main", before=modes_count() or ()) as sidecar:
        why = "event=server.refuses_logins reason=.*(Read-only file system|Permission denied)"
        assert re.search(why, sidecar.process.output)
        assert not await is_let_in(sidecar.address)
        assert await health(sidecar.address) == UNAVAILABLE
        make_writable()
        assert await is_let_in(sidecar.address)
        # From now on the file, its key and its head are open.
        idle = replace(sidecar.idle, descriptors=sidecar.idle.descriptors + 3)
        async with beside(replace(sidecar, idle=idle)) as good:
            assert await health(sidecar.address) == OK
            if mount(folder, "ro,size=64k"):  # over it, as a disk is after an error
                try:
                    assert not await is_let_in(sidecar.address)
                    await sidecar.says(r"event=audit\.not_writable .*Read-only file system")
                    assert await health(sidecar.address) == UNAVAILABLE
                    await good.show("main")
                finally:
                    unmount(folder)
                assert await is_let_in(sidecar.address)
                assert await health(sidecar.address) == OK
        assert set(sidecar.records()) <= {ACCEPTED, NOT_RECORDED}


# --- what others do to the file -----------------------------------------------------------


def add_half_a_line(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'{"event":"auth.success"')


def edit(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"accepted", b"ACCEPTED"))


def put_another(path: Path) -> None:
    path.with_name("another").write_bytes(b"no record\n")
    path.with_name("another").replace(path)


#: What is done to the file, and what `audit verify` says afterwards; None: that all holds.
UNDERNEATH: dict[str, tuple[Callable[[Path], object], str | None]] = {
    "truncated": (lambda path: os.truncate(path, 100), "line 1: "),
    "emptied": (lambda path: os.truncate(path, 0), "line 1: records before it were lost"),
    "removed": (Path.unlink, "line 1: records before it were lost"),
    "rotated": (lambda path: path.replace(path.with_name("audit.jsonl.1")), None),
    "moved away": (lambda path: path.replace(path.with_name("away")), "line 1: records before it were lost"),
    "another in its place": (put_another, "line 1: not JSON"),
    "half a line added": (add_half_a_line, None),
    "edited": (edit, "line 1: edited"),
}


@pytest.mark.parametrize(("damage", "found"), UNDERNEATH.values(), ids=UNDERNEATH)
async def test_logins_go_on_whatever_is_done_to_the_file(
    damage: Callable[[Path], object], found: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    audit = Audit(AuditFile(path, max_bytes=1_000_000, keep=2))
    complaint = "event=audit.(changed_underneath|chain_broken)"
    async with besieged(WRONG, ACCEPTED, audit=audit, complaint=complaint, stays=True) as siege:
        damage(path)
        wrong = await siege.stranger()
        await wrong.send(text(auth_message("wrong")))
        assert (await wrong.closing())[1] == 4401
        await siege.client()
        await siege.show()
        report = verify(path)
        assert (report.fault is None) == (found is None), report
        assert found is None or str(report.fault).startswith(found)


async def test_a_directory_in_its_place_refuses_logins_until_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = Audit(AuditFile(path, max_bytes=1_000_000, keep=2))
    complaint = "event=audit.(changed_underneath|not_writable|chain_broken)"
    async with besieged(NOT_RECORDED, ACCEPTED, audit=audit, complaint=complaint) as siege:
        path.unlink()
        path.mkdir()
        assert not await is_let_in(siege.address)
        assert await health(siege.address) == UNAVAILABLE
        await siege.show()
        path.rmdir()
        assert await is_let_in(siege.address)
        assert await health(siege.address) == OK

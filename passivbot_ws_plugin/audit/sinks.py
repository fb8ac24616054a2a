"""Where an audit record goes: the chained file first, then a stdlib logger."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from passivbot_ws_plugin.log import get_logger

from .chain import to_json
from .file import AuditFile
from .store import FILE_LOGGER_NAME

_log = get_logger(FILE_LOGGER_NAME)


class Sinks:
    """The end of the records' pipeline: structlog calls `info` or `warning`.

    Args:
        file: The chained file; None: the logger alone.
        logger: Gets each record as a line of JSON, whatever became of the file.
        is_required: Whether a success that is not on file is none: the logger does not get it then.

    Attributes:
        failure: Why the file could not be written the last time; None if it could.
    """

    def __init__(self, file: AuditFile | None, logger: logging.Logger, *, is_required: bool) -> None:
        self.failure: str | None = None
        self._lost = 0
        self._file = file
        self._logger = logger
        self._is_required = is_required

    def open(self) -> bool:
        """Open the file; whether it is open."""
        return self._file is None or self._attempt(self._file, self._file.open)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def info(self, record: Mapping[str, object]) -> bool:
        """Write a record of something good; whether it is on file."""
        return self._write(logging.INFO, record)

    def warning(self, record: Mapping[str, object]) -> bool:
        """Write a record of something else; whether it is on file."""
        return self._write(logging.WARNING, record)

    def _write(self, level: int, record: Mapping[str, object]) -> bool:
        file = self._file
        is_on_file = file is None or self._attempt(file, lambda: file.append(record))
        if not is_on_file:
            count = record.get("count", 1)  # of attempts
            self._lost += count if isinstance(count, int) else 1
            if self._is_required and record["event"] == "auth.success":
                return False  # the caller makes a failure of it, and records that
        self._logger.log(level, "%s", to_json(record))
        return is_on_file

    def _attempt(self, file: AuditFile, write: Callable[[], None]) -> bool:
        try:
            write()
        except OSError as exc:
            failure = f"{file.path}: {exc.strerror}" if exc.strerror else str(exc)
            if self.failure is None:
                _log.error("audit.not_writable", failure=failure)
            self.failure = failure
            return False
        if self.failure is not None:
            _log.info("audit.writable_again", path=str(file.path), lost=self._lost)
            self.failure = None
            self._lost = 0
        return True

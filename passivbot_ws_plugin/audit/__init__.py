"""The record of every authentication attempt: one JSON line each, chained, in a file of its own.

``record`` is what the server writes to; ``file`` is where it goes, made of ``chain`` (what binds a line
to the one before), ``store`` (descriptors, modes, locks) and ``recovery`` (after a crash or worse);
``verify`` and ``tail`` are what people read it with.
"""

from __future__ import annotations

from .file import AuditFile
from .record import LOGGER_NAME, TEXT_MAX_BYTES, Audit, AuditEvent, Visitor

__all__ = ["LOGGER_NAME", "TEXT_MAX_BYTES", "Audit", "AuditEvent", "AuditFile", "Visitor"]

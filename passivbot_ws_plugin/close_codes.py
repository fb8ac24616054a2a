"""WebSocket close codes of this protocol (RFC 6455 section 7.4): what each means is in docs/protocol.md."""

from __future__ import annotations

from typing import Final

CLOSE_BAD_MESSAGES: Final = 4400
CLOSE_AUTH_FAILED: Final = 4401
CLOSE_REVOKED: Final = 4403
CLOSE_AUTH_TIMEOUT: Final = 4408
CLOSE_TOO_SLOW: Final = 4410
CLOSE_THROTTLED: Final = 4429
CLOSE_RESTART: Final = 1012
CLOSE_TRY_LATER: Final = 1013
CLOSE_INTERNAL_ERROR: Final = 1011

"""``passivbot-hooks``, and ``python -m passivbot_hooks``."""

import sys


def main() -> int:
    """Run the command; returns the exit code."""
    try:
        # Here, because importing takes a moment in which Ctrl-C may come too.
        from .cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130  # as shells have it: 128 and the number of the signal


if __name__ == "__main__":
    sys.exit(main())

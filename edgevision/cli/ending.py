"""How commands that run until they are told to stop hear it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def until_told() -> Iterator[None]:
    """Run the block until Ctrl-C or SIGTERM, which both end it in peace, so that what follows is still said."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)

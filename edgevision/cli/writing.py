"""How commands that write files say that they cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgevision.errors import EdgevisionError


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Run a block that writes to ``out``.

    Raises:
        EdgevisionError: That is not possible.
    """
    try:
        yield
    except OSError as exc:
        msg = f"{exc.filename or out}: cannot be written: {exc.strerror}"
        raise EdgevisionError(msg) from exc

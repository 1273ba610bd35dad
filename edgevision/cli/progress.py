"""The bar that long work shows: how much is done, how fast, and how long it still takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

Advance = Callable[..., None]
"""Called with how many more are done, one without an argument."""


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f}/s" if task.speed else "")


@contextmanager
def counted(what: str, total: int, *, quiet: bool = False) -> Iterator[Advance]:
    """A bar over ``total`` things, on a terminal and on standard error; what is yielded advances it."""
    columns = [*Progress.get_default_columns()[:2], MofNCompleteColumn(), _Rate(), TimeRemainingColumn()]
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count=1: progress.advance(task, count)

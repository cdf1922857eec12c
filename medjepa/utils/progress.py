"""Progress for people: a bar on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO, cast, runtime_checkable

PLAIN_SECONDS = 10.0


Advance = Callable[..., None]
"""`advance(count=1, note="")`: so many more are done; the note is shown beside the bar."""


@runtime_checkable
class Stream(Protocol):
    """What is written to: less than `TextIO`, which stand-ins in tests and notebooks are not."""

    def write(self, text: str, /) -> object:
        """Write some text."""

    def flush(self) -> object:
        """Write what waits."""

    def isatty(self) -> bool:
        """Whether a person is looking."""


@contextmanager
def progress(
    description: str,
    total: int,
    *,
    done: int = 0,
    quiet: bool = False,
    stream: Stream | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Advance]:
    """Show how far `total` pieces of work are and how long the rest will take.

    `done` pieces were done before and say nothing about the speed. Standard output stays free for
    results: the bar goes to standard error.
    """
    if quiet:
        yield _say_nothing
        return
    stream = stream or sys.stderr
    if stream.isatty():
        with _bar(description, total, done, stream) as advance:
            yield advance
    else:
        lines = _PlainLines(description, total, done, stream, clock)
        try:
            yield lines
        finally:
            lines.finish()


def _say_nothing(count: int = 1, note: str = "") -> None:
    """Stand in for a bar on all processes but the first."""


@contextmanager
def _bar(description: str, total: int, done: int, stream: Stream) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        # Whole, on several lines where the window is narrow.
        TextColumn("{task.fields[note]}", table_column=Column(no_wrap=False)),
    )
    with Progress(
        *columns, console=Console(file=cast(TextIO, stream)), speed_estimate_period=60
    ) as bar:
        task = bar.add_task(description, total=total, completed=done, note="")

        def advance(count: int = 1, note: str = "") -> None:
            if note:
                bar.update(task, advance=count, note=note)
            else:
                bar.update(task, advance=count)

        yield advance


class _PlainLines:
    """Lines for a file or a pipe: seldom enough to read, each complete in itself."""

    def __init__(
        self, description: str, total: int, done: int, stream: Stream, clock: Callable[[], float]
    ) -> None:
        self.description, self.total, self.done = description, total, done
        self.stream, self.clock = stream, clock
        self.first, self.begin = done, clock()
        self.last_line, self.note, self.said = self.begin, "", -1

    def __call__(self, count: int = 1, note: str = "") -> None:
        self.done += count
        self.note = note or self.note
        if self.done < self.total and self.clock() - self.last_line >= PLAIN_SECONDS:
            self._write(f"{time_left(self.remaining())} left")

    def remaining(self) -> float:
        """Seconds that the rest takes at the speed so far."""
        passed = max(self.done - self.first, 1)
        return (self.clock() - self.begin) / passed * max(self.total - self.done, 0)

    def finish(self) -> None:
        if self.said != self.done:
            self._write(f"took {time_left(self.clock() - self.begin)}")

    def _write(self, when: str) -> None:
        self.last_line, self.said = self.clock(), self.done
        share = f"{100 * self.done // self.total} %, " if self.total else ""
        note = f", {self.note}" if self.note else ""
        self.stream.write(f"{self.description}: {self.done}/{self.total} ({share}{when}){note}\n")
        self.stream.flush()


def time_left(seconds: float) -> str:
    """Write a duration for people: "40 s", "12 min", "3 h 05 min"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"

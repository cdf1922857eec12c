"""Ctrl-C as a wish: the step is finished and saved, then the run stops."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopWish:
    """Whether the user, or the machine, asked to stop."""

    def __init__(self) -> None:
        self.wished = False

    def __bool__(self) -> bool:
        return self.wished


@contextmanager
def interrupts() -> Iterator[StopWish]:
    """Turn the first SIGINT or SIGTERM into a wish; the second one interrupts at once."""
    wish = StopWish()
    if threading.current_thread() is not threading.main_thread():
        # Python delivers signals to the main thread only.
        yield wish
        return

    def note(number: int, frame: FrameType | None) -> None:
        if wish.wished:
            raise KeyboardInterrupt
        wish.wished = True

    before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

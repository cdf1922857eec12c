"""One logger for the package; it stays silent until a command or a run asks for it."""

import logging
import logging.handlers
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = "medjepa"
CONSOLE_ONLY = {"console_only": True}
"""`extra=` of messages that name files: logs are passed on, and such a name may be a patient's."""


def get_logger(name: str = ROOT) -> logging.Logger:
    """Return the logger of a module (`get_logger(__name__)`), below the package's own."""
    return logging.getLogger(name if name.split(".")[0] == ROOT else f"{ROOT}.{name}")


class _StandardError(logging.Handler):
    """Writes to what standard error is now: a progress bar takes its place while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        sys.stderr.write(self.format(record) + "\n")
        sys.stderr.flush()


@contextmanager
def log_to(file: Path | None = None, *, console: bool = True) -> Iterator[Callable[[Path], None]]:
    """Write the package's messages to standard error, and to a file, while the block runs.

    Gives a function that opens the file later: what was said before goes into it too, and a block
    that fails before leaves no file.
    """
    kept = logging.handlers.MemoryHandler(capacity=1, flushLevel=logging.DEBUG)
    kept.addFilter(lambda record: not hasattr(record, "console_only"))
    listening: list[logging.Handler] = [kept]
    if console:
        listening.append(_StandardError())
    files: list[logging.Handler] = []

    def open_file(path: Path) -> None:
        target = logging.FileHandler(path, encoding="utf-8")
        target.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
        )
        kept.setTarget(target)
        files.append(target)
        kept.flush()

    if file is not None:
        open_file(file)
    root = logging.getLogger(ROOT)
    before, propagated = root.level, root.propagate
    root.setLevel(logging.INFO)
    root.propagate = False
    for handler in listening:
        root.addHandler(handler)
    try:
        yield open_file
    finally:
        root.setLevel(before)
        root.propagate = propagated
        for handler in [*listening, *files]:
            root.removeHandler(handler)
            handler.close()

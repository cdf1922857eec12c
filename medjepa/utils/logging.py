"""One logger for the package; it stays silent until a command or a run asks for it."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = "medjepa"


def get_logger(name: str = ROOT) -> logging.Logger:
    """Return the logger of a module (`get_logger(__name__)`), below the package's own."""
    return logging.getLogger(name if name.split(".")[0] == ROOT else f"{ROOT}.{name}")


@contextmanager
def log_to(file: Path | None = None, *, console: bool = True) -> Iterator[None]:
    """Write the package's messages to standard error and to a file while the block runs."""
    root = logging.getLogger(ROOT)
    handlers: list[logging.Handler] = []
    if console:
        handlers.append(logging.StreamHandler(sys.stderr))
        handlers[-1].setFormatter(logging.Formatter("%(message)s"))
    if file is not None:
        handlers.append(logging.FileHandler(file, encoding="utf-8"))
        handlers[-1].setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
        )
    before, propagated = root.level, root.propagate
    root.setLevel(logging.INFO)
    root.propagate = False
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        root.setLevel(before)
        root.propagate = propagated
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()

"""A stand-in for a decoder that crashes; it is imported in a decoding process."""

import os
import pickle
import sys
import time
from pathlib import Path

import numpy as np


def misbehave(task: str, value: str) -> str:
    """Some tasks kill their process, raise, or never end."""
    if task == "crash":
        os._exit(3)
    if task == "raise":
        raise ValueError("a bug in a decoder")
    if task == "hang":
        time.sleep(60)
    if task == "pid":
        return str(os.getpid())
    if task == "allocate":
        return str(np.ones(1 << 29).sum())
    if task.startswith("write "):
        with Path(task.removeprefix("write ")).open("wb") as file:
            for _ in range(100):
                file.write(bytes(1 << 20))
    if task.startswith("pickle "):
        os.write(_channel(), pickle.dumps(_Touch(task.removeprefix("pickle "))))
    if task == "flood":
        os.write(_channel(), bytes.fromhex("04" + "00" * 15) + b"null" * 1)
        os.write(_channel(), bytes.fromhex("04" + "00" * 15) + b"null" * 1)
        time.sleep(0.2)
    return f"{task}{value}"


def report_on_itself(task: str):
    """Say what a decoding process knows."""
    if task == "environment":
        return repr(dict(os.environ))
    if task == "modules":
        import medjepa.data.ingest  # noqa: F401

        return " ".join(sys.modules)
    return np.zeros(1_000_000, np.uint8)


class _Touch:
    """Unpickled, it makes a file: what a hostile answer would do."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def _channel() -> int:
    """The pipe to the master: the one that is open and is none of the three standard streams."""
    import stat

    for number in range(3, 20):
        try:
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                return number
        except OSError:
            continue
    raise AssertionError("no pipe")

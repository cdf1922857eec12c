"""The inside of a decoding process: a loop from a task on stdin to a result on stdout."""

import os
import pickle
import signal
import sys
from dataclasses import dataclass

from medjepa.data.wire import encode

_GRACE_SECONDS = 3.0


@dataclass(frozen=True)
class Limits:
    """What one decoding process may take.

    Attributes:
        timeout_s: for one task; the caller ends a process that is slower.
        memory_bytes: of address space.
        file_bytes: of any file that it writes (decoders have no reason to write one).
        open_files: at once.
    """

    timeout_s: float = 120.0
    memory_bytes: int = 6 << 30
    file_bytes: int = 64 << 20
    open_files: int = 256


def main() -> None:
    """Serve tasks until the other end closes."""
    tasks = sys.stdin.buffer
    results = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a decoder prints must not land between the results
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    # The parent is ours and reads no file: what it sends may be pickled. What goes back may not.
    function, arguments, limits = pickle.load(tasks)  # noqa: S301
    _limit(limits)
    _send(results.fileno(), None)  # ready: from here on the time counts
    while True:
        try:
            task = pickle.load(tasks)  # noqa: S301
        except EOFError:
            return
        # The master's own clock comes first, and gives the reason.
        _wake_in(limits.timeout_s + _GRACE_SECONDS)
        result = function(task, *arguments)
        _wake_in(0.0)
        _send(results.fileno(), result)


def _send(descriptor: int, value: object) -> None:
    for part in encode(value):
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _limit(limits: Limits) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    for kind, number in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),  # a dump of memory would hold a patient's image
    ):
        try:
            resource.setrlimit(kind, (number, number))
        except (ValueError, OSError):  # a lower limit is set already, or the system refuses
            continue


def _wake_in(seconds: float) -> None:
    """End this process after a time, whatever it does then, even if its master was killed."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_REAL, seconds)

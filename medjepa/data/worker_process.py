"""The inside of a decoding process: a loop from a task on stdin to a result on stdout."""

import os
import pickle
import signal
import sys


def main() -> None:
    """Serve tasks until the other end closes."""
    tasks = sys.stdin.buffer
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a decoder prints must not land between the results
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    # Both ends of the pipe are ours: a task is never data from a file.
    function, arguments, memory_bytes = pickle.load(tasks)  # noqa: S301
    _limit_memory(memory_bytes)
    pickle.dump(None, results)  # ready: from here on the time counts
    results.flush()
    while True:
        try:
            task = pickle.load(tasks)  # noqa: S301
        except EOFError:
            return
        pickle.dump(function(task, *arguments), results, protocol=5)
        results.flush()


def _limit_memory(num_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    try:
        resource.setrlimit(resource.RLIMIT_AS, (num_bytes, num_bytes))
    except (ValueError, OSError):  # a lower limit is set already, or the system refuses
        return

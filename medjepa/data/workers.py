"""Decoding processes that survive bad files: a crash or a hang costs one file, not the run."""

import contextlib
import os
import pickle
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, TypeVar

from medjepa.data.wire import WireError, num_bytes_of, receive
from medjepa.data.worker_process import Limits

Task = TypeVar("Task")
Result = TypeVar("Result")

_START_SECONDS = 120.0
_AHEAD = 4
_WINDOW = 256
_WAITING_BYTES = 1 << 30
_SECRET = re.compile("key|token|secret|passw|credential", re.IGNORECASE)
_BOOT = "import sys; sys.path[:] = {path!r}; from medjepa.data.worker_process import main; main()"


def map_in_processes(
    function: Callable[..., Result],
    tasks: Sequence[Task],
    arguments: tuple[Any, ...],
    *,
    on_death: Callable[[str], Result],
    num_workers: int,
    limits: Limits | None = None,
    results: Sequence[type] = (),
) -> Generator[Result, None, None]:
    """Yield function(task, *arguments) for each task in order.

    A task whose process dies, takes longer than its limit, or answers what is no answer gives
    `on_death(reason)`; a new process goes on with the next. The processes import `function`'s
    module and nothing of the caller's script, so no `if __name__ == "__main__"` is needed. They
    have read hostile files, so nothing of theirs is unpickled: an answer is of the first type in
    `results`, and holds beside plain values and arrays only dataclasses named there.
    """
    run = _Run(function, tasks, arguments, num_workers, limits or Limits(), tuple(results))
    try:
        yield from run.results(on_death)
    finally:
        run.stop()


class _Worker:
    """One process, the tasks that it has not answered yet, and a thread that reads its answers."""

    def __init__(
        self,
        setup: bytes,
        known: tuple[type, ...],
        max_bytes: int,
        answers: "queue.SimpleQueue[tuple[_Worker, Any]]",
    ) -> None:
        path = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 ("" is the folder here)
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", _BOOT.format(path=path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env={**_harmless(os.environ), "OMP_NUM_THREADS": "1"},
        )
        self._known, self._max_bytes = known, max_bytes
        self.pending: deque[int] = deque()
        self.ready = False
        self.lie = ""
        self.since = time.monotonic()
        self.send(setup)
        self.listener = threading.Thread(target=self._listen, args=(answers,), daemon=True)
        self.listener.start()

    def send(self, message: bytes) -> None:
        assert self.process.stdin is not None
        # A dead process is noticed by its listener, with the reason; not here.
        with contextlib.suppress(OSError):
            self.process.stdin.write(message)
            self.process.stdin.flush()

    def _listen(self, answers: "queue.SimpleQueue[tuple[_Worker, Any]]") -> None:
        assert self.process.stdout is not None
        readinto = self.process.stdout.readinto  # type: ignore[attr-defined]  # a buffered reader
        while True:
            try:
                result = receive(readinto, self._known, self._max_bytes)
            except WireError as error:
                self.lie = str(error)
                answers.put((self, _GONE))
                return
            except (EOFError, OSError, ValueError, MemoryError):
                answers.put((self, _GONE))
                return
            answers.put((self, result))

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.listener.join()  # it ends with the pipe; closing under its hands could block
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
        self.errors.close()

    def last_words(self) -> str:
        if self.lie:
            return self.lie
        status = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else f"exit status {status}"


_GONE = object()


def _harmless(environment: Mapping[str, str]) -> dict[str, str]:
    """A process that reads hostile files is not told the passwords of this one."""
    return {name: value for name, value in environment.items() if not _SECRET.search(name)}


class _Run:
    def __init__(
        self,
        function: Callable[..., Any],
        tasks: Sequence[Any],
        arguments: tuple[Any, ...],
        num_workers: int,
        limits: Limits,
        known: tuple[type, ...],
    ) -> None:
        self._setup = pickle.dumps((function, arguments, limits))
        self._tasks = tasks
        self._limits = limits
        self._answer_type = known[0] if known else object
        self._known = tuple(kind for kind in known if is_dataclass(kind))
        self._timeout_s = limits.timeout_s
        self._answers: queue.SimpleQueue[tuple[_Worker, Any]] = queue.SimpleQueue()
        self._todo = deque(range(len(tasks)))
        self._done: dict[int, Any] = {}
        self._next = 0
        self._waiting_bytes, self._largest = 0, 0
        self._workers = [self._start() for _ in range(num_workers)]

    def results(self, on_death: Callable[[str], Any]) -> Iterator[Any]:
        while self._next < len(self._tasks):
            for worker in self._workers:
                self._feed(worker)
            self._wait(on_death)
            while self._next in self._done:
                result = self._done.pop(self._next)
                self._waiting_bytes -= num_bytes_of(result)
                self._next += 1
                yield result

    def stop(self) -> None:
        for worker in self._workers:
            worker.stop()

    def _start(self) -> _Worker:
        return _Worker(self._setup, self._known, self._limits.memory_bytes, self._answers)

    def _feed(self, worker: _Worker) -> None:
        while self._todo and len(worker.pending) < _AHEAD and self._may_begin(self._todo[0]):
            if not worker.pending:
                worker.since = time.monotonic()
            number = self._todo.popleft()
            worker.pending.append(number)
            worker.send(pickle.dumps(self._tasks[number]))

    def _may_begin(self, number: int) -> bool:
        """Bound how many finished images, and bytes of them, wait for one slow file."""
        num_pending = sum(len(worker.pending) for worker in self._workers)
        expected = self._waiting_bytes + (num_pending + 1) * self._largest
        return number == self._next or (
            number < self._next + _WINDOW and expected <= _WAITING_BYTES
        )

    def _is_answer(self, worker: _Worker, result: object) -> bool:
        return bool(worker.pending) and isinstance(result, self._answer_type)

    def _finish(self, number: int, result: object) -> None:
        num_bytes = num_bytes_of(result)
        self._waiting_bytes += num_bytes
        self._largest = max(self._largest, num_bytes)
        self._done[number] = result

    def _wait(self, on_death: Callable[[str], Any]) -> None:
        try:
            worker, result = self._answers.get(timeout=min(1.0, self._timeout_s))
        except queue.Empty:
            pass
        else:
            if worker not in self._workers:
                return  # the last word of a process that was stopped for its slowness
            if result is _GONE:
                self._replace(worker, on_death(f"the decoder crashed: {worker.last_words()}"))
            elif worker.ready and not self._is_answer(worker, result):
                self._replace(worker, on_death("the decoder was taken over: it gave no answer"))
            else:
                worker.since = time.monotonic()
                if worker.ready:
                    self._finish(worker.pending.popleft(), result)
                worker.ready = True
        for worker in self._workers:
            limit = self._timeout_s if worker.ready else max(self._timeout_s, _START_SECONDS)
            if worker.pending and time.monotonic() - worker.since > limit:
                self._replace(worker, on_death(f"decoding took longer than {self._timeout_s:g} s"))

    def _replace(self, worker: _Worker, blame: object) -> None:
        if worker.pending:
            self._finish(worker.pending.popleft(), blame)
        # The rest of its tasks are innocent: they go first to the next free process.
        self._todo.extendleft(reversed(worker.pending))
        worker.stop()
        self._workers[self._workers.index(worker)] = self._start()

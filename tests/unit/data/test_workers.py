"""Decoding processes: limits, order, and that nothing they do harms the process that asks."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from bad_decoder import misbehave, report_on_itself

from medjepa.data.worker_process import Limits
from medjepa.data.workers import map_in_processes

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such limits")


def run(tasks, *, num_workers=1, function=misbehave, arguments=("!",), **limits):
    return list(
        map_in_processes(
            function,
            tasks,
            arguments,
            on_death=lambda reason: f"dead: {reason}",
            num_workers=num_workers,
            limits=Limits(**{"timeout_s": 20.0, **limits}),
            results=(str,),
        )
    )


def test_a_process_that_was_taken_over_cannot_run_anything_here(tmp_path):
    witness = tmp_path / "witness"
    results = run(["a", f"pickle {witness}", "b", "flood", "c"])
    assert [r for r in results if not str(r).startswith("dead")] == ["a!", "b!", "c!"]
    assert not witness.exists()


@posix
def test_memory_files_and_processor_time_are_limited(tmp_path):
    gigabyte = 1 << 30
    results = run(
        ["a", "allocate", f"write {tmp_path / 'big'}", "b"],
        memory_bytes=2 * gigabyte,
        file_bytes=1 << 20,
    )
    assert results[0] == "a!"
    assert "MemoryError" in results[1]
    assert "File too large" in results[2]
    assert results[3] == "b!"
    assert (tmp_path / "big").stat().st_size <= 1 << 20


def test_decoding_processes_know_no_passwords_and_no_torch(monkeypatch):
    monkeypatch.setenv("KAGGLE_KEY", "hunter2")
    monkeypatch.setenv("WANDB_API_KEY", "hunter2")
    (told,) = run(["environment"], function=report_on_itself, arguments=())
    assert "hunter2" not in told
    (modules,) = run(["modules"], function=report_on_itself, arguments=())
    loaded = set(modules.split())
    assert "medjepa.data.ingest" in loaded
    assert not loaded & {"torch", "sklearn", "pydicom", "nibabel", "av", "matplotlib"}


def test_what_waits_for_a_slow_file_is_bounded(monkeypatch):
    monkeypatch.setattr("medjepa.data.workers._WAITING_BYTES", 3_000_000)
    results = map_in_processes(
        report_on_itself,
        ["megabyte"] * 12,
        (),
        on_death=lambda reason: pytest.fail(reason),
        num_workers=2,
    )
    first = next(results)
    assert first.nbytes == 1_000_000
    time.sleep(0.5)
    assert sum(np.asarray(a).nbytes for a in results) == 11_000_000


@posix
def test_a_process_whose_master_was_killed_ends():
    import subprocess

    code = (
        "import os, sys\n"
        "from bad_decoder import misbehave\n"
        "from medjepa.data.worker_process import Limits\n"
        "from medjepa.data.workers import map_in_processes\n"
        "for result in map_in_processes(misbehave, ['pid', 'hang'], ('',), on_death=str,\n"
        "        num_workers=1, limits=Limits(timeout_s=1)):\n"
        "    print(result, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    pid = int(done.stdout.split()[0])
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not _is_alive(pid):
            return
        time.sleep(0.05)
    pytest.fail("the decoding process outlived the one that asked")


def _is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:  # a zombie that nobody collects is no process any more
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True

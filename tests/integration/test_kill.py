"""`kill -9` at any moment: the next run ends where an undisturbed one would have."""

import contextlib
import hashlib
import os
import random
import subprocess
import sys
import time

from deid_files import ct, written
from image_files import broken_files, grey, write_png

from medjepa.data import open_store, prepare
from medjepa.data.deid.job import anonymize

NUM_IMAGES, NUM_OBJECTS = 40, 24
KILLS = (0, 2)  # decoding processes of the runs that are killed

SLOW = """
import sys, time
from contextlib import contextmanager

@contextmanager
def slow(description, total):
    yield lambda count: time.sleep(0.02)

source, out, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])
"""
PREPARE = SLOW + (
    "from medjepa.data import prepare\n"
    "prepare(source, out, size=32, num_workers=workers, shard_bytes=4000, flush_seconds=0.05,"
    " progress=slow)"
)
ANONYMIZE = SLOW + (
    "from medjepa.data.deid.job import anonymize\n"
    "anonymize(source, out, secret=sys.argv[4], num_workers=workers, progress=slow)"
)


def started(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], env=environment)


def killed(code, *arguments, lock, delay):
    """Start, wait until it holds its lock and then for `delay` seconds, kill; False if it ended."""
    lock.unlink(missing_ok=True)
    process = started(code, *arguments)
    deadline = time.monotonic() + 60
    while not lock.exists():
        assert process.poll() is None, "it ended before it began"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    with contextlib.suppress(subprocess.TimeoutExpired):
        assert process.wait(delay) == 0
        return False
    process.kill()
    process.wait()
    return True


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def pixels_of(store):
    """Every image of a store with its key and how it is shown."""
    return {
        item.key: (item.part, item.window, store.stored(number).tobytes())
        for number, item in enumerate(store.items)
    }


def test_prepare_killed_at_any_moment_ends_with_the_same_store(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    for number in range(NUM_IMAGES):
        write_png(folder / f"{number:02}.png", grey(number, (40, 40)))
    broken_files(folder, 5)
    originals = digests(folder)
    whole = prepare(folder, tmp_path / "whole", size=32, num_workers=0)
    wanted = pixels_of(open_store(whole.out))
    rng = random.Random()
    num_killed = 0
    for workers in KILLS:
        delay = rng.uniform(0.0, 0.4)
        num_killed += killed(
            PREPARE, folder, out, workers, lock=out / "private" / "lock", delay=delay
        )
        if (out / "index.json").exists():  # what is there is right
            assert pixels_of(open_store(out)).items() <= wanted.items()
    assert num_killed > 0
    report = prepare(folder, out, size=32, num_workers=0, shard_bytes=4000)
    counts = (report.good, report.skipped, report.failed)
    assert counts == (whole.good, whole.skipped, whole.failed) == (NUM_IMAGES, 0, 5)
    store = open_store(out)
    assert pixels_of(store) == wanted
    assert store.keys == open_store(whole.out).keys
    assert {path.name for path in out.glob("shard-*")} == {shard.name for shard in store.shards}
    assert digests(folder) == originals


def test_two_jobs_on_one_store_wait_for_each_other(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    for number in range(NUM_IMAGES):
        write_png(folder / f"{number:02}.png", grey(number, (40, 40)))
    first = started(PREPARE, folder, out, 0)
    while not (out / "index.json").exists():
        assert first.poll() is None
        time.sleep(0.005)
    second = prepare(folder, out, size=32, num_workers=0)
    # The lock is given back by the end of the first, which may take a moment to leave.
    assert first.wait(5) == 0
    assert (second.good, second.num_known, second.num_decoded) == (NUM_IMAGES, NUM_IMAGES, 0)
    assert len(set(open_store(out).keys)) == NUM_IMAGES


def test_anonymize_killed_at_any_moment_ends_with_the_same_files(tmp_path):
    folder, out, secret = tmp_path / "in", tmp_path / "out", tmp_path / "secret.key"
    folder.mkdir()
    for number in range(NUM_OBJECTS):
        source = ct(SOPInstanceUID=f"1.2.3.4.{number}", PatientID=f"MRN-{number // 4}")
        (folder / f"{number:02}.dcm").write_bytes(written(source))
    (folder / "short.dcm").write_bytes((folder / "00.dcm").read_bytes()[:-64])
    originals = digests(folder)
    whole = anonymize(folder, tmp_path / "whole", secret=secret, num_workers=0)
    wanted = digests(tmp_path / "whole")
    assert whole.written == len(wanted) == NUM_OBJECTS
    rng = random.Random()
    num_killed = 0
    for workers in KILLS:
        delay = rng.uniform(0.0, 0.4)
        lock = tmp_path / "out.private" / "lock"
        num_killed += killed(ANONYMIZE, folder, out, workers, secret, lock=lock, delay=delay)
        if out.is_dir():  # no half of a file, and none under another name
            assert digests(out).items() <= wanted.items()
    assert num_killed > 0
    report = anonymize(folder, out, secret=secret, num_workers=0)
    assert report.found == whole.found == NUM_OBJECTS + 1
    assert report.known + report.written >= NUM_OBJECTS
    assert digests(out) == wanted
    assert digests(tmp_path / "out.quarantine") == digests(tmp_path / "whole.quarantine")
    assert digests(folder) == originals
    assert not list((tmp_path / "out.private" / "pending").glob("*"))

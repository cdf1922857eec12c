"""`prepare` on folders as they are: broken files among good ones, interruptions, additions."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from bad_decoder import misbehave
from image_files import broken_files, grey, write_dicom, write_png

from medjepa.cli.main import main
from medjepa.data import open_store, prepare
from medjepa.data.selection import Selection
from medjepa.data.worker_process import Limits
from medjepa.data.workers import map_in_processes
from medjepa.errors import ConfigError, DataError


def fill(folder, count, *, first=0, size=(24, 24)):
    for number in range(first, first + count):
        write_png(folder / f"im{number:03d}.png", grey(number, size))


def test_30_broken_files_among_200_good_ones(tmp_path, capsys):
    folder = tmp_path / "in"
    fill(folder, 190)
    for number in range(10):
        write_dicom(folder / "ct" / f"{number}.dcm", grey(number, dtype=np.uint16))
    names = broken_files(folder / "broken", 30)
    write_png(folder / "copy.png", grey(0, (24, 24)))
    (folder / "notes.txt").write_text("measured on Tuesday")
    (folder / "labels.csv").write_text(
        "file,patient\n" + "".join(f"im{i:03d}.png,p{i // 2}\n" for i in range(190))
    )
    (folder / ".hidden.png").write_bytes(b"half a download")
    out = tmp_path / "store"
    status = main(["prepare", f"data={folder}", f"out={out}", "data.target_size=16",
                   "data.num_workers=2"])  # fmt: skip
    told = capsys.readouterr().out
    assert status == 1
    assert "234 files found: 200 good (0 known before), 4 skipped, 30 failed" in told
    failures = json.loads((out / "private" / "failures.json").read_text())
    assert sorted(f["path"] for f in failures) == [f"broken/{name}" for name in names]
    assert all(f["reason"] for f in failures)
    store = open_store(out)
    assert len(store) == 200
    images = store.gather(np.arange(200), 1).reshape(200, -1)
    assert (images.std(axis=1) > 0.05).all(), "a blank image stands for a file"
    assert len(set(store.groups)) == 95 + 1


def test_the_catalogue_of_bad_files_stops_nothing(tmp_path, real_data):
    folder = tmp_path / "in"
    fill(folder, 3)
    (folder / "bad").symlink_to(real_data("bad_inputs") / "image")  # a link to a folder is skipped
    report = prepare([folder, real_data("bad_inputs") / "dicom", real_data("bad_inputs") / "image"],
                     tmp_path / "out", size=8, num_workers=2, privacy="allow",
                     selection=Selection(kinds=()))  # fmt: skip
    assert report.good + report.skipped + report.failed == report.found
    assert report.failed >= 35
    assert np.isfinite(open_store(tmp_path / "out").gather(np.arange(report.num_images), 3)).all()


def test_new_images_are_added_and_known_ones_not_decoded_again(tmp_path, monkeypatch):
    folder, out = tmp_path / "in", tmp_path / "out"
    fill(folder, 5)
    prepare(folder, out, size=8, num_workers=0)
    first = open_store(out)
    fill(folder, 2, first=5)
    os.utime(folder / "im000.png")  # touched, the same content
    decoded = []
    from medjepa.data import ingest

    monkeypatch.setattr(
        ingest,
        "read_at_least",
        lambda path, size, _read=ingest.read_at_least: decoded.append(path) or _read(path, size),
    )
    report = prepare(folder, out, size=8, num_workers=0)
    assert [path[-9:] for path in decoded] == ["im005.png", "im006.png"]
    assert (report.good, report.num_known, report.num_images) == (7, 5, 7)
    again = open_store(out)
    assert again.keys[:5] == first.keys
    np.testing.assert_array_equal(again.gather(np.arange(5), 1), first.gather(np.arange(5), 1))


def test_what_is_gone_or_changed_leaves_the_store(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    fill(folder, 4)
    prepare(folder, out, size=8, num_workers=0)
    (folder / "im000.png").unlink()
    write_png(folder / "im001.png", grey(77, (24, 24)))
    report = prepare(folder, out, size=8, num_workers=0)
    assert (report.good, report.num_dropped, report.num_images) == (3, 2, 3)
    fresh = prepare(folder, tmp_path / "fresh", size=8, num_workers=0)
    assert set(open_store(out).keys) == set(open_store(fresh.out).keys)


def test_a_file_that_was_damaged_since_leaves_the_store(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "store"
    fill(folder, 4)
    assert prepare(folder, out, num_workers=0).num_images == 4
    whole = (folder / "im002.png").read_bytes()
    (folder / "im002.png").write_bytes(whole[: len(whole) // 2])
    report = prepare(folder, out, num_workers=0)
    assert (report.num_images, report.failed) == (3, 1)
    (folder / "im002.png").write_bytes(whole)
    assert prepare(folder, out, num_workers=0).num_images == 4


def test_order_does_not_depend_on_the_number_of_processes(tmp_path):
    fill(tmp_path / "in", 40)
    stores = [
        open_store(prepare(tmp_path / "in", tmp_path / f"out{n}", size=8, num_workers=n).out)
        for n in (0, 2)
    ]
    assert stores[0].keys == stores[1].keys


def test_a_killed_run_leaves_a_usable_store_and_is_finished_by_the_next(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    fill(folder, 60, size=(300, 300))
    code = (
        "import time; from medjepa.data import preparation, ingest, prepare\n"
        "from contextlib import contextmanager\n"
        "@contextmanager\n"
        "def slow(description, total):\n"
        "    yield lambda n: time.sleep(0.05)\n"
        f"prepare({str(folder)!r}, {str(out)!r}, size=64, num_workers=0, shard_bytes=20000,"
        " progress=slow)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    deadline = time.monotonic() + 60
    while len(list(out.glob("shard-*"))) < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None, "it was over before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    process.wait()
    half = open_store(out)
    assert 0 < len(half) < 60
    assert half.gather(np.arange(len(half)), 1).std() > 0
    (out / "shard-09999.safetensors").write_bytes(b"written, but not yet in the index")
    report = prepare(folder, out, size=64, num_workers=0)
    assert (report.good, report.num_known) == (60, len(half))
    whole = open_store(out)
    assert whole.keys[: len(half)] == half.keys
    assert len(whole) == len(set(whole.keys)) == 60
    assert not (out / "shard-09999.safetensors").exists()


def test_the_disk_is_asked_first(tmp_path, monkeypatch):
    from collections import namedtuple

    fill(tmp_path / "in", 3)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9, 1000))
    monkeypatch.setattr(
        "medjepa.data.ingest.read_at_least", lambda *a: pytest.fail("decoded first")
    )
    with pytest.raises(DataError, match="free space"):
        prepare(tmp_path / "in", tmp_path / "out", size=8, num_workers=0)
    assert not list((tmp_path / "out").glob("shard-*"))


def test_refusals_say_what_to_change(tmp_path):
    fill(tmp_path / "in", 2)
    prepare(tmp_path / "in", tmp_path / "out", size=8, num_workers=0)
    with pytest.raises(DataError, match="same settings"):
        prepare(tmp_path / "in", tmp_path / "out", size=9, num_workers=0)
    with pytest.raises(DataError, match="other things"):
        prepare(tmp_path / "in", tmp_path / "in", size=8, num_workers=0)
    with pytest.raises(DataError, match="no such folder"):
        prepare(tmp_path / "nothing", tmp_path / "x", size=8, num_workers=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no readable image among 0 files"):
        prepare(tmp_path / "empty", tmp_path / "y", size=8, num_workers=0)
    with pytest.raises(DataError, match="group column"):
        prepare(tmp_path / "in", tmp_path / "z", size=8, num_workers=0, group_column="patient")
    with pytest.raises(ConfigError, match="modality"):
        prepare(tmp_path / "in", tmp_path / "z", size=8, num_workers=0, modality="xrya")


def test_a_table_as_the_source_names_the_files(tmp_path):
    fill(tmp_path / "in", 5)
    (tmp_path / "in" / "some.csv").write_text("image_id,patient\nim001,a\nim003,b\n")
    report = prepare(tmp_path / "in" / "some.csv", tmp_path / "out", size=8, num_workers=0)
    assert (report.found, report.good, report.num_groups) == (2, 2, 2)


def test_a_pattern_chooses_files(tmp_path):
    fill(tmp_path / "in", 3)
    report = prepare(tmp_path / "in", tmp_path / "out", size=8, num_workers=0, pattern="*1.png")
    assert (report.good, report.skipped) == (1, 2)


def test_a_crash_and_a_hang_cost_one_file_each():
    tasks = ["a", "crash", "b", "hang", "c", "raise", *"defgh"]
    results = list(
        map_in_processes(
            misbehave,
            tasks,
            ("!",),
            on_death=lambda r: f"dead: {r}",
            num_workers=2,
            limits=Limits(timeout_s=2),
        )
    )
    assert [r for r in results if not r.startswith("dead")] == [f"{t}!" for t in "abcdefgh"]
    assert "exit status 3" in results[1]
    assert "longer than" in results[3]
    assert "a bug in a decoder" in results[5]

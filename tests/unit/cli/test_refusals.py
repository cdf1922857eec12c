"""What the machine refuses (a full disk, a missing right) is a sentence, said before the work."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from image_files import grey, write_png

from medjepa.checkpoint import save_checkpoint
from medjepa.cli import main as cli
from medjepa.cli import pretrain_script
from medjepa.config.load import read_yaml
from medjepa.data import open_store, prepare
from medjepa.data.cache import open_cache
from medjepa.data.files import check_out
from medjepa.data.label_sources import label_paths
from medjepa.errors import CheckpointError, ConfigError, DataError, refused_by_the_machine

# What each verb that computes for long calls once its work begins: it must not come so far.
LONG_VERBS = {
    "pretrain": ("medjepa.training.run:_model_and_sources", "model=vit_test"),
    "evaluate": ("medjepa.evaluation.run:evaluate", "checkpoint=RUN label=label"),
    "predict": ("medjepa.evaluation.predict_files:predict", "checkpoint=RUN label=label"),
    "embed": ("medjepa.evaluation.embed_files:embed_sources", "checkpoint=RUN"),
    "select": ("medjepa.evaluation.select_run:select", "runs=[RUN,RUN]"),
    "finetune": ("medjepa.cli.finetune_classify:run", "task=classify checkpoint=RUN label=label"),
}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EFBIG])
def test_what_the_machine_refuses_is_one_message(number, monkeypatch, capsys):
    def run(arguments):
        raise OSError(number, os.strerror(number), "runs/a/last.pt")

    monkeypatch.setattr(cli, "load", lambda name: run)
    assert cli.main(["pretrain"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"medjepa: runs/a/last.pt: {os.strerror(number)}; ")
    assert err.count("\n") == 1


def test_other_errors_of_the_system_are_bugs_and_keep_their_traceback(monkeypatch):
    def run(arguments):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "x")

    monkeypatch.setattr(cli, "load", lambda name: run)
    with pytest.raises(FileNotFoundError):
        cli.main(["pretrain"])
    assert refused_by_the_machine(OSError("no number")) is None


@pytest.mark.parametrize("verb", LONG_VERBS)
@pytest.mark.parametrize("kind", ["no right", "a file"])
def test_a_bad_out_is_refused_before_the_work(verb, kind, tmp_path, monkeypatch, capsys):
    def work(*_, **__):
        raise AssertionError("the work began")

    module, arguments = LONG_VERBS[verb]
    monkeypatch.setattr(module.replace(":", "."), work)
    if kind == "no right":
        # Root may write everywhere, so the right is taken away by hand.
        monkeypatch.setattr("medjepa.data.files.os.access", lambda path, mode: False)
        out = tmp_path / "new" / "out"
    else:
        (tmp_path / "file").write_text("x")
        out = tmp_path / "file" / "out"
    words = arguments.replace("RUN", str(tmp_path)).split()
    assert cli.main([verb, *words, f"data={tmp_path}", f"out={out}"]) == 2
    err = capsys.readouterr().err
    assert ("cannot be written to" if kind == "no right" else "a file, not a folder") in err
    assert not (tmp_path / "new").exists()


def test_a_folder_of_other_things_is_refused_and_its_own_are_taken(tmp_path):
    (tmp_path / "items.csv").write_text("x")
    check_out(tmp_path, own={"items.csv"})
    check_out(tmp_path / "new", own=())
    with pytest.raises(DataError, match="holds other things"):
        check_out(tmp_path, own={"index.html"})


def test_a_checkpoint_without_room_names_its_file_and_leaves_nothing(tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        with pytest.raises(CheckpointError, match=r"a\.pt: cannot write the checkpoint: File too"):
            save_checkpoint(tmp_path / "a.pt", {"text": "x" * 10_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_made_says_how_to_move_it(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot be written to: .*MEDJEPA_CACHE"):
        open_cache(None)


def test_a_folder_in_the_place_of_settings_says_how_images_are_named(tmp_path):
    with pytest.raises(ConfigError, match=f"data={tmp_path}"):
        read_yaml(tmp_path)


def test_forget_names_a_file_that_is_no_store(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert cli.main(["forget", str(tmp_path / "file"), "patient=3"]) == 2
    assert "not a prepared store" in capsys.readouterr().err


def run_in_a_shell(command, **environment):
    return subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m medjepa {command}'],
        capture_output=True, text=True, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="sh and its redirections")
@pytest.mark.parametrize(
    ("command", "status"), [("--help >&-", 0), ("nonsense >&- 2>&-", 2), ("data list <&- >&-", 0)]
)
def test_closed_streams_cost_nothing(command, status):
    answer = run_in_a_shell(command)
    assert (answer.returncode, answer.stderr) == (status, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_an_output_without_room_is_one_message():
    answer = run_in_a_shell("--help >/dev/full")
    assert answer.returncode == 2
    assert answer.stderr.startswith("medjepa: No space left on device; ")
    assert "Traceback" not in answer.stderr


def test_a_terminal_without_the_characters_gets_others(monkeypatch, capsys):
    import io

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setattr(cli, "load", lambda name: lambda arguments: print("\u2212.05") or 0)
    assert cli.main(["evaluate"]) == 0
    stream.flush()
    assert stream.buffer.getvalue() == b"?.05\n"


def test_a_failed_attempt_gives_the_earlier_run_back(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best_model.pt").write_bytes(b"weights")
    assert pretrain_script.main(["--data_dir", "nowhere"]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]
    assert (tmp_path / "checkpoints" / "best_model.pt").read_bytes() == b"weights"


def test_labels_that_are_nowhere_may_have_been_a_folder(tmp_path):
    for number in range(2):
        write_png(tmp_path / "in" / f"{number}.png", grey(number))
    prepare(tmp_path / "in", tmp_path / "store", size=8, num_workers=0)
    store = open_store(tmp_path / "store")
    with pytest.raises(DataError, match="labels=masks: no such folder, nor a column"):
        label_paths(store, "masks", None)

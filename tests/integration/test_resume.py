"""A stopped run, continued, is the run that was never stopped: to the bit, on a CPU."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch

from medjepa.cli.pretrain import read_config
from medjepa.errors import ConfigError
from medjepa.training import pretrain

CLOCKS = ("images_per_second", "data_wait", "seconds", "eta")
KILLED = """
import os, signal, sys
from medjepa.cli.pretrain import read_config
from medjepa.training import pretrain

def kill(info):
    if info.step == 6:
        os.kill(os.getpid(), signal.SIGKILL)

pretrain(read_config(sys.argv[1:]), hooks=[kill])
"""


def lines(out):
    """The metrics of a run without what the clock says."""
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in record.items() if k not in CLOCKS} for record in records]


def weights(out, name="last.pt"):
    checkpoint = torch.load(out / "checkpoints" / name, weights_only=True)
    return checkpoint["model_state_dict"], checkpoint["optimizer_state_dict"]


def equal(first, second):
    """Compare nested dicts and lists of tensors to the bit."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[k], second[k]) for k in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(equal, first, second))
    return torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    return tmp_path_factory.mktemp("straight") / "run"


@pytest.fixture
def uninterrupted(straight, tiny_run):
    if not straight.exists():
        pretrain(read_config(tiny_run(straight)))
    return straight


def test_killed_and_continued_is_the_uninterrupted_run(uninterrupted, tiny_run, tmp_path):
    out = tmp_path / "run"
    killed = subprocess.run([sys.executable, "-c", KILLED, *tiny_run(out)], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert len(lines(out)) > len(lines(uninterrupted)) // 4
    result = pretrain(read_config([f"out={out}", "resume=true"]))
    assert result.num_steps == 16
    assert equal(weights(uninterrupted), weights(out))
    assert lines(uninterrupted) == lines(out)
    assert equal(weights(uninterrupted, "best_model.pt"), weights(out, "best_model.pt"))


def test_interrupted_within_an_epoch_it_keeps_the_finished_step(uninterrupted, tiny_run, tmp_path):
    out = tmp_path / "run"

    def press_control_c(info):
        if info.step == 6:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        pretrain(read_config(tiny_run(out)), hooks=[press_control_c])
    stopped = torch.load(out / "checkpoints" / "last.pt", weights_only=True)
    assert stopped["step"] in (6, 7)
    pretrain(read_config(tiny_run(out, "resume=true", "logging.log_every=1")))
    assert equal(weights(uninterrupted), weights(out))
    assert lines(uninterrupted) == lines(out)


def test_worker_processes_change_nothing(uninterrupted, tiny_run, tmp_path):
    pretrain(read_config(tiny_run(tmp_path / "run", "data.num_workers=2")))
    assert equal(weights(uninterrupted), weights(tmp_path / "run"))


def test_a_full_folder_is_refused(uninterrupted, tiny_run):
    with pytest.raises(ConfigError, match="resume=true"):
        pretrain(read_config(tiny_run(uninterrupted)))


@pytest.mark.parametrize("change", ["training.num_epochs=5", "masking.mask_ratio=0.5", "seed=1"])
def test_other_settings_are_refused_by_name(uninterrupted, tiny_run, change):
    with pytest.raises(ConfigError, match=change.partition("=")[0]):
        pretrain(read_config(tiny_run(uninterrupted, "resume=true", change)))


def test_a_run_folder_holds_what_it_promises(uninterrupted, image_folder):
    files = {"config.yaml", "metrics.jsonl", "train.log", "pretraining_keys.json"}
    assert {path.name for path in uninterrupted.iterdir()} == files | {"checkpoints", "report"}
    assert {path.name for path in (uninterrupted / "checkpoints").iterdir()} == {
        "last.pt", "best_model.pt", "checkpoint_epoch_2.pt", "checkpoint_epoch_4.pt",
    }  # fmt: skip
    # Nothing of where the data lie goes into a file that may be published.
    content = (uninterrupted / "checkpoints" / "last.pt").read_bytes()
    assert str(image_folder).encode() not in content and b"image_id" not in content
    assert len(json.loads((uninterrupted / "pretraining_keys.json").read_text())) == 32


def test_images_marked_for_testing_are_not_trained_on(uninterrupted, tiny_run, tmp_path):
    assert "training on 32 images; not used: 8 test" in (uninterrupted / "train.log").read_text()
    pretrain(read_config(tiny_run(tmp_path / "all", "data.use_all=true", "training.max_steps=1")))
    assert "training on 40 images" in (tmp_path / "all" / "train.log").read_text()


def test_a_validation_part_has_other_patients_and_decides_the_best(tiny_run, tmp_path):
    out = tmp_path / "run"
    result = pretrain(read_config(tiny_run(out, "data.val_fraction=0.25")))
    assert "training on 24 images, validation loss on 8" in (out / "train.log").read_text()
    history = result.history
    assert len(history["val_loss"]) == len(history["train_loss"]) == 4
    best = torch.load(result.checkpoint, weights_only=True)
    assert best["best_by"] == "val_loss"
    assert best["loss"] == min(history["val_loss"])

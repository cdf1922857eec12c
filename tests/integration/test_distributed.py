"""Two processes train what one does: the batch, the views and SIGReg are those of all together."""

import json
import os
import socket
import subprocess
import sys

import pytest
import torch

from medjepa.cli.pretrain import read_config
from medjepa.training import pretrain


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def run_on_two(arguments):
    shared = {
        **os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(),
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "medjepa", "pretrain", *arguments]
    processes = [
        subprocess.Popen(
            command,
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors


def test_two_processes_train_what_one_does(tiny_run, tmp_path):
    # Adam divides by the gradient's size: rounding in a vanishing gradient moves single weights by
    # up to the learning rate. Wrong sums move all of them; so nearly all are compared closely.
    more = [
        "model.objective=both", "model.dropout=0", "training.max_steps=5", "data.val_fraction=0.25",
        "training.learning_rate=1e-5",
    ]  # fmt: skip
    pretrain(read_config(tiny_run(tmp_path / "one", *more)))
    run_on_two(tiny_run(tmp_path / "two", *more))
    one, two = (
        torch.load(tmp_path / name / "checkpoints" / "last.pt", weights_only=True)
        for name in ("one", "two")
    )
    assert one["step"] == two["step"] == 5
    for name, weight in one["model_state_dict"].items():
        difference = (two["model_state_dict"][name] - weight).abs().double()
        assert difference.max() <= 1e-5, name
        assert difference.mean() <= 1e-7, name
    texts = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("one", "two")]
    losses = [[json.loads(line)["total_loss"] for line in text.splitlines()] for text in texts]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert one["history"]["val_loss"] == pytest.approx(two["history"]["val_loss"], abs=1e-5)


@pytest.mark.parametrize("name", ["dino", "simclr"])
def test_a_method_on_two_processes_too(tiny_run, tmp_path, name):
    """Gathered over processes, and with a teacher, a centre and weights frozen at first."""
    more = [
        f"method={name}", "model.dropout=0", "training.max_steps=5", "training.learning_rate=1e-5",
        "dino.num_local_views=1", "dino.hidden_dim=32", "dino.num_prototypes=32",
        "simclr.hidden_dim=32", "data.val_fraction=0.25",
    ]  # fmt: skip
    pretrain(read_config(tiny_run(tmp_path / "one", *more)))
    run_on_two(tiny_run(tmp_path / "two", *more))
    one, two = (
        torch.load(tmp_path / folder / "checkpoints" / "last.pt", weights_only=True)
        for folder in ("one", "two")
    )
    for key, weight in one["model_state_dict"].items():
        difference = (two["model_state_dict"][key] - weight).abs().double()
        assert difference.max() <= 1e-4, key
        # SimCLR's projector subtracts the batch's mean, and with it what this bias adds: the bias
        # drifts by rounding alone, and the mean with it.
        if name != "simclr" or key not in ("encoder.norm.bias", "projector.1.running_mean"):
            assert difference.mean() <= 1e-6, key
    texts = [(tmp_path / folder / "metrics.jsonl").read_text() for folder in ("one", "two")]
    losses = [[json.loads(line)["total_loss"] for line in text.splitlines()] for text in texts]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)

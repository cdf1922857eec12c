"""The trainer as code written against the guide calls it."""

import math
import os
import signal

import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from medjepa.checkpoint import load_encoder
from medjepa.errors import CheckpointError, ConfigError, TrainingError
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS
from medjepa.training.trainer import MedJEPATrainer


def tiny_model(**changes):
    torch.manual_seed(0)
    return LeJEPA(**{**ENCODERS["vit_test"], "in_channels": 1, "num_directions": 64, **changes})


def images(num=24):
    return torch.rand(num, 1, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def config(tmp_path):
    return {
        "batch_size": 8, "num_epochs": 2, "learning_rate": 1e-3, "weight_decay": 0.05,
        "warmup_epochs": 10, "num_workers": 0, "log_every": 1, "save_every": 1,
        "checkpoint_dir": str(tmp_path / "checkpoints"), "mixed_precision": False, "device": "cpu",
    }  # fmt: skip


def test_the_guide_s_call_trains_validates_and_writes(config, tmp_path):
    labels = torch.zeros(24)
    history = MedJEPATrainer(
        tiny_model(), TensorDataset(images(), labels), config, val_dataset=list(images(10))
    ).train()
    assert set(history) == {"train_loss", "val_loss", "epochs"}
    assert history["epochs"] == [1, 2]
    assert all(math.isfinite(v) for v in history["train_loss"] + history["val_loss"])
    written = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert {"best_model.pt", "last.pt", "checkpoint_epoch_1.pt", "checkpoint_epoch_2.pt"} == written
    saved = torch.load(tmp_path / "checkpoints" / "checkpoint_epoch_2.pt", weights_only=True)
    states = {f"{part}_state_dict" for part in ("model", "optimizer", "scheduler")}
    assert states | {"epoch", "loss", "config"} <= saved.keys()
    assert saved["epoch"] == 2 and saved["loss"] == history["val_loss"][-1]


def test_pixel_statistics_come_from_the_training_images(config):
    trainer = MedJEPATrainer(tiny_model(), list(images()), {**config, "max_steps": 1})
    trainer.train()
    torch.testing.assert_close(trainer.model.pixel_mean, images().mean().reshape(1))


def test_epochs_one_by_one_are_the_run(config, tmp_path):
    whole = MedJEPATrainer(tiny_model(), list(images()), config)
    history = whole.train()
    single = MedJEPATrainer(
        tiny_model(), list(images()), {**config, "checkpoint_dir": str(tmp_path / "other")}
    )
    losses = [single.train_one_epoch(epoch) for epoch in range(2)]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, single.model.state_dict()[name]), name
    assert losses == history["train_loss"]


def test_a_saved_trainer_goes_on_from_where_it_was(config, tmp_path):
    trainer = MedJEPATrainer(tiny_model(), list(images()), config)
    trainer.train_one_epoch(0)
    trainer.save_checkpoint("mine.pt")
    trainer.train_one_epoch(1)
    again = MedJEPATrainer(tiny_model(), list(images()), config)
    again.load_checkpoint(tmp_path / "checkpoints" / "mine.pt")
    again.train()
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name


@pytest.mark.parametrize(
    ("changes", "model_changes", "num", "said"),
    [
        ({"learning_rate": 0.1}, {}, 24, "learning_rate was 0.001 and is now 0.1"),
        ({}, {"mask_ratio": 0.5}, 24, "mask_ratio"),
        ({}, {}, 25, "number of images was 24"),
    ],
)
def test_going_on_with_something_else_is_refused(
    config, tmp_path, changes, model_changes, num, said
):
    trainer = MedJEPATrainer(tiny_model(), list(images()), {**config, "max_steps": 1})
    trainer.train()
    with pytest.raises(CheckpointError, match=said):
        MedJEPATrainer(
            tiny_model(**model_changes), list(images(num)), {**config, "max_steps": 1, **changes},
            resume=tmp_path / "checkpoints" / "last.pt",
        )  # fmt: skip


def test_an_earlier_run_s_checkpoints_are_moved_aside(config, tmp_path):
    for _ in range(2):
        MedJEPATrainer(tiny_model(), list(images()), {**config, "max_steps": 1}).train()
    assert (tmp_path / "checkpoints.1" / "last.pt").is_file()


class Spoilt(Dataset):
    """Images of which one is not a number."""

    def __len__(self):
        return 24

    def __getitem__(self, index):
        return images()[index] if index != 5 else torch.full((1, 32, 32), math.nan)


def test_what_is_no_number_stops_the_run_and_last_pt_stands(config, tmp_path):
    trainer = MedJEPATrainer(tiny_model(), list(images()), config)
    trainer._begin()
    trainer.feed.dataset = Spoilt()
    with pytest.raises(TrainingError, match=r"step \d.*learning rate.*last.pt"):
        trainer.train()
    saved = torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)
    floats = [v for v in saved["model_state_dict"].values() if v.is_floating_point()]
    assert all(bool(torch.isfinite(value).all()) for value in floats)


def test_a_batch_larger_than_the_data_shrinks_with_a_word(config, caplog):
    with caplog.at_level("WARNING", "medjepa"):
        trainer = MedJEPATrainer(tiny_model(), list(images(5)), config)
    assert trainer.steps_per_epoch == 1 and "only 5 images" in caplog.text
    with pytest.raises(ConfigError, match="too few"):
        MedJEPATrainer(tiny_model(), list(images(1)), config)


def test_minutes_fix_the_number_of_steps_before_the_first(config):
    trainer = MedJEPATrainer(
        tiny_model(), list(images()), {**config, "num_epochs": 100_000, "max_minutes": 0.002}
    )
    history = trainer.train()
    assert 1 <= trainer.state.step == trainer.state.total_steps < 100
    assert trainer.model.loss.step == trainer.state.step
    assert len(history["epochs"]) >= 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_the_step(config, tmp_path, number):
    def stop(info):
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        MedJEPATrainer(tiny_model(), list(images()), config, hooks=[stop]).train()
    assert torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)["step"] == 1
    assert signal.getsignal(number) == before


def test_the_trained_encoder_loads_and_embeds(config, tmp_path):
    trainer = MedJEPATrainer(tiny_model(), list(images()), {**config, "max_steps": 2})
    trainer.train()
    encoder = load_encoder(tmp_path / "checkpoints", device="cpu")
    expected = trainer.model.eval().encode(images()).detach().numpy()
    assert encoder.embed(images(), batch_size=7) == pytest.approx(expected, abs=1e-5)

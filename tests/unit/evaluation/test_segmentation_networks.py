from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from segmentation_volumes import STRUCTURES

from medjepa.config import Config
from medjepa.config.finetune import FinetuneConfig
from medjepa.errors import ConfigError
from medjepa.evaluation import segmentation_networks, segmentation_volumes
from medjepa.evaluation.segmentation_networks import learner, network_of, settings_of
from medjepa.models.vjepa import VJEPA
from medjepa.training.finetune import Finetuned, FinetuneSettings
from medjepa.training.interrupts import StopWish


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(7)
    model = VJEPA((8, 8, 8), (4, 4, 4), embed_dim=24, depth=3, num_heads=2)
    model.set_pixel_statistics(torch.tensor([0.3]), torch.tensor([0.25]))
    return model.eval()


def weights(network, part):
    return {k: v for k, v in network.state_dict().items() if k.startswith(f"{part}.")}


def same(first, second):
    # An unknown spacing is NaN.
    return first.keys() == second.keys() and all(
        torch.equal(torch.nan_to_num(first[k]), torch.nan_to_num(second[k])) for k in first
    )


def test_only_pre_training_tells_the_two_networks_apart(model):
    ours, scratch = (network_of(name, model, 3, seed=1) for name in ("pretrained", "scratch"))
    assert same(weights(ours, "encoder"), weights(model, "encoder"))
    assert not same(weights(scratch, "encoder"), weights(model, "encoder"))
    assert weights(scratch, "encoder").keys() == weights(ours, "encoder").keys()
    assert same(weights(ours, "decoder"), weights(scratch, "decoder"))
    assert torch.equal(ours.pixel_mean, scratch.pixel_mean)


def test_a_seed_decides_everything_that_is_not_pre_trained(model):
    first, again, other = (network_of("scratch", model, 3, seed=s) for s in (1, 1, 2))
    assert same(first.state_dict(), again.state_dict())
    assert not same(weights(first, "encoder"), weights(other, "encoder"))
    assert not same(weights(first, "decoder"), weights(other, "decoder"))


def test_the_frozen_encoder_does_not_learn_and_the_model_stays_as_it_is(model):
    before = {k: v.clone() for k, v in model.state_dict().items()}
    frozen, ours = (network_of(name, model, 3, seed=0) for name in ("frozen_linear", "pretrained"))
    assert not any(p.requires_grad for p in frozen.encoder.parameters())
    assert all(p.requires_grad for p in frozen.decoder.parameters())
    for parameter in ours.parameters():
        parameter.data.zero_()
    assert same(before, model.state_dict())


def test_random_numbers_of_the_caller_are_not_disturbed(model):
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    network_of("scratch", model, 3, seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_training_sees_the_training_cases_and_no_other(monkeypatch):
    """Cases count through the labelled volumes, which need not be all volumes of the store."""
    asked = {}

    def dataset(stores, **arguments):
        asked.update(arguments)
        return SimpleNamespace(**arguments)

    def train(network, data, **arguments):
        asked["data"] = data
        return Finetuned(num_steps=5, seconds=1.0, best_step=5)

    monkeypatch.setattr(segmentation_volumes, "VolumeDataset", dataset)
    monkeypatch.setattr(
        segmentation_volumes, "SegmentationCrops", lambda images, maps, values: (images, values)
    )
    monkeypatch.setattr(segmentation_networks, "finetune_segmenter", train)
    images = SimpleNamespace(stores=(), crop=(8, 8, 8), channels=1, indices=np.array([3, 4, 8, 9]))
    volumes = SimpleNamespace(images=images, maps=(), structures=STRUCTURES, regions=False)
    unbound = segmentation_volumes.VolumeCases.crops
    volumes.crops = partial(getattr(unbound, "__wrapped__", unbound), volumes)
    settings = settings_of(Config(finetune=FinetuneConfig(steps=5)))
    unchecked = getattr(learner, "__wrapped__", learner)  # stand-ins are not of the annotated types
    learn = unchecked(
        settings, volumes, window=(4, 6, 8), device=torch.device("cpu"), wish=StopWish()
    )
    trained = learn(
        torch.nn.Identity(), np.array([0, 2]), method="scratch", folder=Path("part"), seed=4
    )
    assert asked["crop"] == (4, 6, 8)  # of the window it predicts in, not of pre-training
    assert asked["indices"].tolist() == [3, 8]
    assert asked["seed"] == 4
    assert asked["data"][1] == [0, 2, 5]
    assert trained.num_steps == 5


def test_the_budget_is_steps_or_minutes_and_a_thousand_steps_by_default():
    assert settings_of(Config()).steps == 1000
    assert settings_of(Config(finetune=FinetuneConfig(minutes=2.0))).steps is None
    with pytest.raises(ConfigError, match="one of the two"):
        settings_of(Config(finetune=FinetuneConfig(minutes=2.0, steps=3)))


def test_the_settings_defaults_are_those_of_the_recipe():
    assert settings_of(Config()) == FinetuneSettings(steps=1000)


def test_an_unknown_network_is_named(model):
    with pytest.raises(ConfigError, match="sratch is unknown"):
        network_of("sratch", model, 3, seed=0)

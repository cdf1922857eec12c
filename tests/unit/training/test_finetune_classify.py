"""Laws of the training of classifiers."""

import copy

import numpy as np
import pytest
import torch

from medjepa.data.batching import Batch
from medjepa.errors import CheckpointError, ConfigError, TrainingError
from medjepa.models.classifier import Classifier
from medjepa.models.encoder import ViTEncoder
from medjepa.training import finetune_steps
from medjepa.training.finetune_classify import ClassifySettings, finetune_classifier
from medjepa.training.finetune_optim import build_finetune_optimizer, set_shared_rate
from medjepa.training.interrupts import StopWish
from medjepa.training.optim import clip_gradient

CPU = torch.device("cpu")
TARGET = np.array([0, 1] * 6)


class Stripes:
    """Bright on the left or on the right; what is drawn depends on (index, draw)."""

    def __len__(self):
        return len(TARGET)

    def draw(self, pairs):
        images = torch.zeros(len(pairs), 1, 8, 8)
        for row, (index, draw) in enumerate(pairs):
            images[row, :, draw % 5 : draw % 5 + 3, 4 * TARGET[index] :][..., :4] = 0.7
        return Batch(images, torch.zeros(len(pairs), dtype=torch.long))


class StopAt(StopWish):
    """Wishes to stop after a number of questions."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def __bool__(self):
        self.left -= 1
        return self.left <= 0


def network(dropout=0.1):
    torch.manual_seed(0)
    encoder = ViTEncoder(8, 4, 1, 12, 3, 2, dropout=dropout)
    return Classifier(encoder, 2, mean=torch.tensor([0.2]), std=torch.tensor([0.3]))


def train(folder, *, validate=None, wish=None, seed=0, model=None, **settings):
    model = model or network()
    given = {"steps": 12, "batch_size": 4, **settings}
    done = finetune_classifier(
        model, Stripes(), TARGET, folder=folder, settings=ClassifySettings(**given), seed=seed,
        device=CPU, validate=validate, wish=wish,
    )  # fmt: skip
    return model, done


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def first_weight(model):
    return float(model.head.weight.detach()[0, 0])


def test_it_learns(tmp_path):
    model, _ = train(tmp_path, steps=60, learning_rate=0.01)
    scores = model(Stripes().draw([(0, 0), (1, 0)]).images)
    assert scores.argmax(1).tolist() == [0, 1]


@pytest.mark.parametrize("step", [1, 5, 11])
def test_stopped_and_gone_on_is_as_never_stopped(tmp_path, step):
    whole, done = train(tmp_path / "whole", validate=first_weight, patience=50)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", validate=first_weight, patience=50, wish=StopAt(step))
    model = network()
    torch.manual_seed(99)  # of another process
    resumed, again = train(tmp_path / "parts", model=model, validate=first_weight, patience=50)
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)
    assert (again.num_steps, again.best_step, again.validated) == (
        done.num_steps, done.best_step, done.validated
    )  # fmt: skip


def test_finished_is_not_done_again(tmp_path, monkeypatch):
    first, _ = train(tmp_path)
    monkeypatch.setattr(Stripes, "draw", None)
    second, done = train(tmp_path)
    torch.testing.assert_close(weights(second), weights(first), rtol=0, atol=0)
    assert done.num_steps == 12


def test_the_best_weights_on_the_validation_part_are_taken_and_patience_ends_training(tmp_path):
    losses = iter([4.0, 3.0, 1.0, 2.0, 2.0, 1.0, 0.1])
    seen = []

    def validate(model):
        assert not model.training
        seen.append(copy.deepcopy(weights(model)))
        return next(losses)

    model, done = train(tmp_path, steps=40, patience=3, validate=validate)
    assert done.validated == (4.0, 3.0, 1.0, 2.0, 2.0, 1.0)  # as good is not better
    assert (done.num_steps, done.best_step) == (10, 4)
    torch.testing.assert_close(weights(model), seen[2], rtol=0, atol=0)


def test_a_network_that_training_only_spoils_stays_as_it_was(tmp_path):
    losses = iter(range(30))
    model, done = train(tmp_path, patience=50, validate=lambda _: float(next(losses)))
    assert (done.num_steps, done.best_step) == (12, 0)
    torch.testing.assert_close(weights(model), weights(network()), rtol=0, atol=0)


def test_a_validation_loss_that_is_no_number_is_not_taken_for_the_best(tmp_path):
    losses = iter([2.0, float("nan"), 1.0])
    with pytest.raises(TrainingError, match="validation"):
        train(tmp_path, patience=5, validate=lambda _: next(losses))


def test_the_rate_rises_and_falls_and_long_gradients_are_shortened(tmp_path, monkeypatch):
    rates, lengths = [], []

    def set_rate(optimizer, rate):
        rates.append(rate)
        set_shared_rate(optimizer, rate)

    def clip(network, limit):
        found = clip_gradient(network, limit)
        lengths.append((float(found), float(clip_gradient(network, 0.0))))
        return found

    monkeypatch.setattr(finetune_steps, "set_shared_rate", set_rate)
    monkeypatch.setattr(finetune_steps, "clip_gradient", clip)
    train(tmp_path, steps=10, warmup=0.2, learning_rate=0.1, gradient_clip=0.01)
    falling = [1e-4 + (0.1 - 1e-4) * (1 + np.cos(np.pi * n / 7)) / 2 for n in range(8)]
    assert rates == pytest.approx([0.05, 0.1, *falling])
    assert len(lengths) == 10
    for before, after in lengths:
        assert after == pytest.approx(min(before, 0.01), rel=1e-3)
    assert max(before for before, _ in lengths) > 0.01


def test_a_trial_of_how_long_a_step_takes_leaves_no_trace(tmp_path):
    timed, done = train(tmp_path / "timed", steps=None, minutes=1e-9)
    assert done.num_steps == 1
    counted, _ = train(tmp_path / "counted", steps=1)
    for (name, one), other in zip(
        timed.state_dict().items(), counted.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=0, msg=name)


def test_without_a_validation_part_the_last_weights_are_taken(tmp_path):
    _, done = train(tmp_path)
    assert (done.num_steps, done.best_step, done.validated) == (12, 12, ())


def test_rates_fall_with_depth_and_frozen_layers_are_left_out():
    model = network()
    model.encoder.blocks[0].requires_grad_(False)
    optimizer = build_finetune_optimizer(model, weight_decay=0.1, layer_decay=0.5, encoder_rate=0.4)
    shares = {id(p): g["share"] for g in optimizer.param_groups for p in g["params"]}
    encoder = model.encoder
    assert shares[id(model.head.weight)] == 1
    assert shares[id(encoder.blocks[2].attention.qkv.weight)] == pytest.approx(0.4)
    assert shares[id(encoder.blocks[1].attention.qkv.weight)] == pytest.approx(0.2)
    assert id(encoder.blocks[0].attention.qkv.weight) not in shares
    patches = next(encoder.patch_embedding.parameters())
    assert shares[id(patches)] == pytest.approx(0.4 * 0.5**3)


def test_another_seed_is_another_training(tmp_path):
    first, _ = train(tmp_path / "a")
    second, _ = train(tmp_path / "b", seed=1)
    assert (weights(first) - weights(second)).abs().max() > 1e-6


def test_other_settings_cannot_go_on(tmp_path):
    train(tmp_path)
    with pytest.raises(CheckpointError, match="learning_rate"):
        train(tmp_path, learning_rate=0.5)


def test_a_loss_that_is_no_number_says_what_to_do(tmp_path):
    model = network()
    torch.nn.init.constant_(model.head.bias, float("nan"))
    with pytest.raises(TrainingError, match="a third of finetune"):
        train(tmp_path, model=model)


def test_steps_or_minutes():
    with pytest.raises(ConfigError, match="one of the two"):
        ClassifySettings(steps=1, minutes=1.0)

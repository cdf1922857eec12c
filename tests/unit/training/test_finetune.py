"""Laws of the training of segmentation networks."""

from pathlib import Path

import pytest
import torch
from torch import nn

from medjepa.errors import CheckpointError, ConfigError, TrainingError
from medjepa.models.encoder import ViTEncoder
from medjepa.models.segmenter import Segmenter
from medjepa.training.finetune import FinetuneSettings, finetune_segmenter
from medjepa.training.finetune_optim import build_finetune_optimizer, layer_of
from medjepa.training.finetune_steps import FILE, planned_indices
from medjepa.training.interrupts import StopWish
from medjepa.training.segmentation_crops import LabelledCrops

CPU = torch.device("cpu")


class Balls:
    """Bright squares on dark, labelled; the crop depends on (index, draw)."""

    def __init__(self, num=6, regions=False):
        self.num, self.regions, self.asked = num, regions, []

    def __len__(self):
        return self.num

    def __getitems__(self, indices):
        self.asked += indices
        images, labels = torch.zeros(len(indices), 1, 16, 16), torch.zeros(len(indices), 16, 16)
        for row, (index, draw) in enumerate(indices):
            at = (index * 3 + draw) % 8
            images[row, :, at : at + 7, 4:12] = 0.8
            labels[row, at : at + 7, 4:12] = 1
        labels = labels.to(torch.uint8)
        masks = torch.stack([labels, 1 - labels], 1) if self.regions else labels
        return LabelledCrops(images, masks, torch.zeros(len(indices), dtype=torch.long))


def network(dropout=0.1, **settings):
    torch.manual_seed(0)
    return Segmenter(ViTEncoder((16, 16), (4, 4), 1, 24, 2, 2, dropout=dropout), 2, **settings)


def train(folder, *, model=None, data=None, seed=0, wish=None, **settings):
    model = network() if model is None else model
    given = {"steps": 6, "batch_size": 4, **settings}
    done = finetune_segmenter(
        model,
        data or Balls(),
        folder=folder,
        settings=FinetuneSettings(**given),
        seed=seed,
        device=CPU,
        wish=wish,
    )
    return model, done


class StopAt(StopWish):
    """Wishes to stop after a number of questions."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def __bool__(self):
        self.left -= 1
        return self.left <= 0


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path):
    whole, _ = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", wish=StopAt(3))
    torch.manual_seed(99)
    model = network()
    torch.manual_seed(77)
    resumed, done = train(tmp_path / "stopped", model=model)
    assert done.num_steps == 6
    assert torch.equal(weights(whole), weights(resumed))


def test_a_finished_run_returns_its_weights_without_a_step(tmp_path):
    trained, _ = train(tmp_path)
    data = Balls()
    again, done = train(tmp_path, data=data)
    assert torch.equal(weights(trained), weights(again))
    assert data.asked == [] and done.num_steps == 6 and not again.training


def test_it_learns(tmp_path):
    model, _ = train(tmp_path, steps=60)
    crops = Balls().__getitems__([(i, 0) for i in range(6)])
    with torch.no_grad():
        found = model(crops.images).argmax(1)
    truth = crops.labels.bool()
    assert 2 * (found.bool() & truth).sum() / (found.sum() + truth.sum()) > 0.9


def test_regions_and_plain_networks_are_trained_too(tmp_path):
    plain = nn.Conv2d(1, 2, 3, padding=1)
    before = weights(plain).clone()
    train(tmp_path, model=plain, data=Balls(regions=True))
    assert not torch.equal(before, weights(plain))


def test_a_frozen_encoder_stays_as_it_was(tmp_path):
    model = network(frozen=True, decoder="linear")
    encoder, decoder = weights(model.encoder).clone(), weights(model.decoder).clone()
    train(tmp_path, model=model)
    assert torch.equal(encoder, weights(model.encoder))
    assert not torch.equal(decoder, weights(model.decoder))


def test_the_seed_decides_and_the_machine_s_random_state_does_not(tmp_path):
    runs = []
    for number, seed in enumerate((0, 0, 1)):
        model = network(dropout=0.0)
        torch.manual_seed(number)
        runs.append(weights(train(tmp_path / str(number), model=model, seed=seed)[0]))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_other_settings_do_not_go_on_with_a_run(tmp_path):
    train(tmp_path)
    with pytest.raises(CheckpointError, match=r"learning_rate was 0\.01 and is now 0\.1"):
        train(tmp_path, learning_rate=0.1)


def test_minutes_become_steps_once(tmp_path):
    _, done = train(tmp_path, steps=None, minutes=0.01)
    assert done.num_steps >= 1
    assert train(tmp_path, steps=None, minutes=0.01)[1] == done


def test_a_loss_that_is_no_number_stops_the_run_before_it_is_saved(tmp_path):
    model = network()
    with torch.no_grad():
        model.decoder.score.bias.fill_(torch.nan)
    with pytest.raises(TrainingError, match="learning_rate"):
        train(tmp_path, model=model)
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("given", [{}, {"steps": 3, "minutes": 1.0}])
def test_steps_or_minutes(given):
    with pytest.raises(ConfigError, match="one of the two"):
        FinetuneSettings(**given)


def test_every_image_comes_once_a_pass_and_batches_fill_up_across_passes():
    order = planned_indices(range(12), 5, 0)
    assert sorted(order[:5]) == sorted(order[5:10]) == list(range(5))
    assert order[:5] != order[5:10] or order[:5] != planned_indices(range(5), 5, 1)
    assert planned_indices(range(3, 9), 5, 0) == order[3:9]


def test_deep_layers_learn_faster_than_the_first_and_the_decoder_fastest():
    model = network()
    optimizer = build_finetune_optimizer(model, weight_decay=0.1, layer_decay=0.5, encoder_rate=0.8)
    share = {id(p): g["share"] for g in optimizer.param_groups for p in g["params"]}
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert set(share) == {id(p) for p in model.parameters()}
    encoder = model.encoder
    assert share[id(model.decoder.join[0].weight)] == 1
    assert share[id(encoder.blocks[1].mlp[0].weight)] == pytest.approx(0.8)
    assert share[id(encoder.blocks[0].mlp[0].weight)] == pytest.approx(0.4)
    assert share[id(encoder.patch_embedding.projection.weight)] == pytest.approx(0.2)
    assert share[id(encoder.norm.weight)] == pytest.approx(0.8)
    assert decay[id(encoder.norm.weight)] == 0 and decay[id(model.decoder.join[0].weight)] == 0.1
    assert layer_of("blocks.11.mlp.0.weight", 12) == 12

"""The parts of training that are functions: schedule, optimiser, watching, batches, records."""

import json
import math
import sys
import types
from itertools import count, pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from medjepa.errors import ConfigError
from medjepa.training.batches import (
    collate_images,
    pixel_statistics,
    share_of,
    validation_batches,
)
from medjepa.training.files import RunFiles, check_free, move_aside
from medjepa.training.hooks import StepInfo, check_installed, write_metrics
from medjepa.training.monitor import CollapseMonitor, feature_spread, rankme
from medjepa.training.optim import build_optimizer, clip_gradient
from medjepa.training.scheduler import WarmupCosine, fit_warmup
from medjepa.training.settings import TrainerSettings
from medjepa.training.timing import steps_within

INFO = {
    "total_steps": 9, "epoch": 1, "total_loss": 1.0, "prediction_loss": 0.5,
    "regularization_loss": 0.5, "lr": 0.1, "grad_norm": 1.0, "images_per_second": 1.0,
    "data_wait": 0.0, "rankme": math.nan, "feature_std": 0.1, "seconds": 1.0, "eta": 1.0,
}  # fmt: skip


@given(st.integers(0, 50), st.integers(2, 300))
def test_the_rate_rises_to_its_peak_and_falls_to_its_end(warmup, total):
    warmup = fit_warmup(warmup, total)
    rate = WarmupCosine(peak=1.0, final=0.001, warmup_steps=warmup, total_steps=total)
    rates = [rate(step) for step in range(total)]
    top = max(warmup - 1, 0)
    assert rates[top] == max(rates) == pytest.approx(1.0)
    assert all(a < b for a, b in pairwise(rates[: top + 1]))
    assert all(a >= b for a, b in pairwise(rates[top:]))
    assert min(rates) > 0
    if total - warmup > 1:
        assert rates[-1] == pytest.approx(0.001)


def test_a_warm_up_longer_than_the_run_is_shortened_with_a_word(caplog):
    with caplog.at_level("INFO", "medjepa"):
        assert fit_warmup(100, 50) == 5
    assert "shortened to 5" in caplog.text
    assert fit_warmup(10, 50) == 10


def test_weights_decay_but_biases_and_norms_do_not():
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = build_optimizer(model, learning_rate=0.1, weight_decay=0.5)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for old, new in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old * (0.95 if new.ndim > 1 else 1))


@pytest.mark.parametrize("limit", [0.0, 1.0])
def test_a_long_gradient_is_shortened_and_its_length_told(limit):
    model = nn.Linear(2, 1, bias=False)
    model.weight.grad = torch.tensor([[3.0, 4.0]])
    assert clip_gradient(model, limit) == pytest.approx(5.0)
    assert model.weight.grad.norm() == pytest.approx(limit or 5.0, rel=1e-4)


def test_rankme_counts_directions():
    rng = torch.Generator().manual_seed(0)
    assert rankme(torch.eye(8)) == pytest.approx(8, rel=1e-3)
    assert rankme(torch.ones(8, 1) @ torch.randn(1, 8, generator=rng)) == pytest.approx(1, rel=1e-3)
    two = torch.randn(100, 2, generator=rng) @ torch.randn(2, 8, generator=rng)
    assert 1 < rankme(two) < 2.01


def test_spread_is_nought_when_all_are_alike_whatever_the_scale():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(200, 16, generator=rng)
    assert feature_spread(torch.ones(10, 4)) == 0
    assert (
        feature_spread(x) == pytest.approx(feature_spread(1000 * x)) == pytest.approx(1, abs=0.05)
    )


def test_the_alarm_rings_at_collapse_only_and_says_what_to_do():
    rng = torch.Generator().manual_seed(0)
    monitor = CollapseMonitor()
    monitor.add(torch.randn(300, 32, generator=rng))
    assert monitor.alarm(500, 0.1, 100) == ""
    assert "prediction loss" in CollapseMonitor(monitor.rows).alarm(500, 1e-4, 100)
    monitor.add(torch.randn(1, 32, generator=rng) + 1e-5 * torch.randn(600, 32, generator=rng))
    assert len(monitor.rows) == 512
    said = monitor.alarm(600, 0.1, 100)
    assert "lambda_reg" in said and "learning_rate" in said
    assert monitor.alarm(650, 0.1, 100) == ""
    assert monitor.alarm(700, 0.1, 100) != ""


def test_lines_of_lost_work_go_and_a_torn_line_too(tmp_path):
    path = tmp_path / "metrics.jsonl"
    hook = write_metrics(path, from_step=0)
    for step in range(1, 6):
        hook(StepInfo(step=step, **INFO))
    path.write_text(path.read_text() + '{"step": 6, "tot')
    write_metrics(path, from_step=3)(StepInfo(step=4, train_loss=2.0, **INFO))
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [record["step"] for record in records] == [1, 2, 3, 4]
    # JSON knows no NaN: what is not a number is left out.
    assert "rankme" not in records[0] and "val_loss" not in records[-1]
    assert records[-1]["train_loss"] == 2.0


@pytest.mark.parametrize("service", ["tensorboard", "wandb"])
def test_a_missing_service_is_named_with_its_remedy(service, monkeypatch):
    monkeypatch.setattr("medjepa.training.hooks.find_spec", lambda name: None)
    wished = {"use_tensorboard": False, "use_wandb": False, f"use_{service}": True}
    with pytest.raises(ConfigError, match="pip install"):
        check_installed(**wished)


class FakeService:
    """Stands in for both services, which are not installed here."""

    def __init__(self, *args, **settings):
        self.settings, self.written, self.ended = settings, [], False

    def flush(self):
        pass

    def add_scalar(self, name, value, step):
        self.written.append((step, name, value))

    def log(self, record, step):
        self.written += [(step, name, value) for name, value in record.items()]

    def close(self):
        self.ended = True

    finish = close


@pytest.mark.parametrize("service", ["tensorboard", "wandb"])
def test_services_get_every_number_and_are_ended(service, tmp_path, monkeypatch):
    made = []
    fake = types.ModuleType(service)
    fake.SummaryWriter = fake.init = lambda *a, **k: made.append(FakeService(**k)) or made[0]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setattr("medjepa.training.hooks.find_spec", lambda name: object())
    files = RunFiles(tmp_path, TrainerSettings(**{f"use_{service}": True, "project_name": "mine"}))
    _, hook = files.hooks(2, {"batch_size": 4})
    with files.closing():
        hook(StepInfo(step=3, **INFO))
    assert (3, "total_loss", 1.0) in made[0].written and made[0].ended
    assert made[0].settings.get("purge_step", 3) == 3
    assert made[0].settings.get("project", "mine") == "mine"


def test_processes_share_a_batch_without_overlap():
    batch = list(range(12))
    assert [i for rank in range(3) for i in share_of(batch, rank, 3)] == batch


def test_validation_batches_are_equal_and_never_none():
    assert validation_batches(10, 4) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert validation_batches(3, 4) == [[0, 1, 2]]


def test_statistics_are_those_of_all_pixels_per_channel():
    images = torch.rand(70, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    mean, std = pixel_statistics(list(images), seed=0)
    torch.testing.assert_close(mean, images.mean((0, 2, 3)))
    torch.testing.assert_close(std, images.permute(1, 0, 2, 3).flatten(1).std(1, correction=0))


def test_items_are_tensors_or_tuples_that_begin_with_one():
    image = torch.rand(1, 2, 2)
    for item in (image, (image, 3), [image, 3]):
        batch = collate_images([item, item])
        assert batch.images.shape == (2, 1, 2, 2) and batch.modality.tolist() == [0, 0]


def test_an_unknown_setting_names_the_nearest():
    with pytest.raises(ConfigError, match="learning_rate"):
        TrainerSettings.from_dict({"learning_rat": 1})
    with pytest.raises(ConfigError, match="whole number"):
        TrainerSettings.from_dict({"batch_size": "many"})
    with pytest.raises(ConfigError, match="batch_size"):
        TrainerSettings.from_dict({"batch_size": 1})


def test_an_earlier_folder_is_moved_to_the_first_free_name(tmp_path):
    for expected in ("run.1", "run.2"):
        (tmp_path / "run").mkdir()
        assert move_aside(tmp_path / "run").name == expected


def test_a_folder_with_anything_in_it_is_not_free(tmp_path):
    check_free(tmp_path, resume=False)
    check_free(tmp_path / "new", resume=False)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="resume=true"):
        check_free(tmp_path, resume=False)
    with pytest.raises(ConfigError, match="is a file"):
        check_free(tmp_path / "notes.txt", resume=False)


def test_a_trial_counts_steps_and_leaves_no_trace(monkeypatch):
    clock = count(0.0, 0.5)
    monkeypatch.setattr("medjepa.training.timing.time.perf_counter", lambda: next(clock))
    model = nn.BatchNorm1d(2)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def step(number):
        model(torch.rand(4, 2)).sum().backward()

    assert 10 <= steps_within(60, model, step) <= 200
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_trial_takes_a_small_share_of_a_short_time(monkeypatch):
    model, seen = nn.Linear(2, 1), []
    now = [0.0]
    monkeypatch.setattr("medjepa.training.timing.time.perf_counter", lambda: now[0])

    def step(number):
        seen.append(number)
        now[0] += 0.25

    assert 80 <= steps_within(24, model, step) <= 96
    assert 4 <= len(seen) <= 10  # 2.4 s of 24
    seen.clear()
    steps_within(2400, model, step)
    assert len(seen) == 20

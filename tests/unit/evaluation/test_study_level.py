"""What study_predictions.csv says of a study: its images once each, seeds and splits alike."""

import csv
import io

import numpy as np
import pytest

from medjepa.evaluation.protocol import Features, measure
from medjepa.evaluation.resamples import Resamples
from medjepa.evaluation.results import PRETRAINED
from medjepa.evaluation.study_level import as_csv, study_predictions
from medjepa.evaluation.task import Task


@pytest.fixture(autouse=True)
def _few_settings(monkeypatch):
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (1e-2, 1.0))


def test_a_study_is_the_mean_over_images_then_seeds_and_splits():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(24), 3)
    target = (patient % 2).astype(np.int64)
    target[2] = 1  # a study with images of both classes
    arrays = tuple(rng.normal(size=(72, 4)) + target[:, None] for _ in range(2))
    tasks = [
        Task(
            label="finding",
            target=target,
            class_names=("no", "yes"),
            groups=tuple(f"p{p}" for p in patient),
            train=np.flatnonzero(~tested[patient]),
            test=np.flatnonzero(tested[patient]),
        )
        for tested in (np.arange(24) < 6, np.arange(24) % 4 < 2, np.arange(24) > 17)
    ]
    measured = measure(
        Features(key=PRETRAINED, arrays=arrays, seeds=(0, 1)),
        tasks,
        Resamples.draw(tasks, num_resamples=5, seed=0),
    )
    names = [f"s{p:02d}" for p in patient]
    num_clips = rng.integers(1, 5, size=72)
    found = {one.study: one for one in study_predictions(measured, tasks, names, num_clips)}
    assert list(found) == sorted({names[i] for task in tasks for i in task.test})
    for name, one in found.items():
        rows = [i for i in range(72) if names[i] == name]
        splits = [n for n, task in enumerate(tasks) if rows[0] in task.test]
        each = [
            measured.scores[seed][n][[list(tasks[n].test).index(i) for i in rows]].mean(0)
            for seed in range(2)
            for n in splits
        ]
        assert one.scores == pytest.approx(np.mean(each, axis=0))
        assert one.num_splits == len(splits)
        assert one.num_clips == num_clips[rows].sum()
        assert one.label == ("no + yes" if name == "s00" else ("no", "yes")[target[rows[-1]]])
    text = as_csv(tuple(found.values()), ("no", "yes"))
    for row in csv.DictReader(io.StringIO(text)):
        one = found[row["study"]]
        assert row["prediction"] == ("no", "yes")[int(one.scores[1] > one.scores[0])]
        assert float(row["p_yes"]) == pytest.approx(one.scores[1], abs=1e-6)
        assert (int(row["n_clips"]), int(row["n_splits"])) == (one.num_clips, one.num_splits)

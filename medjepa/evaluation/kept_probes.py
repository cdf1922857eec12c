"""A probe that an earlier run fitted on the same features, labels and resamples is read again."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from medjepa.evaluation import probes
from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.kept import Arrays, Kept, digest
from medjepa.evaluation.protocol import Features, Measured, measure
from medjepa.evaluation.resamples import Resamples
from medjepa.evaluation.results import MethodResult, Scores
from medjepa.evaluation.task import Task


def kept_measure(
    kept: Kept, features: Features, tasks: Sequence[Task], resamples: Resamples, *, balanced: bool
) -> Measured:
    """As `measure`, of features without tokens."""
    assert not features.tokens
    depends = {
        "measure": [features.key, list(features.seeds), balanced, list(probes.C_GRID)],
        "features": [digest(*features.of(task)) for task in tasks],
        "tasks": [_digest_of(task) for task in tasks],
        "resamples": [digest(part.counts, part.patient) for part in resamples.parts],
    }

    def compute() -> Arrays:
        return _arrays(measure(features, tasks, resamples, balanced=balanced))

    return _measured(kept.of(depends, compute))


def _digest_of(task: Task) -> list[object]:
    names = [task.label, list(task.class_names), task.groups, task.studies]
    return [digest(task.target, task.train, task.test), names]


def _arrays(measured: Measured) -> Arrays:
    found: Arrays = {
        "result": np.array(json.dumps(asdict(measured.result))),
        "auc": measured.auc,
        "samples": measured.samples,
        "shape": np.array([len(measured.scores), len(measured.scores[0])]),
    }
    for seed, row in enumerate(measured.scores):
        found |= {f"scores {seed} {split}": one for split, one in enumerate(row)}
    return found


def _measured(found: Arrays) -> Measured:
    plain = json.loads(str(found["result"]))
    num_seeds, num_splits = (int(n) for n in found["shape"])
    return Measured(
        result=MethodResult(
            **{
                **plain,
                "seeds": tuple(plain["seeds"]),
                "c": tuple(plain["c"]),
                "probe": _scores(plain["probe"]),
                "knn": _scores(plain["knn"]),
                "study": None if plain["study"] is None else _scores(plain["study"]),
            }
        ),
        auc=np.asarray(found["auc"], np.float64),
        samples=np.asarray(found["samples"], np.float64),
        scores=tuple(
            tuple(
                np.asarray(found[f"scores {seed} {split}"], np.float64)
                for split in range(num_splits)
            )
            for seed in range(num_seeds)
        ),
    )


def _scores(plain: dict[str, Any]) -> Scores:
    return Scores(
        auc=Estimate(**plain["auc"]),
        balanced_accuracy=Estimate(**plain["balanced_accuracy"]),
        accuracy=Estimate(**plain["accuracy"]),
        per_seed={name: tuple(values) for name, values in plain["per_seed"].items()},
    )

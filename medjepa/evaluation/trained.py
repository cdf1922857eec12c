"""What studies of trained networks share: a network that was trained, and a row of their tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TrainedPart:
    """One network that was trained and tested: one method, share of labels, fold and seed.

    Attributes:
        method: its key.
        fraction: share of the labelled patients of the training part.
        fold: name of the part that was tested.
        seed: of the run.
        num_labels: cases with labels that it was trained on.
        num_parameters: that were trained.
        num_steps: of training.
        seconds: of training.
    """

    method: str
    fraction: float
    fold: str
    seed: int
    num_labels: int
    num_parameters: int
    num_steps: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TrainedRow:
    """A row of the table: one method at one share of the labels.

    Attributes:
        method: its key.
        title: what the reader sees.
        fraction: share of the labelled patients of the training part.
        num_labels: labelled cases, for each network.
        seeds: of the runs.
        num_steps: of training, for each network.
        seconds: of training, for each network.
        num_parameters: that were trained.
    """

    method: str
    title: str
    fraction: float
    num_labels: tuple[int, ...]
    seeds: tuple[int, ...]
    num_steps: tuple[int, ...]
    seconds: tuple[float, ...]
    num_parameters: int


def row_fields(
    method: str, fraction: float, title: str, seeds: Mapping[int, Sequence[TrainedPart]]
) -> dict[str, Any]:
    """The fields of a `TrainedRow`, from the parts (one for each fold) of each seed."""
    parts = [part for own in seeds.values() for part in own]
    return {
        "method": method,
        "title": title,
        "fraction": fraction,
        "num_labels": tuple(part.num_labels for part in parts),
        "seeds": tuple(seeds),
        "num_steps": tuple(part.num_steps for part in parts),
        "seconds": tuple(part.seconds for part in parts),
        "num_parameters": parts[0].num_parameters,
    }

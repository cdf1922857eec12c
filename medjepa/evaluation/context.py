"""What every further topic of an evaluation may look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medjepa.config.evaluation import EvaluationConfig
from medjepa.evaluation.columns import Column
from medjepa.evaluation.material import Material
from medjepa.evaluation.protocol import Features, Measured
from medjepa.evaluation.request import Request
from medjepa.evaluation.resamples import Resamples
from medjepa.evaluation.results import Comparison
from medjepa.evaluation.runs import Run
from medjepa.evaluation.task import Task


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where features came from, for a topic that has to embed images again.

    Attributes:
        runs: the pre-trained models, in the order of their seeds.
        material: stores, labels, and features of every image.
        request: what was asked.
    """

    runs: tuple[Run, ...]
    material: Material
    request: Request


@dataclass(frozen=True, kw_only=True)
class Context:
    """What every topic may look at. N images, K splits, S seeds.

    Attributes:
        features: (N, D) arrays of every method, in the table's order.
        measured: rows of the table with their test scores: `scores[seed][split]` is
            (num_test, C), rows as in `tasks[split].test`. The majority class is the last.
        comparisons: pre-trained minus each other method.
        tasks: labels, groups, studies and the K splits; the first decides where one is enough.
        resamples: of the test patients, shared by every number.
        columns: of the table, that may give the label away, as codes.
        cells: column of the table -> (N,) what it says of each image; private, never shown.
        settings: what was asked.
        num_resamples: of a bootstrap of one's own.
        seed: of everything that is drawn.
        origin: models and images; None where only features were given.
    """

    features: tuple[Features, ...]
    measured: tuple[Measured, ...]
    comparisons: tuple[Comparison, ...]
    tasks: tuple[Task, ...]
    resamples: Resamples
    columns: tuple[Column, ...] = ()
    cells: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    settings: EvaluationConfig = field(default_factory=EvaluationConfig)
    num_resamples: int = 1000
    seed: int = 0
    origin: Origin | None = None

    @property
    def groups(self) -> tuple[str, ...] | None:
        """(N,) patients; None where unknown."""
        return self.tasks[0].groups

    @property
    def studies(self) -> tuple[str, ...] | None:
        """(N,) the study of each image; None for none."""
        return self.tasks[0].studies

    def row(self, key: str) -> Measured:
        """The method called `key`."""
        return next(one for one in self.measured if one.result.key == key)

    def of(self, key: str) -> Features:
        """The features of the method called `key`."""
        return next(one for one in self.features if one.key == key)

"""What is asked of an evaluation, as one value."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medjepa.data.selection import Selection
from medjepa.evaluation.class_rule import ClassRule
from medjepa.evaluation.target import TargetRule

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""`with progress(description, total) as advance: advance(1)`"""


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `medjepa.evaluation.run.evaluate`, which explains them."""

    sources: tuple[str | Path, ...]
    label: str
    group: str | tuple[str, ...] | None
    split: str | None
    table: str | Path | None
    image_column: str | None
    pattern: str | None
    modality: str | Sequence[str | None] | None
    frames_per_clip: int
    selection: Selection | None
    privacy: Literal["refuse", "allow"]
    test_fraction: float
    seed: int
    classes: ClassRule | TargetRule | None
    num_splits: int
    study: str | None
    clips: int
    overlap: float
    attentive: bool
    features: str
    slices: str | Path
    inflated: str | Path
    batch_size: int
    device: str
    cache_dir: str | Path | None
    num_workers: int | None
    progress: Progress

    @property
    def group_column(self) -> str | None:
        """The one column of patients that a store can know; of several columns none."""
        return self.group if isinstance(self.group, str) else None

"""What is asked of an evaluation, as one value."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medjepa.config import Config
from medjepa.data.selection import Selection, selection_of
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
    timm: str
    timm_weights: str
    batch_size: int
    device: str
    cache_dir: str | Path | None
    num_workers: int | None
    progress: Progress

    @property
    def group_column(self) -> str | None:
        """The one column of patients that a store can know; of several columns none."""
        return self.group if isinstance(self.group, str) else None


def request_of(config: Config, progress: Progress, *, overlap: float) -> Request:
    """Ask for one split by a column of classes, as verbs beside `medjepa evaluate` do.

    Args:
        config: the settings.
        progress: how it is shown.
        overlap: of windows, which the verb's own section says.
    """
    data, asked = config.data, config.evaluation
    group = data.group_column
    return Request(
        sources=tuple(data.sources),
        label=config.label or "",
        group=group if isinstance(group, str | None) else tuple(group),
        split=data.split_column,
        table=data.table,
        image_column=data.image_column,
        pattern=data.pattern,
        modality=None if data.modality == "auto" else data.kinds_of_image,
        frames_per_clip=data.frames_per_clip,
        selection=selection_of(data),
        privacy=config.privacy,
        test_fraction=0.3,
        seed=config.seed,
        classes=ClassRule(asked.positives, asked.negatives) if asked.positives else None,
        num_splits=1,
        study=asked.study,
        clips=asked.clips,
        overlap=overlap,
        attentive=False,
        features="last",
        slices="",
        inflated="",
        timm="",
        timm_weights="",
        batch_size=asked.batch_size,
        device=config.hardware.device,
        cache_dir=data.cache_dir or None,
        num_workers=data.num_workers,
        progress=progress,
    )

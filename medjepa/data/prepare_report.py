"""What `prepare` says of the files that it found."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""`with progress(description, total) as advance: advance(1)`"""


@dataclass
class PrepareReport:
    """What became of the files: good + skipped + failed == found, always.

    Attributes:
        out: the store.
        found: files below the sources.
        good: files whose images are in the store.
        skipped: files that are no images, or are identical to another.
        failed: files that should be images and cannot be read.
        failures: (path below its source, reason) of the failed ones.
        skips: how many were skipped, by reason.
        doubts: (path below its source, what was assumed) of good ones that were repaired.
        num_known: good files that were in the store already and were not decoded again.
        num_decoded: files that were decoded in this run, the refused ones among them.
        seconds: that decoding and writing took.
        num_images: images in the store; a volume gives one for each slice (2-D), or is one (3-D).
        num_constant_slices: slices left out because they show nothing.
        num_dropped: images taken out because their file is gone or has changed.
        group_columns: (table, column) that names the patients, as found or asked.
        grouped: "table", "header" or "none": where the patients come from.
        num_groups: how many different patients.
        intensity: for each kind of image in the store, how its values became grey levels.
    """

    out: Path
    found: int = 0
    good: int = 0
    skipped: int = 0
    failed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    skips: dict[str, int] = field(default_factory=dict)
    doubts: list[tuple[str, str]] = field(default_factory=list)
    num_known: int = 0
    num_decoded: int = 0
    seconds: float = 0.0
    num_images: int = 0
    num_constant_slices: int = 0
    num_dropped: int = 0
    group_columns: list[tuple[str, str]] = field(default_factory=list)
    grouped: str = "none"
    num_groups: int = 0
    intensity: list[str] = field(default_factory=list)

    def skip(self, reason: str) -> None:
        """Count one skipped file."""
        self.skipped += 1
        self.skips[reason] = self.skips.get(reason, 0) + 1

    @property
    def files_per_second(self) -> float:
        """How fast this run was; 0 if nothing was decoded."""
        return self.num_decoded / self.seconds if self.seconds else 0.0

"""Settings of the images: where they lie, which of them are used, how they are read."""

from dataclasses import dataclass
from typing import Literal

from medjepa.config.fields import FrameSize, require, setting
from medjepa.errors import ConfigError
from medjepa.types import MODALITIES

# ruff: noqa: RUF009 - `setting` makes a dataclass field, as `field` does


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the images come from and which of them are used."""

    dataset: str = setting("", "a name for the data, for your own notes")
    data_dir: str | tuple[str, ...] = setting(
        "", "a store, a folder of images or a CSV; several as [a,b]; short: data=..."
    )
    target_size: FrameSize = setting(
        224, "pixels at which images are read; follows model.image_size"
    )
    num_workers: int = setting(4, "processes that load images; 0: none beside the training itself")
    fit: Literal["stretch", "pad"] = setting("stretch", "how an image is brought to target_size")
    modality: str | tuple[str, ...] = setting(
        "auto", "kind of image (one, or [a,b] by source), which decides how it may be changed"
    )
    intensity: str = setting(
        "auto", "how values become grey levels: auto (by kind of image), as_stored, ct_lung, ..."
    )
    frames_per_clip: int = setting(8, "most images taken from one clip (2-D), by time; 0: all")
    dimensions: Literal[2, 3] = setting(
        2, "2: slices and frames are images; 3: volumes and clips as a whole (prepare)"
    )
    spacing: tuple[float, ...] = setting(
        (), "[z, y, x] in mm to which volumes are resampled (3-D); empty: as they are"
    )
    pattern: str | None = setting(
        None, "only files whose name fits, such as *.jpg; none: all images"
    )
    kinds: tuple[str, ...] = setting(
        ("original",), "DICOM images used, of original, derived, secondary, localizer; []: all"
    )
    select_modality: tuple[str, ...] = setting((), "only DICOM of these, such as [CR,DX]")
    view: tuple[str, ...] = setting((), "only radiographs of these views, such as [PA,AP]")
    body_part: tuple[str, ...] = setting((), "only DICOM of these body parts, such as [CHEST]")
    series_kind: tuple[str, ...] = setting((), "only DICOM series of these, such as [t1,flair]")
    weights: tuple[float, ...] = setting((), "share of each source in a batch; empty: by size")
    table: str | None = setting(None, "a CSV that names the images and their columns")
    image_column: str | None = setting(
        None, "the table's column of image names; none: found by itself"
    )
    group_column: str | None = setting(None, "the table's column of patients, who are never split")
    split_column: str | None = setting(None, "the table's column of train/val/test; none: split")
    use_all: bool = setting(False, "pre-train on images marked val or test too")
    val_fraction: float = setting(0.0, "share of the groups kept for a validation loss")
    cache_dir: str = setting("", "where raw folders are prepared; empty: the user's cache folder")

    def __post_init__(self) -> None:
        require(self.num_workers >= 0, "data.num_workers", "0 or more", self.num_workers)
        require(0 <= self.val_fraction < 1, "data.val_fraction", "in [0, 1)", self.val_fraction)
        for name in (self.modality,) if isinstance(self.modality, str) else self.modality:
            require(
                name in ("auto", *MODALITIES),
                "data.modality",
                f"auto, {', '.join(MODALITIES)}",
                name,
            )
        require(
            self.frames_per_clip >= 0, "data.frames_per_clip", "0 or more", self.frames_per_clip
        )
        require(
            len(self.spacing) in (0, 3) and all(step > 0 for step in self.spacing),
            "data.spacing", "[z, y, x] in mm, each above 0", self.spacing,
        )  # fmt: skip
        kinds = ("original", "derived", "secondary", "localizer")
        for name in self.kinds:
            require(name in kinds, "data.kinds", f"of {', '.join(kinds)}", name)
        require(all(w > 0 for w in self.weights), "data.weights", "positive numbers", self.weights)
        if self.weights and len(self.weights) != len(self.sources):
            raise ConfigError(
                f"data.weights: {len(self.weights)} weights for {len(self.sources)} sources; "
                "give one for each"
            )

    @property
    def kinds_of_image(self) -> tuple[str | None, ...]:
        """`modality` by source, None where the headers say."""
        given = (self.modality,) if isinstance(self.modality, str) else self.modality
        listed = given * len(self.sources) if len(given) == 1 else given
        return tuple(None if name == "auto" else name for name in listed)

    @property
    def sources(self) -> tuple[str, ...]:
        """The paths of `data_dir` as a tuple."""
        if isinstance(self.data_dir, str):
            return (self.data_dir,) if self.data_dir else ()
        return self.data_dir

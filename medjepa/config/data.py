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
    seconds_per_file: float = setting(
        120.0, "prepare leaves a file out that takes longer to decode"
    )
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
    crop: tuple[int, ...] = setting(
        (), "[z, y, x] or [t, y, x] that is read of a volume or clip; empty: model.image_size"
    )
    foreground: float = setting(
        0.5, "share of the crops of volumes whose middle lies where something is to be seen"
    )
    frame_step: int = setting(1, "clips: every so-many-th frame is read")
    frame_seconds: float | None = setting(
        None, "clips: frames so far apart in s, by the clip's own times; none: by frame_step"
    )
    contrasts: tuple[str, ...] = setting(
        (), "words in the names of the files that make one volume, such as [flair,t1,t1ce,t2]"
    )
    fourth_axis: Literal["time", "contrasts"] = setting(
        "time", "of 4-D files: time: a clip for each slice; contrasts: channels of one volume"
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
    group_column: str | tuple[str, ...] | None = setting(
        None, "the table's column of patients, who are never split; [source,patient]: together"
    )
    split_column: str | None = setting(None, "the table's column of train/val/test; none: split")
    held_out: tuple[str, ...] = setting(
        (), "values of split_column that are not trained on, such as [0] of folds; else all are"
    )
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
        require(
            len(self.crop) in (0, 3) and all(n > 0 for n in self.crop),
            "data.crop", "[z, y, x] or [t, y, x], each above 0", self.crop,
        )  # fmt: skip
        require(0 <= self.foreground <= 1, "data.foreground", "a share, 0 to 1", self.foreground)
        require(
            self.seconds_per_file > 0, "data.seconds_per_file", "above 0", self.seconds_per_file
        )
        require(self.frame_step > 0, "data.frame_step", "1 or more", self.frame_step)
        seconds = self.frame_seconds
        require(seconds is None or seconds > 0, "data.frame_seconds", "above 0 or none", seconds)
        require(
            seconds is None or self.frame_step == 1,
            "data.frame_seconds", "none where data.frame_step is given", seconds,
        )  # fmt: skip
        require(
            len({c.lower() for c in self.contrasts}) == len(self.contrasts)
            and all(c.isalnum() for c in self.contrasts),
            "data.contrasts", "different words of letters and digits", self.contrasts,
        )  # fmt: skip
        if self.held_out and self.split_column is None:
            raise ConfigError("data.held_out: name the column too, data.split_column=fold, say")
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
    def one_group_column(self) -> str | None:
        """`group_column` for a store, which knows one name for each patient.

        Raises:
            ConfigError: several columns, which are for evaluate and finetune.
        """
        if isinstance(self.group_column, tuple):
            raise ConfigError(
                f"data.group_column: one column here, got {', '.join(self.group_column)}; several "
                "together are for evaluate and finetune"
            )
        return self.group_column

    @property
    def sources(self) -> tuple[str, ...]:
        """The paths of `data_dir` as a tuple."""
        if isinstance(self.data_dir, str):
            return (self.data_dir,) if self.data_dir else ()
        return self.data_dir

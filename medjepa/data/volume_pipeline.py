"""How a file becomes the volume or clip that a model sees, in a form that a checkpoint carries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medjepa.data.contrasts import read_contrasts
from medjepa.data.intensity import gain_and_bias, match_channels
from medjepa.data.modality import IntensityPlan
from medjepa.data.resize import FITS, Fit
from medjepa.data.volume_items import FourthAxis, StoredVolume, VolumeSteps
from medjepa.errors import ConfigError, InputError
from medjepa.types import MedicalImage

VolumeKind = Literal["volume", "clip"]


@dataclass(frozen=True, kw_only=True)
class VolumePipeline:
    """File to a whole volume or clip, exactly as by way of a prepared store.

    Attributes:
        crop: (z, y, x) or (t, y, x) of what the model was trained on.
        channels: how many.
        kind: "volume" (z, y, x) or "clip" (t, y, x).
        spacing: (z, y, x) in mm to which volumes are resampled; None: as they are.
        frame_size: (H, W) of the frames of clips; None: as they are.
        fit: how frames are brought to it.
        contrasts: words in the names of the files that make one volume.
        fourth_axis: whether the volumes of a 4-D file are moments or contrasts.
        frame_step: the model saw every so-many-th frame,
        frame_seconds: or frames so far apart.
        intensity: the steps before resampling, by kind of image.
    """

    crop: tuple[int, int, int]
    channels: int = 1
    kind: VolumeKind = "volume"
    spacing: tuple[float, float, float] | None = None
    frame_size: tuple[int, int] | None = None
    fit: Fit = "stretch"
    contrasts: tuple[str, ...] = ()
    fourth_axis: FourthAxis = "time"
    frame_step: int = 1
    frame_seconds: float | None = None
    intensity: IntensityPlan = field(default_factory=IntensityPlan)

    def __post_init__(self) -> None:
        for name, known in (("kind", ("volume", "clip")), ("fit", FITS)):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name}: {getattr(self, name)!r} is not {' or '.join(known)}")
        if min(self.crop) < 1:
            raise ConfigError(f"crop: three numbers of 1 or more, got {self.crop}")

    def read(self, path: str | Path | Sequence[str | Path]) -> MedicalImage:
        """Read a file, a folder with one DICOM series, or the files of a case's contrasts.

        Raises:
            InputError: as `medjepa.data.read`; contrasts that do not lie on one grid; one file
                where several contrasts are needed.
        """
        paths = [path] if isinstance(path, str | Path) else list(path)
        if len(paths) == 1 and len(self.contrasts) < 2:
            return self._steps.read(str(paths[0]))
        if len(paths) != len(self.contrasts):
            raise InputError(
                str(paths[0]),
                f"{len(self.contrasts) or 1} files are needed "
                f"({', '.join(self.contrasts) or 'one volume'}), got {len(paths)}",
            )
        return read_contrasts(paths, self.contrasts)

    def __call__(self, image: MedicalImage) -> tuple[np.ndarray, np.ndarray]:
        """Turn one volume or clip into float32 (C, *axes) in [0, 1], and its spacing (3,).

        Raises:
            InputError: it is not of the pipeline's kind, has other channels, or is a stack through
                time of several slices.
        """
        clips = self.all(image)
        if len(clips) > 1:
            raise InputError(
                image.source,
                f"a stack of {len(clips)} slices through time: `all` gives a clip each",
            )
        return clips[0]

    def all(self, image: MedicalImage) -> list[tuple[np.ndarray, np.ndarray]]:
        """The same for each slice of a stack through time; of any other image a list of one.

        Raises:
            InputError: it is not of the pipeline's kind, or has other channels.
        """
        stored = self._steps(image)
        if (stored.axes == "zyx") != (self.kind == "volume") or stored.axes == "yx":
            raise InputError(image.source, f"a {self.kind} is needed, its axes are {stored.axes}")
        if not takes_channels(stored.pixels.shape[0], self.channels, self.kind):
            raise InputError(
                image.source, f"{stored.pixels.shape[0]} channels, {self.channels} are needed"
            )
        spacing = known_spacing(stored.axes, stored.spacing)
        if stored.axes != "tzyx":
            return [(match_channels(shown(stored), self.channels, axis=0), spacing)]
        values = match_channels(shown(stored), self.channels, axis=0)
        return [(values[:, :, z], spacing) for z in range(values.shape[2])]

    @property
    def _steps(self) -> VolumeSteps:
        return VolumeSteps(
            intensity=self.intensity,
            spacing=self.spacing,
            frame_size=self.frame_size,
            fit=self.fit,
            fourth_axis=self.fourth_axis,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint or a page; "dimensions" tells it from that of images."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {"dimensions": 3, **values, "intensity": self.intensity.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "VolumePipeline":
        """Build the pipeline that `to_dict` described.

        Raises:
            ConfigError: a value makes no sense, or a step is unknown here.
        """
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
            if name != "dimensions"
        }
        return cls(**{**given, "intensity": IntensityPlan.from_dict(given.get("intensity") or {})})


def takes_channels(present: int, wanted: int, kind: VolumeKind) -> bool:
    """Whether so many channels can be shown as so many: grey as colour, a clip's colour as grey.

    The channels of a volume are contrasts or windows, of which no luminance can be made.
    """
    return (
        present == wanted
        or (present, wanted) == (1, 3)
        or (kind == "clip" and (present, wanted) == (3, 1))
    )


def known_spacing(axes: str, spacing: Sequence[float | None]) -> np.ndarray:
    """float32 (3,) of z, y, x or t, y, x; of a slice of a stack through time t, y, x."""
    steps = [spacing[0], *spacing[2:]] if axes == "tzyx" else list(spacing)
    return np.asarray([np.nan if step is None else step for step in steps], dtype=np.float32)


def shown(stored: StoredVolume) -> np.ndarray:
    """Stored values as float32 in [0, 1], as `VolumeStore.show` does."""
    gain, bias = gain_and_bias(
        *(np.asarray([v]) for v in (stored.scale, stored.offset, *stored.window))
    )
    values = np.multiply(stored.pixels, gain[0], dtype=np.float32)
    values += bias[0]
    return np.asarray(np.clip(values, 0.0, 1.0, out=values))

"""`prepare`: decode every image of a folder once, into a store."""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

from medjepa.data.files import make_private_folder
from medjepa.data.ingest import IngestSettings
from medjepa.data.lock import locked
from medjepa.data.modality import IntensityPlan
from medjepa.data.prepare_job import PrepareJob
from medjepa.data.prepare_report import PrepareReport, Progress
from medjepa.data.private_map import PRIVATE
from medjepa.data.resize import FITS, Fit
from medjepa.data.selection import Selection
from medjepa.data.store_index import is_store
from medjepa.data.store_writer import StoreWriter
from medjepa.data.volume_items import FourthAxis
from medjepa.errors import ConfigError, DataError
from medjepa.types import MODALITIES

__all__ = ["PrepareReport", "Progress", "prepare"]

_SHARD_BYTES = 64 << 20
_FLUSH_SECONDS = 30.0
_FILES_PER_WORKER = 16


def prepare(
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    size: int | tuple[int, int] = 224,
    channels: Literal["auto", 1, 3] = "auto",
    fit: Fit = "stretch",
    dimensions: Literal[2, 3] = 2,
    spacing: Sequence[float] | None = None,
    frames_per_clip: int = 8,
    intensity: str | IntensityPlan = "auto",
    selection: Selection | None = None,
    privacy: Literal["refuse", "allow"] = "refuse",
    modality: str | Sequence[str | None] | None = None,
    table: str | Path | None = None,
    image_column: str | None = None,
    group_column: str | None = None,
    pattern: str | None = None,
    frame_size: int | tuple[int, int] | None = None,
    contrasts: Sequence[str] = (),
    fourth_axis: FourthAxis = "time",
    num_workers: int | None = None,
    timeout_s: float = 120.0,
    shard_bytes: int = _SHARD_BYTES,
    flush_seconds: float = _FLUSH_SECONDS,
    progress: Progress | None = None,
) -> PrepareReport:
    """Decode the images below `sources` (folders, or tables that name files) into the store `out`.

    What the store holds already is not decoded again, and what has gone from a source leaves the
    store. `size` is (H, W) or one number for both; `channels` "auto" keeps grey as 1 and colour as
    3; `pattern` ("*.jpg") chooses files by name; `num_workers=0` decodes in this process.

    With `dimensions=2` a volume gives its slices and a clip at most `frames_per_clip` frames; with
    3 each volume, clip and DICOM series is one item at its own resolution, or at `spacing` (z, y, x
    in mm), and what is no volume is skipped. Volumes are turned so that z, y, x grow to the head,
    the front and the right; files that are label maps by their names and places are left out
    (`pattern` takes them). `frame_size` (H, W) brings the frames of clips to one size; `contrasts`
    (flair, t1, ...) makes one volume of the files of a case that have these words in their names;
    `fourth_axis` says whether the volumes of a 4-D file are moments ("time") or "contrasts".

    `intensity` is "auto" (by the kind of image), a recipe's name, or a plan of a checkpoint.
    `selection` chooses among DICOM files; None leaves out localizers, derived and secondary images.

    Raises:
        ConfigError: a setting makes no sense.
        DataError: `privacy` is "refuse" and a DICOM header identifies its patient; or no image
            could be read, the disk is too full, or `out` holds something else.
    """
    roots = [Path(s) for s in ([sources] if isinstance(sources, str | Path) else sources)]
    selection = selection or Selection()
    plan = intensity if isinstance(intensity, IntensityPlan) else IntensityPlan.named(intensity)
    settings = IngestSettings(
        _pair(size),
        channels,
        fit,
        dimensions,
        _triple(spacing),
        frames_per_clip,
        intensity=replace(plan, modality=None),
        selection=asdict(selection),
        frame_size=None if frame_size is None or dimensions == 2 else _pair(frame_size),
        contrasts=tuple(contrasts) if dimensions == 3 else (),
        fourth_axis=fourth_axis,
    )
    if privacy not in ("refuse", "allow"):
        raise ConfigError(f"privacy: refuse or allow, got {privacy!r}")
    kinds = [kind or plan.modality for kind in _check(roots, settings, modality)]
    out = Path(out)
    _check_out(out)
    make_private_folder(out / PRIVATE)
    with locked(out / PRIVATE / "lock"):
        writer = StoreWriter(out, settings, shard_bytes=shard_bytes, flush_seconds=flush_seconds)
        job = PrepareJob(out, roots, settings, kinds, writer)
        job.survey(
            None if table is None else Path(table),
            image_column=image_column,
            group_column=group_column,
            pattern=pattern,
        )
        num_workers = _default_workers(len(job.units)) if num_workers is None else num_workers
        job.look(
            num_workers,
            timeout_s,
            progress or _silent,
            gate=privacy == "refuse",
            selection=selection,
        )
        job.run(num_workers, timeout_s, progress or _silent)
        return job.finish()


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _triple(spacing: Sequence[float] | None) -> tuple[float, float, float] | None:
    if spacing is None:
        return None
    if len(spacing) != 3 or not all(0 < step < math.inf for step in spacing):
        raise ConfigError(f"data.spacing: [z, y, x] in mm, each above 0, got {list(spacing)}")
    return float(spacing[0]), float(spacing[1]), float(spacing[2])


def _check(
    roots: list[Path], settings: IngestSettings, modality: str | Sequence[str | None] | None
) -> list[str | None]:
    if not roots:
        raise ConfigError("data: name at least one folder of images")
    missing = [str(root) for root in roots if not root.exists()]
    if missing:
        raise DataError(f"{missing[0]}: no such folder")
    if min(settings.size) < 1:
        raise ConfigError(f"data.size: at least 1 pixel, got {settings.size}")
    if settings.dimensions not in (2, 3):
        raise ConfigError(f"data.dimensions: 2 or 3, got {settings.dimensions!r}")
    if settings.frames_per_clip < 0:
        raise ConfigError(f"data.frames_per_clip: 0 or more, got {settings.frames_per_clip}")
    if settings.channels not in ("auto", 1, 3):
        raise ConfigError(f"data.channels: auto, 1 or 3, got {settings.channels!r}")
    if settings.fit not in FITS:
        raise ConfigError(f"data.fit: {' or '.join(FITS)}, got {settings.fit!r}")
    kinds: list[str | None] = (
        [modality] * len(roots) if modality is None or isinstance(modality, str) else list(modality)
    )
    if len(kinds) != len(roots):
        raise ConfigError(f"data.modality names {len(kinds)} kinds for {len(roots)} sources")
    for kind in kinds:
        if kind is not None and kind not in MODALITIES:
            raise ConfigError(f"data.modality: {kind!r} is unknown; one of {', '.join(MODALITIES)}")
    return kinds


def _check_out(out: Path) -> None:
    if out.is_dir() and not is_store(out):
        # An interrupted first run leaves shards, a private folder, and no index yet.
        alien = [
            path.name
            for path in out.iterdir()
            if path.name != PRIVATE and not path.name.startswith((".", "shard-"))
        ]
        if alien:
            raise DataError(f"{out}: this folder holds other things ({alien[0]}); choose a new one")
    elif out.exists() and not out.is_dir():
        raise DataError(f"{out}: a file, not a folder; choose another out=")


def _default_workers(num_files: int) -> int:
    available = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, min(available, -(-num_files // _FILES_PER_WORKER)))


@contextmanager
def _silent(description: str, total: int) -> Iterator[Callable[[int], object]]:
    yield lambda count: None

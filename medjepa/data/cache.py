"""Raw folders become stores in a cache, so that every command takes either."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from medjepa.data.files import make_private_folder
from medjepa.data.modality import IntensityPlan
from medjepa.data.preparation import prepare
from medjepa.data.prepare_report import PrepareReport, Progress
from medjepa.data.resize import Fit
from medjepa.data.selection import Selection
from medjepa.data.store import Store, open_store
from medjepa.data.store_index import VERSION, is_store
from medjepa.errors import ConfigError, DataError

KEPT = "kept"
"""Folder of the cache in which evaluations keep features and scores."""


def ensure_store(
    data: str | Path | Sequence[str | Path],
    *,
    size: int | tuple[int, int],
    channels: Literal["auto", 1, 3] = "auto",
    fit: Fit = "stretch",
    frames_per_clip: int = 8,
    intensity: str | IntensityPlan = "auto",
    selection: Selection | None = None,
    privacy: Literal["refuse", "allow"] = "refuse",
    modality: str | Sequence[str | None] | None = None,
    table: str | Path | None = None,
    image_column: str | None = None,
    group_column: str | None = None,
    pattern: str | None = None,
    cache_dir: str | Path | None = None,
    num_workers: int | None = None,
    progress: Progress | None = None,
    reports: list[PrepareReport] | None = None,
) -> list[Store]:
    """Open each source that is a store, and prepare each that is a folder or a table.

    The cache has one store for each source and setting; what is in it and has not changed (path,
    size and time; else by content) is not decoded again. `reports` collects what was prepared.

    Raises:
        ConfigError: a setting makes no sense.
        DataError: a source does not exist, holds no readable image, or identifies a patient.
    """
    sources = [Path(d) for d in ([data] if isinstance(data, str | Path) else data)]
    plan = intensity if isinstance(intensity, IntensityPlan) else IntensityPlan.named(intensity)
    selection = selection or Selection()
    kinds = per_source(modality, sources)
    stores = []
    for source, kind in zip(sources, kinds, strict=True):
        if is_store(source):
            stores.append(open_store(source))
            continue
        if not source.exists():
            raise DataError(f"{source}: no such folder, table or store (data=)")
        pair = [size, size] if isinstance(size, int) else [int(n) for n in size]
        settings = [
            VERSION, str(source.resolve()), pair, str(channels), fit, str(pattern),
            frames_per_clip, plan.to_dict(), asdict(selection), kind,
        ]  # fmt: skip
        name = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
        root = open_cache(cache_dir)
        report = prepare(
            source,
            root / "stores" / name,
            size=size,
            channels=channels,
            fit=fit,
            frames_per_clip=frames_per_clip,
            intensity=plan,
            selection=selection,
            privacy=privacy,
            modality=kind,
            table=table,
            image_column=image_column,
            group_column=group_column,
            pattern=pattern,
            num_workers=num_workers,
            progress=progress,
        )
        if reports is not None:
            reports.append(report)
        stores.append(open_store(report.out))
    return stores


def per_source(
    modality: str | Sequence[str | None] | None, sources: Sequence[Path]
) -> list[str | None]:
    """Give each source its kind of image.

    Raises:
        ConfigError: another number of kinds than sources.
    """
    if modality is None or isinstance(modality, str):
        return [modality] * len(sources)
    if len(modality) != len(sources):
        raise ConfigError(f"data.modality names {len(modality)} kinds for {len(sources)} sources")
    return list(modality)


def forget_kept(cache: Path) -> None:
    """Delete what evaluations keep in a cache: features are of patients."""
    if (cache / KEPT).is_dir():
        shutil.rmtree(cache / KEPT)


def open_cache(cache_dir: str | Path | None) -> Path:
    """Make the cache's folder, for its owner alone, if it is missing; returns it.

    Raises:
        DataError: it cannot be made.
    """
    root = default_cache() if cache_dir is None else Path(cache_dir)
    try:
        make_private_folder(root / "stores")
    except DataError as error:
        raise DataError(
            f"{error}. Images are prepared in a cache: data.cache_dir=FOLDER, or the variable "
            "MEDJEPA_CACHE, takes it elsewhere; so does `medjepa prepare data=... out=STORE`"
        ) from error
    return root


def default_cache() -> Path:
    """The folder that this system gives to caches; MEDJEPA_CACHE overrides it."""
    override = os.environ.get("MEDJEPA_CACHE")
    if override:
        return Path(override)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "medjepa"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "medjepa"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "medjepa"

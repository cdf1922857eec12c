"""Folders of volumes and clips become stores in a cache, as `ensure_store` does with images."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from medjepa.data.cache import open_cache, per_source
from medjepa.data.modality import IntensityPlan
from medjepa.data.preparation import prepare
from medjepa.data.prepare_report import PrepareReport, Progress
from medjepa.data.resize import Fit
from medjepa.data.selection import Selection
from medjepa.data.store_index import VERSION, is_store
from medjepa.data.volume_items import FourthAxis
from medjepa.data.volume_store import VolumeStore, open_volumes
from medjepa.errors import DataError


def ensure_volumes(
    data: str | Path | Sequence[str | Path],
    *,
    spacing: Sequence[float] | None = None,
    frame_size: tuple[int, int] | None = None,
    fit: Fit = "stretch",
    contrasts: Sequence[str] = (),
    fourth_axis: FourthAxis = "time",
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
) -> list[VolumeStore]:
    """Open each source that is a store of volumes, and prepare each that is a folder or a table.

    The settings are those of `prepare` with `dimensions=3`; `reports` collects what was prepared.

    Raises:
        ConfigError: a setting makes no sense.
        DataError: a source does not exist, holds no readable volume, or identifies a patient; or a
            store was made with other settings than those asked for here.
    """
    sources = [Path(d) for d in ([data] if isinstance(data, str | Path) else data)]
    plan = intensity if isinstance(intensity, IntensityPlan) else IntensityPlan.named(intensity)
    selection = selection or Selection()
    stores = []
    for source, kind in zip(sources, per_source(modality, sources), strict=True):
        if is_store(source):
            stores.append(open_volumes(source))
            continue
        if not source.exists():
            raise DataError(f"{source}: no such folder, table or store (data=)")
        settings = [
            VERSION, 3, str(source.resolve()), spacing and list(spacing), frame_size, fit,
            list(contrasts), fourth_axis, str(pattern), plan.to_dict(), asdict(selection), kind,
        ]  # fmt: skip
        name = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
        root = open_cache(cache_dir)
        report = prepare(
            source,
            root / "stores" / name,
            dimensions=3,
            spacing=spacing,
            frame_size=frame_size,
            fit=fit,
            contrasts=contrasts,
            fourth_axis=fourth_axis,
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
        stores.append(open_volumes(report.out))
    return stores

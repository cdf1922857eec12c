"""`medjepa prepare`: a folder of images in, a store that is read fast out."""

import os
from collections.abc import Sequence
from pathlib import Path

from medjepa.config import Config, help_text, load_config
from medjepa.config.load import parse_overrides, read_yaml
from medjepa.data.prepare_report import PrepareReport
from medjepa.errors import ConfigError

USAGE = """\
usage: medjepa prepare data=FOLDER out=STORE [data.target_size=224] [key=value ...]

Decodes every image below FOLDER once, at the working resolution: PNG, JPEG, TIFF, DICOM, NIfTI
(each axial slice), clips (some frames) and .npy; data.dimensions=3 keeps volumes and clips whole,
the frames of clips at data.target_size if that is given (or with model.kind=clip). A video that
does not fit into memory needs it.
Again with the same `out`, only new files are decoded. DICOM whose header identifies its patient
is refused (privacy=allow takes it); localizers, derived and secondary images are left out
(data.kinds). Nothing but OUT/private says which file or patient an image is: keep that folder to
yourself.
Exit status 1: some files could not be read; they are named, the rest is done.

Settings and their defaults (data= is short for data.data_dir=):"""
KEYS = (
    "out", "privacy", "data.data_dir", "data.target_size", "data.fit", "data.modality",
    "data.intensity", "data.dimensions", "data.spacing", "data.frames_per_clip", "data.contrasts",
    "data.fourth_axis", "model.kind", "data.pattern",
    "data.kinds", "data.select_modality", "data.view", "data.body_part", "data.series_kind",
    "data.table", "data.image_column", "data.group_column", "data.num_workers",
    "data.seconds_per_file",
)  # fmt: skip
_NUM_NAMED = 10


def run(arguments: list[str]) -> int:
    """Run the verb; returns the exit status."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(help_text(USAGE, KEYS))
        return 0
    files = [argument for argument in arguments if "=" not in argument]
    if len(files) > 1:
        raise ConfigError(f"the command line: one settings file, got {' and '.join(files)}")
    overrides = [argument for argument in arguments if "=" in argument]
    config = load_config(Path(files[0]) if files else None, overrides)
    if not config.data.sources or not config.out:
        raise ConfigError("prepare needs data=FOLDER (what to read) and out=STORE (what to write)")
    report = _prepare(config, _frame_size(config, files, overrides))
    print(summary(report, "images" if config.data.dimensions == 2 else "volumes and clips"))
    return 1 if report.failed else 0


def summary(report: PrepareReport, noun: str = "images") -> str:
    """What became of the files, for the terminal; `noun` is what the store holds."""
    lines = [
        f"{report.found} files found: {report.good} good ({report.num_known} known before), "
        f"{report.skipped} skipped, {report.failed} failed",
        *(f"  skipped {count}: {reason}" for reason, count in sorted(report.skips.items())),
        *_named("failed", report.failures, report.out),
        *_named("doubtful", report.doubts, None),
    ]
    if report.num_constant_slices:
        lines.append(f"  {report.num_constant_slices} constant slices of volumes left out")
    if report.num_dropped:
        lines.append(f"  {report.num_dropped} images taken out: their file is gone or has changed")
    lines += [f"intensity of {line}" for line in report.intensity]
    if any(line.startswith("generic:") for line in report.intensity):
        lines.append("  no header says what kind: data.modality=ct (xray, mri, ...) does")
    lines += [_patients(report), f"{report.num_images} {noun} in {report.out}"]
    if report.num_decoded:
        lines.append(f"{report.num_decoded} files read at {report.files_per_second:.0f} a second")
    return "\n".join(lines)


def _frame_size(
    config: Config, files: Sequence[str], overrides: Sequence[str]
) -> tuple[int, int] | None:
    """(H, W) of clips' frames where somebody asked for a size: none is taken from its default."""
    given = set(parse_overrides(overrides)).union(*(read_yaml(Path(file)) for file in files))
    is_asked = config.model.kind == "clip" or "data.target_size" in given
    if config.data.dimensions == 2 or not is_asked:
        return None
    size = config.data.target_size
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _prepare(config: Config, frame_size: tuple[int, int] | None) -> PrepareReport:
    from medjepa.data.preparation import prepare
    from medjepa.data.selection import selection_of
    from medjepa.utils.progress import progress

    return prepare(
        config.data.sources,
        config.out,
        size=config.data.target_size,
        fit=config.data.fit,
        dimensions=config.data.dimensions,
        spacing=config.data.spacing or None,
        frames_per_clip=config.data.frames_per_clip,
        frame_size=frame_size,
        contrasts=config.data.contrasts,
        fourth_axis=config.data.fourth_axis,
        intensity=config.data.intensity,
        selection=selection_of(config.data),
        privacy=config.privacy,
        modality=config.data.kinds_of_image,
        pattern=config.data.pattern,
        table=config.data.table,
        image_column=config.data.image_column,
        group_column=config.data.one_group_column,
        timeout_s=config.data.seconds_per_file,
        num_workers=min(config.data.num_workers, os.cpu_count() or 1),
        progress=progress,
    )


def _named(word: str, entries: list[tuple[str, str]], out: Path | None) -> list[str]:
    lines = [f"  {word}: {path}: {reason}" for path, reason in entries[:_NUM_NAMED]]
    if len(entries) > _NUM_NAMED:
        rest = f"  ... and {len(entries) - _NUM_NAMED} more {word}"
        lines.append(rest + (f", all in {out / 'private' / 'failures.json'}" if out else ""))
    return lines


def _patients(report: PrepareReport) -> str:
    if report.grouped == "table":
        where = ", ".join(f"column {column!r} of {table}" for table, column in report.group_columns)
        return f"patients: {report.num_groups} by {where}"
    if report.grouped == "header":
        return f"patients: {report.num_groups} by the files' own headers"
    return "patients: unknown, images count as independent; name a column with data.group_column="

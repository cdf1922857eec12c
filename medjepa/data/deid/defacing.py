"""Faces taken out of head volumes by an installed tool, one series at a time.

The tool sees the volume as NIfTI and sets to zero what it removes; of its answer only that is used,
so the other values stay as they were measured.
"""

import shlex
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from medjepa.data.decode import read
from medjepa.data.decode.dicom_header import read_dataset
from medjepa.data.decode.dicom_library import errors, pydicom
from medjepa.data.decode.series import group_series, read_slices
from medjepa.data.deid.identity import Quarantined
from medjepa.data.deid.pixels.rewrite import store_uncompressed
from medjepa.data.deid.single import written
from medjepa.data.files import PRIVATE_FILE_MODE, make_private_folder, write_atomic
from medjepa.errors import ConfigError, InputError, InputWarning
from medjepa.types import MedicalImage

TOOLS = {
    "pydeface": "pydeface {input} --outfile {output} --force",
    "fsl_deface": "fsl_deface {input} {output}",
}
"""Command lines of known tools; any other is given as such a line itself."""
_SECONDS = 3600
_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


def command_of(tool: str) -> list[str]:
    """The tool's command line, not yet filled in.

    Raises:
        ConfigError: it lacks {input} or {output}, or the program is not installed.
    """
    line = TOOLS.get(tool, tool)
    parts = shlex.split(line)
    if not all(any(place in part for part in parts) for place in ("{input}", "{output}")):
        raise ConfigError(
            f"clean_faces={tool}: {', '.join(TOOLS)}, or a command line with {{input}} and "
            "{output}, both NIfTI files"
        )
    if shutil.which(parts[0]) is None:
        raise ConfigError(f"clean_faces: there is no program {parts[0]} here; install it first")
    return parts


def remove_face(paths: Sequence[Path], tool: str, into: Path) -> None:
    """Write the files of one series without the face, under the same names into another folder.

    Raises:
        Quarantined: they make no volume, or the tool failed or removed nothing.
    """
    command = command_of(tool)
    series = group_series(paths)
    if len(series) != 1 or series[0].problems:
        problem = series[0].problems[0] if len(series) == 1 else f"{len(series)} series"
        raise Quarantined(f"its face cannot be removed: no whole volume ({problem})")
    ordered = series[0].paths
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            volume = read_slices(ordered)
            if volume.axes != "zyx" or volume.array.shape[1] != len(ordered):
                raise Quarantined("its face cannot be removed: no volume of single slices")
            removed = _removed(volume, command)
            _check_order(volume, ordered)
            cleaned = _blanked(ordered, removed)
    except InputError as error:
        raise Quarantined(f"its face cannot be removed: {error.reason}") from error
    except errors() as error:
        raise Quarantined(f"its face cannot be removed ({type(error).__name__})") from error
    make_private_folder(into)
    for path, content in cleaned.items():
        write_atomic(into / path.name, content, mode=PRIVATE_FILE_MODE)


def affine_of(volume: MedicalImage) -> np.ndarray:
    """Voxel (x, y, z) to millimetres in RAS, as NIfTI counts; (4, 4).

    Raises:
        Quarantined: the volume does not say where it lies.
    """
    if volume.directions is None or volume.position is None or None in volume.spacing:
        raise Quarantined("its face cannot be removed: the header does not say where it lies")
    affine = np.eye(4)
    for column, (direction, step) in enumerate(
        zip(volume.directions[::-1], volume.spacing[::-1], strict=True)
    ):
        affine[:3, column] = np.asarray(direction) * _LPS_TO_RAS * float(step or 0)
    affine[:3, 3] = np.asarray(volume.position) * _LPS_TO_RAS
    return affine


def _removed(volume: MedicalImage, command: list[str]) -> np.ndarray:
    """(Z, Y, X): where the tool has made zeros."""
    # CT has air at -1000: a tool takes zero for nothing, so the least value becomes zero.
    values = volume.array[0].astype(np.float32)
    values -= values.min()
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "input.nii.gz", Path(folder) / "output.nii.gz"
        given: Any = nib.Nifti1Image(values.transpose(2, 1, 0), affine_of(volume))  # type: ignore[no-untyped-call]
        nib.save(given, before)
        filled = [part.format(input=before, output=after) for part in command]
        try:
            subprocess.run(filled, check=True, capture_output=True, timeout=_SECONDS)  # noqa: S603
            answer = read(str(after))
            loaded: Any = nib.load(after)
            result = np.asarray(loaded.dataobj)  # in the input's own order of axes
        except (OSError, subprocess.SubprocessError, InputError) as error:
            raise Quarantined(
                f"its face cannot be removed: {command[0]} failed ({type(error).__name__})"
            ) from error
    result = np.squeeze(result)
    if result.shape != values.shape[::-1] or answer.array.size != values.size:
        raise Quarantined(f"its face cannot be removed: {command[0]} gave another size")
    removed: np.ndarray = (result.transpose(2, 1, 0) == 0) & (values > 0)
    if not removed.any():
        raise Quarantined(f"its face cannot be removed: {command[0]} found none")
    return removed


def _check_order(volume: MedicalImage, paths: Sequence[str]) -> None:
    """The slices lie in the volume as in their files, or the wrong pixels would go."""
    for number, path in enumerate(paths):
        if not np.array_equal(read(path).array[0], volume.array[0, number]):
            raise Quarantined("its face cannot be removed: its slices are stored another way")


def _blanked(paths: Sequence[str], removed: np.ndarray) -> dict[Path, bytes]:
    datasets = [read_dataset(path) for path in paths]
    pixels = [np.array(pydicom().pixels.pixel_array(data, raw=True)) for data in datasets]
    inverse = datasets[0].PhotometricInterpretation == "MONOCHROME1"
    fill = max(p.max() for p in pixels) if inverse else min(p.min() for p in pixels)
    cleaned = {}
    for path, data, values, mask in zip(paths, datasets, pixels, removed, strict=True):
        if mask.any():
            values[mask] = fill
            store_uncompressed(data, values)
        cleaned[Path(path)] = written(data)
    return cleaned

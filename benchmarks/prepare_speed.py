"""Does `prepare` keep every core busy, and how many files a second does it take in?

    python benchmarks/prepare_speed.py [--count 2000] [--workers 2] [FOLDER]

Without FOLDER, grey JPEGs of 512 x 512 and DICOM of 256 x 256 are written, half each. In turns:
a plain loop in one process that reads, resizes and keeps (no hash, no store, no limits), `prepare`
in this process, and `prepare` with decoding processes. "busy" is processor time, of this process
and its children, divided by the time on the clock: what other programs take is missing from it.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from worker_speed import write_dicom

from medjepa.data import MedicalImagePreprocessor, prepare

REPEATS = 3
SIZE = 64


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        folder = arguments.folder or made_files(root / "files", arguments.count)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        runs: dict[str, Callable[[Path], object]] = {
            "plain loop": lambda out: plain_loop(paths),
            "prepare, here": lambda out: prepare(folder, out, size=SIZE, num_workers=0),
            f"prepare, {arguments.workers} processes": lambda out: prepare(
                folder, out, size=SIZE, num_workers=arguments.workers
            ),
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for turn in range(REPEATS):
            for number, (name, run) in enumerate(runs.items()):
                taken[name].append(timed(run, root / f"store{turn}-{number}"))
        print(f"{len(paths)} files, median of {REPEATS} turns")
        print("                        files a second   busy cores   ms of processor a file")
        for name, turns in taken.items():
            clock, processor = (float(np.median(column)) for column in zip(*turns, strict=True))
            print(
                f"{name:<22}  {len(paths) / clock:>14,.0f}   {processor / clock:>10.2f}"
                f"   {processor / len(paths) * 1e3:>22.2f}"
            )


def timed(run: Callable[[Path], object], out: Path) -> tuple[float, float]:
    """Seconds on the clock, and of processors in this process and its children."""
    before, begin = _processor_seconds(), time.perf_counter()
    run(out)
    return time.perf_counter() - begin, _processor_seconds() - before


def plain_loop(paths: list[Path]) -> np.ndarray:
    """What a script would do: read and resize every file, one after another."""
    preprocess = MedicalImagePreprocessor(target_size=(SIZE, SIZE)).preprocess
    return np.stack([preprocess(path) for path in paths])


def made_files(folder: Path, count: int) -> Path:
    """Write half JPEG, half DICOM."""
    folder.mkdir()
    rows = np.arange(512, dtype=np.float64)
    for number in range(count - count // 2):
        waves = np.sin(rows[:, None] / (5 + number % 17)) * np.cos(rows / (3 + number % 29))
        pixels = (127 + 120 * waves).astype(np.uint8)
        pixels[0, :2] = divmod(number, 256)  # no two are equal
        Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=90)
    write_dicom(folder / "dicom", count // 2, side=256, PatientIdentityRemoved="YES")
    return folder


def _processor_seconds() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in usage)


if __name__ == "__main__":
    main()

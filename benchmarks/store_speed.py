"""How fast are images prepared, and read back from a store?

    python benchmarks/store_speed.py [FOLDER]

Without FOLDER, 2,000 noise images are written first. Reading is measured warm, in one process, as
random batches of 256 with collation, because that is what training does; processor time, because
other programs must not matter.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from medjepa.data import StoreDataset, collate, open_store, prepare

BATCH_SIZE = 256
SECONDS = 5.0


def main() -> None:
    """Prepare at 64 pixels, read for a few seconds, print both rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or noise_images(Path(temporary) / "images", 2000)
        begin = time.perf_counter()
        report = prepare(folder, Path(temporary) / "store", size=64)
        seconds = time.perf_counter() - begin
        rate = report.found / seconds
        print(f"prepare: {report.found} files in {seconds:.1f} s, {rate:.0f} a second")
        for channels in (1, 3):
            dataset = StoreDataset(open_store(report.out), channels=channels)
            print(f"read, {channels} channel(s): {reading_rate(dataset):,.0f} images a second")


def noise_images(folder: Path, count: int) -> Path:
    """Write grey 224 x 224 PNGs."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 256, (224, 224), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png", compress_level=1)
    return folder


def reading_rate(dataset: StoreDataset) -> float:
    """Random images a second of processor time, after one warm pass."""
    collate(dataset.__getitems__(range(len(dataset))))
    rng, num_read, begin = np.random.default_rng(0), 0, time.process_time()
    while time.process_time() - begin < SECONDS:
        collate(dataset.__getitems__(rng.integers(0, len(dataset), BATCH_SIZE).tolist()))
        num_read += BATCH_SIZE
    return num_read / (time.process_time() - begin)


if __name__ == "__main__":
    main()

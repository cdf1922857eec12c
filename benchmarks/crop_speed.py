"""Is a crop of a volume read without the volume, and how should a volume lie on the disk?

    python benchmarks/crop_speed.py [--side 384]

One int16 volume of side^3 voxels is prepared; random crops of several sizes are read through the
store as it is (rows one after another) and from a copy in bricks of 32^3, warm and cold (the file's
pages dropped from the system's cache before each crop). "touched" is what the system read from the
file for one cold crop, by the pages that are resident afterwards.
"""

import argparse
import ctypes
import mmap
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from medjepa.data import VolumeStore, open_volumes, prepare

BRICK = 32
REPEATS = 12


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=384)
    side = parser.parse_args().side
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as temporary:
        folder = Path(temporary)
        volume = np.random.default_rng(0).integers(-1000, 1000, (side,) * 3, np.int16)
        (folder / "in").mkdir()
        np.save(folder / "in" / "volume.npy", volume)
        store = open_volumes(prepare(folder / "in", folder / "store", dimensions=3).out)
        bricks = write_bricks(folder / "bricks.bin", volume)
        megabytes = volume.nbytes / 2**20
        shard = store.path / store.shards[0].name
        whole = timed(lambda start: store.read(0), side, 1, shard)
        print(f"volume {side}^3 int16, {megabytes:.0f} MiB; whole, warm: {whole[0] * 1e3:.1f} ms, ")
        print(f"cold: {whole[1] * 1e3:.0f} ms")
        print("crop    layout   warm ms   cold ms   touched MiB   whole/crop, warm")
        for size in (32, 64, 128):
            for name, read, path in (
                ("rows", crop_of_rows(store, size), shard),
                ("bricks", crop_of_bricks(bricks, size), folder / "bricks.bin"),
            ):
                warm, cold, touched = timed(read, side, size, path)
                print(
                    f"{size:>3}^3   {name:<7} {warm * 1e3:>8.2f}  {cold * 1e3:>8.2f}"
                    f"  {touched / 2**20:>12.2f}   {whole[0] / warm:>10.0f}"
                )


def crop_of_rows(store: VolumeStore, size: int) -> Callable[[tuple[int, ...]], np.ndarray]:
    """Read through the store."""
    return lambda start: store.read_crop(0, start, (size,) * 3)


def write_bricks(path: Path, volume: np.ndarray) -> np.ndarray:
    """Write bricks of 32^3 one after another; returns them as (z, y, x, 32, 32, 32), mapped."""
    counts = tuple(-(-n // BRICK) for n in volume.shape)
    padded = np.zeros([n * BRICK for n in counts], volume.dtype)
    padded[tuple(slice(n) for n in volume.shape)] = volume
    split = padded.reshape(counts[0], BRICK, counts[1], BRICK, counts[2], BRICK)
    np.ascontiguousarray(split.transpose(0, 2, 4, 1, 3, 5)).tofile(path)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, volume.dtype).reshape(*counts, BRICK, BRICK, BRICK)


def crop_of_bricks(bricks: np.ndarray, size: int) -> Callable[[tuple[int, ...]], np.ndarray]:
    """Read the bricks that the crop meets, and cut."""

    def read(start: tuple[int, ...]) -> np.ndarray:
        first = [s // BRICK for s in start]
        last = [-(-(s + size) // BRICK) for s in start]
        met = bricks[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
        z, y, x = (b - a for a, b in zip(first, last, strict=True))
        joined = met.transpose(0, 3, 1, 4, 2, 5).reshape(z * BRICK, y * BRICK, x * BRICK)
        inner = tuple(
            slice(s - a * BRICK, s - a * BRICK + size) for s, a in zip(start, first, strict=True)
        )
        return np.array(joined[inner])

    return read


def timed(
    read: Callable[[tuple[int, ...]], np.ndarray], side: int, size: int, path: Path
) -> tuple[float, float, float]:
    """Median seconds warm and cold, and median bytes touched, of random crops."""
    rng = np.random.default_rng(0)
    starts = [tuple(int(n) for n in rng.integers(0, side - size + 1, 3)) for _ in range(REPEATS)]
    cold, touched = [], []
    for start in starts:
        drop_pages(path)
        begin = time.perf_counter()
        read(start)
        cold.append(time.perf_counter() - begin)
        touched.append(resident_bytes(path))
    warm = []
    for start in starts * 3:
        read(start)
        begin = time.perf_counter()
        read(start)
        warm.append(time.perf_counter() - begin)
    return float(np.median(warm)), float(np.median(cold)), float(np.median(touched))


def drop_pages(path: Path) -> None:
    """Ask the system to forget the file's pages; those mapped by this process are unmapped."""
    libc = ctypes.CDLL(None, use_errno=True)
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(str(path)):
            begin, end = (int(n, 16) for n in line.split()[0].split("-"))
            libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), 4)  # MADV_DONTNEED
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def resident_bytes(path: Path) -> int:
    """Bytes of a file that are in the system's cache."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    size = path.stat().st_size
    num_pages = -(-size // mmap.PAGESIZE)
    flags = (ctypes.c_ubyte * num_pages)()
    with path.open("rb") as file:
        address = libc.mmap(None, ctypes.c_size_t(size), 1, 1, file.fileno(), ctypes.c_long(0))
        libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), flags)
        libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
    return sum(flag & 1 for flag in flags) * mmap.PAGESIZE


if __name__ == "__main__":
    main()

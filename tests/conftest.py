"""What all tests share: one thread, and real data where it lies beside the checkout."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

# Before torch is imported: OpenMP reads it once. Two test processes with two threads each fight.
os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return the folder of a real data set by name; without it the test is skipped by that name."""
    root = Path(os.environ.get("MEDJEPA_DATA", ROOT.parent / "shared" / "data"))

    def find(name: str) -> Path:
        if not (root / name).is_dir():
            pytest.skip(f"no real data {name!r}: set MEDJEPA_DATA to the folder that has it")
        return root / name

    return find

"""Images of another folder that are images of the evaluation itself.

Legend: N images of the evaluation, M of the other folder.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medjepa.evaluation.task import Task


def overlap_warning(
    task: Task,
    own: tuple[Sequence[str], NDArray[np.float32]],
    others: tuple[Sequence[str], NDArray[np.float32]],
) -> str:
    """Say how many of the other images are training or test images; "" if none is.

    Args:
        task: training and test part.
        own: (N,) hashes of the files' contents, and (N, P) small pictures in [0, 1].
        others: the same of the other folder's, (M,) and (M, P).
    """
    counts = {
        name: _num_in(others, own, part)
        for name, part in (("test", task.test), ("training", task.train))
    }
    if not any(counts.values()):
        return ""
    both = " and ".join(f"{num:,} ({name} part)" for name, num in counts.items() if num)
    return (
        f"evaluation.ood: of the {len(others[0]):,} images of that folder {both} are of this very "
        "evaluation (the same file or the same picture): its AUROC means nothing. Take a folder "
        "without them."
    )


def _num_in(
    others: tuple[Sequence[str], NDArray[np.float32]],
    own: tuple[Sequence[str], NDArray[np.float32]],
    part: NDArray[np.int64],
) -> int:
    keys = {own[0][i] for i in part}
    pictures = set(_hashes(own[1][part]))
    pairs = zip(others[0], _hashes(others[1]), strict=True)
    return sum(key in keys or picture in pictures for key, picture in pairs)


def _hashes(small: NDArray[np.float32]) -> list[str]:
    """Of pictures in 256 grey values: the same picture in another file has the same one."""
    return [hashlib.sha256(row.tobytes()).hexdigest() for row in np.rint(small * 255)]

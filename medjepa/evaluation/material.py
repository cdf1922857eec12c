"""What an evaluation is computed from, once images, volumes or clips have been embedded."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medjepa.data.altered import Altered
from medjepa.data.store import Store
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import DataError
from medjepa.evaluation.labelled_data import LabelledImages
from medjepa.evaluation.metrics import Integers

MOST_TOKEN_BYTES = 4 << 30


@dataclass(frozen=True, kw_only=True)
class Material:
    """Labels and features of N images, volumes or videos.

    Attributes:
        stores: where they lie.
        labelled: labels and splits.
        arrays: name of the features -> (N, D).
        tokens: name of the features -> (N, T, D) in half precision; empty where none are asked.
        pictures: (N,) hashes; the same picture in another file has the same one.
        prints: (N, D) fingerprints, to find copies by.
        altered: of images, the fingerprints to find cropped and marked copies by.
        num_clips: (N,) how many windows or clips an embedding is the mean of; None for images.
        notes: what the reader should know.
        facts: for the record.
    """

    stores: Sequence[Store] | Sequence[VolumeStore]
    labelled: LabelledImages
    arrays: dict[str, NDArray[np.float32]]
    tokens: dict[str, NDArray[Any]]
    pictures: Sequence[str]
    prints: NDArray[np.float32]
    altered: Altered | None = None
    num_clips: Integers | None = None
    notes: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)


def check_tokens(num: int, num_tokens: int, width: int, num_encoders: int) -> None:
    """Refuse tokens that would not fit into memory.

    Raises:
        DataError: says how much they need.
    """
    num_bytes = 2 * num * num_tokens * width * num_encoders
    if num_bytes > MOST_TOKEN_BYTES:
        raise DataError(
            f"evaluation.attentive: the tokens of {num:,} images need {num_bytes / 2**30:.1f} GB, "
            f"at most {MOST_TOKEN_BYTES >> 30} GB are taken; use fewer images, or fewer "
            "evaluation.clips"
        )

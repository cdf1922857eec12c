"""What is looked for before anything is measured: patients or images on both sides."""

from collections.abc import Collection, Sequence

import numpy as np

from medjepa.errors import DataError
from medjepa.evaluation.metrics import Integers
from medjepa.evaluation.protocol import Task
from medjepa.evaluation.results import Check


def check_patients(task: Task) -> Check:
    """No patient may be in training and in test.

    Raises:
        DataError: some are; the first few are named.
    """
    train, test = task.train_groups, task.test_groups
    if train is None or test is None:
        return Check(
            passed=None,
            text="Patients are not known (no group column): images count as independent, "
            "intervals are too narrow, and one patient may be on both sides.",
        )
    crossing = sorted(set(train) & set(test))
    if crossing:
        first = ", ".join(crossing[:5]) + (", ..." if len(crossing) > 5 else "")
        raise DataError(
            f"{len(crossing)} groups are in both the training and the test part ({first}): "
            "the test would reward recognising patients. Correct the split column, or leave "
            "split= out and a split by patient is made."
        )
    return Check(
        passed=True,
        text=f"No patient is on both sides: {len(set(train)):,} in training, "
        f"{len(set(test)):,} in the test part.",
    )


def drop_copies(keys: Sequence[str], train: Integers, test: Integers) -> tuple[Integers, Check]:
    """Leave training images out whose content is that of a test image.

    Args:
        keys: (N,) hashes of the images' contents.
        train: indices of the training images.
        test: indices of the test images.

    Returns:
        The training images that stay, and what was found.
    """
    tested = {keys[i] for i in test}
    copied = np.array([keys[i] in tested for i in train], dtype=bool)
    if not copied.any():
        return train, Check(passed=True, text="No image is on both sides (contents compared).")
    return train[~copied], Check(
        passed=False,
        text=f"{int(copied.sum()):,} training images were identical to a test image: "
        "they were left out of the training part.",
    )


def check_pretraining(
    keys: Sequence[str], test: Integers, pretraining_keys: Collection[str] | None
) -> Check:
    """Say whether pre-training has seen the test images (without labels).

    Args:
        keys: (N,) hashes of the images' contents.
        test: indices of the test images.
        pretraining_keys: hashes that the run recorded; None if it recorded none.
    """
    if pretraining_keys is None:
        return Check(
            passed=None,
            text="Not known whether pre-training used the test images (the run holds no record).",
        )
    known = set(pretraining_keys)
    seen = sum(1 for i in test if keys[i] in known)
    if seen == 0:
        return Check(
            passed=True,
            text=f"None of the test images was among the {len(known):,} that pre-training used.",
        )
    return Check(
        passed=False,
        text=f"Pre-training used {seen:,} of the {len(test):,} test images (without their labels): "
        "on images of new patients the encoder may do less well.",
    )

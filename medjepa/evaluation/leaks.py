"""What is looked for before anything is measured: patients or images on both sides."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from medjepa.data.altered import Altered, altered_pairs
from medjepa.data.duplicates import all_near_pairs
from medjepa.errors import DataError
from medjepa.evaluation.metrics import Integers
from medjepa.evaluation.pretraining_images import PretrainingImages
from medjepa.evaluation.results import Check
from medjepa.evaluation.task import Task


def check_splits(
    tasks: Sequence[Task],
    pictures: Sequence[str],
    prints: np.ndarray,
    keys: Sequence[str],
    used: Collection[str] | None,
    before: PretrainingImages | None = None,
    num_in_both: int = 0,
    altered: Altered | None = None,
) -> tuple[list[Task], list[Check], list[tuple[int, int]]]:
    """Look for leaks in every split.

    Args:
        tasks: splits of the same images.
        pictures: (N,) hashes of what the images show.
        prints: (N, D) fingerprints.
        keys: (N,) hashes of the images' files.
        used: hashes of the files that pre-training recorded; None if it recorded none.
        before: those images of pre-training that are still here.
        num_in_both: files that a given split puts into the test and elsewhere.
        altered: fingerprints to find cropped and marked copies by; None looks for none.

    Returns:
        The splits without training copies of test images; what was found, of several splits what
        was found worst; and pairs (training, test) of near copies.

    Raises:
        DataError: a patient is on both sides, or no training image is left.
    """
    clean, found, pairs = [], [], set()
    for task in tasks:
        patients = check_patients(task)
        train, copies = drop_copies(pictures, task.train, task.test, num_in_both)
        train, near, own = drop_near_copies(prints, train, task.test, altered)
        if not len(train) and len(task.train):
            raise DataError(
                f"all {len(task.train):,} training images were left out as copies of test images, "
                "nothing is left to learn from. Show the same patients on one side only: another "
                f"split= or group=. What was found: {copies.text} {near.text}"
            )
        seen = check_pretraining(
            keys,
            task.test,
            used,
            prints=prints,
            groups=task.groups,
            before=before,
            altered=altered,
        )
        clean.append(replace(task, train=train))
        found.append([patients, copies, near, seen])
        pairs |= set(own)
    # Per kind of check: the first split in which it failed, else the first one.
    kinds = zip(*found, strict=True)
    worst = [next((one for one in kind if one.passed is False), kind[0]) for kind in kinds]
    return clean, worst, sorted(pairs)


def check_patients(task: Task) -> Check:
    """No patient may be in training and in test.

    Raises:
        DataError: some are; the first few are named.
    """
    train, test = task.train_groups, task.test_groups
    if train is None or test is None:
        return Check(
            passed=None,
            text="No column names patients: each file is taken as its own patient. If one has "
            "several, intervals are too narrow and he may be on both sides. If none has, "
            "group=COLUMN with the column of the files says so.",
        )
    crossing = sorted(set(train) & set(test))
    if crossing:
        first = ", ".join(crossing[:5]) + (", ..." if len(crossing) > 5 else "")
        raise DataError(
            f"{len(crossing)} groups are in both the training and the test part ({first}): "
            "the test would reward recognising patients. Correct the split column, or leave "
            "split= out and a split by patient is made."
        )
    if task.num_unnamed:
        who = "1 image names" if task.num_unnamed == 1 else f"{task.num_unnamed:,} images name"
        return Check(
            passed=None,
            text=f"No named patient is on both sides, but {who} none and count as a patient "
            "each: whose they are cannot be checked, and intervals may be too narrow. "
            f"So counted, {len(set(train)):,} in training, {len(set(test)):,} in the test part.",
        )
    return Check(
        passed=True,
        text=f"No patient is on both sides: {len(set(train)):,} in training, "
        f"{len(set(test)):,} in the test part (one person under two names cannot be seen).",
    )


def drop_copies(
    keys: Sequence[str], train: Integers, test: Integers, num_in_both: int = 0
) -> tuple[Integers, Check]:
    """Leave training images out whose content is that of a test image.

    Args:
        keys: (N,) hashes of the images' contents.
        train: indices of the training images.
        test: indices of the test images.
        num_in_both: files that the split puts on both sides; they are in the test only already.

    Returns:
        The training images that stay, and what was found.
    """
    tested = {keys[i] for i in test}
    copied = np.array([keys[i] in tested for i in train], dtype=bool)
    found = []
    if num_in_both:
        found.append(
            f"{num_in_both:,} files lie in the test and, under another name, in another part of "
            "the table's split: they count for the test alone."
        )
    if copied.any():
        found.append(
            f"{int(copied.sum()):,} training images were identical to a test image: "
            "they were left out of the training part."
        )
    if not found:
        return train, Check(passed=True, text="No image is on both sides (contents compared).")
    return train[~copied], Check(passed=False, text=" ".join(found))


def drop_near_copies(
    prints: np.ndarray, train: Integers, test: Integers, altered: Altered | None = None
) -> tuple[Integers, Check, list[tuple[int, int]]]:
    """Leave training images out that show the picture of a test image, saved differently.

    Args:
        prints: (N, D) fingerprints, as `medjepa.data.duplicates.fingerprints` gives them.
        train: indices of the training images.
        test: indices of the test images.
        altered: fingerprints of all images in further forms; None looks for none.

    Returns:
        The training images that stay, what was found, and the pairs (training, test).
    """
    near = {(i, j) for i, j, _ in all_near_pairs(prints[train], prints[test])}
    forms = "JPEG, size, brightness, mirrored or turned"
    if altered is not None:
        near |= {(i, j) for i, j, _ in altered_pairs(altered.take(train), altered.take(test))}
        forms += "; inverted, 3 to 10 % cropped off each side, a mark in a corner"
    if not near:
        text = f"No image was found on both sides in another form ({forms}; what was changed "
        text += "otherwise is missed)."
        return train, Check(passed=True, text=text), []
    copied = np.zeros(len(train), dtype=bool)
    copied[[i for i, _ in near]] = True
    pairs = [(int(train[i]), int(test[j])) for i, j in sorted(near)]
    num = int(copied.sum())
    show = "1 training image shows" if num == 1 else f"{num:,} training images show"
    text = (
        f"{show} the picture of a test image in another form ({forms}), or, seldom, another one "
        "that is alike when small: "
        f"{'it was' if num == 1 else 'they were'} left out of the training part."
    )
    return train[~copied], Check(passed=False, text=text), pairs


def check_pretraining(
    keys: Sequence[str],
    test: Integers,
    pretraining_keys: Collection[str] | None,
    *,
    prints: np.ndarray | None = None,
    groups: Sequence[str] | None = None,
    before: PretrainingImages | None = None,
    altered: Altered | None = None,
) -> Check:
    """Say whether pre-training has seen the test images or their patients (without labels).

    Patients are compared with those images of pre-training that are evaluated too; copies in
    another form also with those that `before` holds.

    Args:
        keys: (N,) hashes of the images' contents.
        test: indices of the test images.
        pretraining_keys: hashes that the run recorded; None if it recorded none.
        prints: (N, D) fingerprints.
        groups: (N,) patients.
        before: those images of pre-training that are still here.
        altered: fingerprints of all images in further forms; None looks for none.
    """
    if pretraining_keys is None:
        return Check(
            passed=None,
            text="Not known whether pre-training used the test images (the run holds no record).",
        )
    known = set(pretraining_keys)
    used = np.array([key in known for key in keys], dtype=bool)
    seen = int(used[test].sum())
    found = []
    if seen:
        found.append(f"used {seen:,} of the {len(test):,} test images")
    rest = test[~used[test]]
    near: set[int] = set()
    if prints is not None and used.any():
        near = {int(rest[j]) for _, j, _ in all_near_pairs(prints[used], prints[rest])}
    if altered is not None and used.any():
        pairs = altered_pairs(altered.take(np.flatnonzero(used)), altered.take(rest))
        near |= {int(rest[j]) for _, j, _ in pairs}
    if prints is not None and before is not None:
        near |= {image for _, image in before.near(prints, keys, rest, altered)}
    if near:
        whom = "of them" if seen else f"of the {len(test):,} test images"
        found.append(f"used {len(near):,} {whom} in another form")
    if groups is not None:
        shared = {groups[int(i)] for i in np.flatnonzero(used)} & {groups[int(i)] for i in rest}
        if shared:
            found.append(f"used other images of {len(shared):,} patients of the test part")
    if not found:
        return Check(
            passed=True,
            text=f"None of the test images was among the {len(known):,} that pre-training used"
            f"{_compared(before)}.",
        )
    return Check(
        passed=False,
        text=f"Pre-training {' and '.join(found)} (without their labels): "
        "on images of new patients the encoder may do less well.",
    )


def _compared(before: PretrainingImages | None) -> str:
    if before is None:
        return ""
    if not before.keys:
        return " (equal files: its images are no longer here, other forms were not looked for)"
    missing = f"; {before.num_missing:,} are no longer here" if before.num_missing else ""
    return f" (other forms looked for among {len(before.keys):,}{missing})"

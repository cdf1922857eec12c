"""Images of "another kind" that are the evaluation's own are counted."""

import numpy as np

from medjepa.evaluation.ood_overlap import overlap_warning
from medjepa.evaluation.protocol import Task


def parts(num, *, train, test):
    return Task(
        label="x",
        target=np.zeros(num, np.int64),
        class_names=("0",),
        groups=None,
        train=np.asarray(train),
        test=np.asarray(test),
    )


def pictures(num, seed):
    return np.random.default_rng(seed).random((num, 9), dtype=np.float32)


def test_files_and_pictures_are_found_in_the_part_that_holds_them_and_counted_once():
    own, others = pictures(6, 0), pictures(4, 1)
    keys, theirs = [f"own{i}" for i in range(6)], ["a", "b", "own4", "d"]
    others[1] = own[0]  # the same picture in another file, of the training part
    others[2] = own[4]  # the same file and picture, of the test part
    task = parts(6, train=[0, 1, 2], test=[3, 4])
    told = overlap_warning(task, (keys, own), (theirs, others))
    assert "of the 4 images" in told
    assert "1 (test part) and 1 (training part)" in told
    theirs[3] = "own3"  # the same file, whatever it shows
    assert "2 (test part) and" in overlap_warning(task, (keys, own), (theirs, others))


def test_others_and_images_that_are_in_neither_part_say_nothing():
    own = pictures(6, 0)
    keys = [f"own{i}" for i in range(6)]
    task = parts(6, train=[0, 1, 2], test=[3, 4])
    assert overlap_warning(task, (keys, own), (["a", "b"], pictures(2, 1))) == ""
    assert overlap_warning(task, (keys, own), (["own5"], own[5:])) == ""

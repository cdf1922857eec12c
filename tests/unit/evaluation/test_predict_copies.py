"""Copies among labelled images that predictions are learnt and tested on."""

import numpy as np

from medjepa.evaluation.predict import num_alike


def test_copies_of_a_picture_in_several_patients_are_counted():
    rng = np.random.default_rng(0)
    small = np.repeat(np.repeat(rng.uniform(size=(6, 16, 16)), 2, axis=1), 2, axis=2)
    small[1] = 0.8 * small[0][:, ::-1] + 0.1  # mirrored and paler
    small[3] = 1 - small[2]
    small[5] = small[4]
    rows = small.reshape(6, -1).astype(np.float32)
    assert num_alike(rows, ("a", "b", "c", "d", "e", "e")) == 4  # a patient's own count for nothing
    assert num_alike(rows, None) == 6
    assert num_alike(rows, ("a", "a", "c", "c", "e", "e")) == 0

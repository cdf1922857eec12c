"""The map of test images: each at its place with its own class, within the unit square."""

import numpy as np
import pytest

from medjepa.evaluation import embedding_map as module
from medjepa.evaluation.embedding_map import embedding_map


@pytest.fixture
def flat(monkeypatch):
    """The first two features as the plane, so that a place says whose it is."""
    monkeypatch.setattr(module, "project", lambda x, *, seed: (x[:, :2].copy(), "as it is"))


@pytest.mark.usefixtures("flat")
def test_every_image_has_its_own_class_also_where_some_are_drawn(monkeypatch):
    x = np.random.default_rng(0).uniform(-40, 90, size=(200, 3))
    target = (x[:, 0] > 20).astype(np.int64)
    for most in (300, 60):
        monkeypatch.setattr(module, "MAX_POINTS", most)
        found = embedding_map(x, target)
        place, label = np.array(found.place), np.array(found.label)
        assert len(place) == len(label) == min(200, most)
        assert place.min(0).tolist() == [0, 0] and place.max(0).tolist() == [1, 1]
        # Of one class are those to the right of a line.
        assert place[label == 1, 0].min() > place[label == 0, 0].max()
        assert 0 < label.sum() < len(label)
    assert embedding_map(x, target, seed=1).place != found.place
    assert embedding_map(x, target).place == found.place


@pytest.mark.usefixtures("flat")
def test_images_that_lie_on_one_line_or_point_have_a_place():
    x = np.column_stack([np.arange(5.0), np.full(5, 3.0)])
    found = embedding_map(x, np.zeros(5, np.int64))
    assert found.place == ((0, 0), (0.25, 0), (0.5, 0), (0.75, 0), (1, 0))

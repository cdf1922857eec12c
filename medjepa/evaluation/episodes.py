"""Few-shot learning by the thousand: draw labelled images of each class, classify the test images.

SimpleShot (Wang et al. 2019): features are centred by the mean of all training images, which takes
no label, and scaled to unit length. Three classifiers learn from the same draws: the nearest class
mean, softmax regression, and cosine neighbours. All episodes of a batch are one array; they learn
from inner products alone, and classify by them.

Legend: E episodes, C classes, K shots (images a class), S = C * K support images, T training
images, N test images, D features.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medjepa.evaluation.folds import group_index
from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.probes import unit_rows
from medjepa.evaluation.softmax_fits import fit_softmax

CLASSIFIERS = ("nearest class mean", "logistic regression", "neighbours")
TEMPERATURE = 0.07
MOST_NEIGHBOURS = 20
STRENGTH = 10.0
"""C of the regression, fixed: a few images leave none to choose it on."""

MOST_TABLE = 1 << 25
"""Most inner products of training with test images that are kept: 256 MB."""


def draw_episodes(
    target: Integers,
    groups: Sequence[str] | None,
    num_shots: int,
    num_episodes: int,
    rng: np.random.Generator,
) -> Integers | None:
    """Choose K patients of each class and an image of each; (E, C, K), None if a class has fewer.

    Args:
        target: (N,) class indices of the training images, no gaps.
        groups: (N,) patients; None takes every image as its own.
        num_shots: K.
        num_episodes: E.
        rng: of the draws.
    """
    patient = group_index(len(target), groups)
    chosen = []
    for label in range(int(target.max()) + 1):
        images = np.flatnonzero(target == label)
        images = images[np.argsort(patient[images], kind="stable")]
        _, first, count = np.unique(patient[images], return_index=True, return_counts=True)
        if len(first) < num_shots:
            return None
        order = rng.random((num_episodes, len(first))).argsort(1)[:, :num_shots]
        within = (rng.random(order.shape) * count[order]).astype(np.int64)
        chosen.append(images[first[order] + within])
    return np.stack(chosen, axis=1).astype(np.int64)


def simple_shot(x: Floats, train: Integers) -> Floats:
    """Centre (N, D) by the training images' mean, scale rows to unit length."""
    return unit_rows(x - x[train].mean(0))


class Similarities:
    """Inner products of training images with the test images.

    All of them are computed once where they fit into `MOST_TABLE`: an episode then costs a look at
    its own rows, however many features there are.
    """

    def __init__(self, train: Floats, test: Floats) -> None:
        """Take (T, D) and (N, D) as `simple_shot` makes them."""
        self.train, self.test = train, test
        few = len(train) * len(test) <= MOST_TABLE
        self.table = train @ test.T if few else None
        self._ranks: NDArray[np.unsignedinteger] | None = None

    def of(self, rows: Integers) -> Floats:
        """Of the training images `rows` (E, C, K): (E, C, K, N)."""
        if self.table is not None:
            return np.asarray(self.table[rows])
        flat = self.train[rows.ravel()] @ self.test.T
        return np.asarray(flat.reshape(*rows.shape, -1))

    def nearest(self, rows: Integers) -> NDArray[np.bool_] | None:
        """Which of the training images `rows` are among the nearest 20 of them: (E, C, K, N).

        None where there are no more than 20, so that all are.
        """
        num_support = rows[0].size
        if num_support <= MOST_NEIGHBOURS:
            return None
        if self.table is not None and self._ranks is None:
            self._ranks = _ranks(self.table)
        order = self.of(rows) if self._ranks is None else self._ranks[rows]
        flat = order.reshape(len(rows), num_support, -1).transpose(0, 2, 1).copy()
        place = num_support - MOST_NEIGHBOURS
        flat.partition(place, axis=2)
        return np.asarray(order >= flat[:, None, None, :, place])


def _ranks(table: Floats) -> NDArray[np.unsignedinteger]:
    """Order of the training images (T, N) for each test image, equal ones alike.

    Small integers are selected from several times faster than numbers of 64 bits.
    """
    small = np.uint16 if len(table) <= 1 << 16 else np.uint32
    ranks = np.empty(table.shape, small)
    for start in range(0, table.shape[1], 256):
        part = table[:, start : start + 256].T.copy()
        order = part.argsort(1)
        ordered = np.take_along_axis(part, order, 1)
        higher = np.zeros(part.shape, small)
        np.cumsum(ordered[:, 1:] > ordered[:, :-1], axis=1, out=higher[:, 1:])
        own = np.empty_like(higher)
        np.put_along_axis(own, order, higher, 1)
        ranks[:, start : start + 256] = own.T
    return ranks


def inner_products(support: Floats) -> Floats:
    """Of the support images (E, C, K, D) of each episode with each other: (E, S, S)."""
    flat = support.reshape(len(support), -1, support.shape[3])
    return np.asarray(flat @ flat.transpose(0, 2, 1))


def classify(
    name: str, products: Floats, similar: Floats, nearest: NDArray[np.bool_] | None = None
) -> Floats:
    """Log-scores (E, C, N), up to a constant for each image, of the classifier called `name`.

    Args:
        name: one of `CLASSIFIERS`.
        products: (E, S, S) `inner_products` of the support images.
        similar: (E, C, K, N) inner products of the support images with the test images.
        nearest: (E, C, K, N) those that may vote; None for all.
    """
    num_episodes, num_classes, num_shots, num_test = similar.shape
    if name == "nearest class mean":
        blocks = products.reshape(num_episodes, num_classes, num_shots, num_classes, num_shots)
        lengths = np.einsum("ecicj->ec", blocks) / num_shots**2
        return np.asarray(2 * similar.mean(2) - lengths[:, :, None])
    if name == "logistic regression":
        wanted = np.repeat(np.eye(num_classes), num_shots, axis=1)
        weights = fit_softmax(products, wanted, STRENGTH)
        return np.asarray(weights @ similar.reshape(num_episodes, -1, num_test))
    votes = similar / TEMPERATURE
    np.exp(votes, out=votes)  # a cosine is within -1 and 1, which no exponent here overflows
    if nearest is not None:
        votes *= nearest
    return np.asarray(np.log(np.maximum(votes.sum(2), 1e-300)))

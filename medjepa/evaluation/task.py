"""What is told apart: labels of images, their patients, and one split into training and test."""

from dataclasses import dataclass

from medjepa.evaluation.metrics import Integers


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be told apart, on which images.

    Attributes:
        label: name of the column, for the report.
        target: (N,) class indices.
        class_names: (C,).
        groups: (N,) patients, or None where unknown.
        train: indices to learn from.
        test: indices to measure on.
        studies: (N,) the study of each image, over which scores are also averaged; None for none.
        num_unnamed: images whose patient nobody names while others are named: a patient each.
    """

    label: str
    target: Integers
    class_names: tuple[str, ...]
    groups: tuple[str, ...] | None
    train: Integers
    test: Integers
    studies: tuple[str, ...] | None = None
    num_unnamed: int = 0

    @property
    def train_groups(self) -> tuple[str, ...] | None:
        """Patients of the training images."""
        return None if self.groups is None else tuple(self.groups[i] for i in self.train)

    @property
    def test_groups(self) -> tuple[str, ...] | None:
        """Patients of the test images."""
        return None if self.groups is None else tuple(self.groups[i] for i in self.test)

"""Two classes out of many labels: these values against those, or against all others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medjepa.data.class_checks import refuse_marks, refuse_other_spellings
from medjepa.data.labels import LabelledSet
from medjepa.errors import DataError

_NUM_NAMED = 12


@dataclass(frozen=True)
class ClassRule:
    """Which values of the label form the one class, and which the other.

    Attributes:
        positive: values of the second class, which a score is for.
        negative: values of the first class; empty for all others. The rest is left out.
    """

    positive: tuple[str, ...]
    negative: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, str]:
        """(negative, positive) as the report calls them."""
        positive = " or ".join(self.positive)
        return " or ".join(self.negative) or f"not {positive}", positive

    def applied(self, sets: Sequence[LabelledSet], label: str) -> list[LabelledSet]:
        """The same images with two classes, without those of neither.

        Raises:
            DataError: a value does not occur (the message lists those that do), occurs in another
                spelling too, or would be negative and only says that nobody knows.
        """
        there = {name for one in sets for name in one.labels}
        for key, values in (("positive", self.positive), ("negative", self.negative)):
            if missing := [value for value in values if value not in there]:
                listed = ", ".join(sorted(there)[:_NUM_NAMED])
                more = ", ..." if len(there) > _NUM_NAMED else ""
                raise DataError(
                    f"evaluation.{key}: no image has {label} {', '.join(map(repr, missing))}; "
                    f"the values are {listed}{more}"
                )
        every = [text for one in sets for text in one.labels]
        named = (*self.positive, *self.negative)
        refuse_other_spellings(label, every, named, "evaluation.positive")
        if not self.negative:  # whatever is not named is negative
            refuse_marks(label, [text for text in every if text not in self.positive])
        return [self._one(one, label) for one in sets]

    def _one(self, one: LabelledSet, label: str) -> LabelledSet:
        negative, positive = self.names
        is_positive = [text in self.positive for text in one.labels]
        keep = [
            place
            for place, text in enumerate(one.labels)
            if is_positive[place] or not self.negative or text in self.negative
        ]
        notes = list(one.notes)
        if left := len(one.labels) - len(keep):
            notes.append(f"{left:,} images with other values of {label} were set aside.")
        return replace(
            one,
            indices=np.asarray(one.indices)[keep],
            labels=[positive if is_positive[place] else negative for place in keep],
            class_names=[negative, positive],
            groups=None if one.groups is None else [one.groups[place] for place in keep],
            split=None if one.split is None else [one.split[place] for place in keep],
            notes=notes,
            cells={name: [cells[place] for place in keep] for name, cells in one.cells.items()},
        )

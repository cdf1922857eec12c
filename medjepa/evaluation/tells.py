"""What else tells the label: columns that nobody asked about, the files, the edge of the pictures.

A column of a plain name may be another name of the label or a site; a file's format or a picture's
size may differ by where it comes from; text, markers and borders lie at the edge. Each is asked how
well it predicts the label by itself, on other patients, and what does so well is told first. What
it means only its owner knows: of all these, format and size alone can decide the verdict, as the
columns of the table do that say how an image was taken.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from medjepa.data.store import Store
from medjepa.data.table_columns import path_columns, split_column
from medjepa.evaluation.baselines import principal_components
from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.columns import Column, coded
from medjepa.evaluation.folds import group_index, strata
from medjepa.evaluation.label_efficiency import COARSE_GRID
from medjepa.evaluation.material import Material
from medjepa.evaluation.metrics import Integers
from medjepa.evaluation.probes import LogisticProbe
from medjepa.evaluation.protocol import score_test_images, split_folds
from medjepa.evaluation.resamples import mean_of_splits
from medjepa.evaluation.results import Check
from medjepa.evaluation.sections import Section
from medjepa.evaluation.shortcut import area_over, folds_of, frequencies, told_by
from medjepa.evaluation.task import Task

FORMAT, SIZE, BYTES, FOLDER = "file format", "picture size", "bytes a pixel", "folder"
DECIDING = (FORMAT, SIZE)
EDGE = "the outer tenth of the picture"
STRONG = 0.8
"""What predicts the label with this AUC is told first."""

STRONG_BYTES = 0.95
"""Of bytes a pixel: what a picture shows makes its file larger or smaller too."""

FEW_PATIENTS = 100
"""With fewer, chance alone reaches `STRONG`: of 10 columns that say nothing, with 20 patients one
did in a third of simulated studies. So labels are shuffled, and no shuffle may do as well."""

SHUFFLES_A_COLUMN = 20
"""So many shuffles for each column that was asked: the level is 1 in 20, whatever their number."""

NUM_RESAMPLES = 200
MOST_NAMED = 5
_MOST_COLUMNS = 30
_MOST_IMAGES = 4000
_EDGE = 3
"""Pixels of 32."""


@dataclass(frozen=True, kw_only=True)
class Tell:
    """Something beside the encoder that predicts the label.

    Attributes:
        name: of it.
        may_be_label: whether it can be the label by another name: a column, or the folder.
        auc: of predicting the label from it.
        by_chance: whether it predicts labels that were shuffled among few patients as well.
    """

    name: str
    may_be_label: bool
    auc: Estimate
    by_chance: bool = False

    @property
    def is_strong(self) -> bool:
        """Whether it is told first."""
        enough = STRONG_BYTES if self.name == BYTES else STRONG
        above = self.auc.low is not None and self.auc.low > 0.5 and self.auc.value >= enough
        return above and not self.by_chance


def file_traits(material: Material) -> dict[str, list[str]]:
    """What each image's file is, by itself: name -> (N,); nothing of volumes and clips."""
    stores = [store for store in material.stores if isinstance(store, Store)]
    if len(stores) < len(material.stores):
        return {}
    rows = []
    for store in stores:
        records = {record.key: record for record in store.private_map().files if record.key}
        for item in store.items:
            record, pixels = records.get(item.key), item.height * item.width
            if record is None:
                rows.append(("", f"{pixels}", "", ""))
                continue
            path = PurePosixPath(record.path)
            weight = f"{record.size / max(pixels, 1):.6g}"
            rows.append((path.suffix.lower(), f"{pixels}", weight, str(path.parent)))
    chosen = [rows[int(index)] for index in material.labelled.indices]
    names = (FORMAT, SIZE, BYTES, FOLDER)
    return {name: [row[place] for row in chosen] for place, name in enumerate(names)}


def find_tells(
    task: Task,
    cells: Mapping[str, Sequence[str]],
    traits: Mapping[str, Sequence[str]],
    pixels: NDArray[np.float32] | None,
    *,
    leave_out: Collection[str],
    seed: int = 0,
) -> list[Tell]:
    """Ask each column that is not examined already, each trait of the files, and the edge.

    Args:
        task: all N labelled images; which are trained on does not matter.
        cells: column of the table -> (N,).
        traits: of `file_traits`.
        pixels: (N, C * 32 * 32) small pictures; None asks no edge.
        leave_out: columns that are label, patient, study, or examined.
        seed: of folds and resamples.
    """
    known = {*leave_out, *path_columns(cells), split_column(cells)}
    asked = {name: cells[name] for name in cells if name not in known}
    looked_at = [*list(asked.items())[:_MOST_COLUMNS], *traits.items()]
    columns = [coded(name, values, task.groups) for name, values in looked_at]
    columns = [column for column in columns if says_something(column)]
    found = []
    for column in columns:
        auc = told_by(task, column.codes, NUM_RESAMPLES, seed)
        may_be = column.name in asked or column.name == FOLDER
        one = Tell(name=column.name, may_be_label=may_be, auc=auc)
        if one.is_strong:
            shuffles = SHUFFLES_A_COLUMN * len(columns)
            one = replace(one, by_chance=_by_chance(task, column.codes, auc.value, shuffles, seed))
        found.append(one)
    if pixels is not None and len(task.target) <= _MOST_IMAGES:
        found.append(Tell(name=EDGE, may_be_label=False, auc=_edge(task, pixels, seed)))
    return sorted(found, key=lambda one: -np.nan_to_num(one.auc.value))


def says_something(column: Column) -> bool:
    """Two values or more that several patients share, in at least half of the images."""
    common = np.count_nonzero(column.codes > 0)
    return bool(column.num_common >= 2 and 2 * common >= len(column.codes))


def deciding_columns(
    tells: Sequence[Tell], traits: Mapping[str, Sequence[str]], task: Task
) -> list[Column]:
    """Format and size of the files where they tell the label, to be examined as a column is."""
    strong = [one.name for one in tells if one.is_strong and one.name in DECIDING]
    return [coded(name, traits[name], task.groups) for name in strong]


def tell_checks(tells: Sequence[Tell]) -> list[Check]:
    """The strong ones, in words for the first lines."""
    strong = [one for one in tells if one.is_strong]
    checks = []
    if files := [one for one in strong if not one.may_be_label]:
        checks.append(
            Check(
                passed=False,
                text=f"The label is told without the picture's middle by {_listed(files)}. Where "
                "that says nothing of the patient, a good score may be recognition of it.",
            )
        )
    if named := [one for one in strong if one.may_be_label]:
        checks.append(
            Check(
                passed=None,
                text=f"Nobody asked about {_listed(named)}, which tells the label: another name of "
                "it, or where an image comes from? evaluation.shortcut=COLUMN examines a column.",
            )
        )
    return checks


def tell_section(tells: Sequence[Tell], task: Task) -> list[Section]:
    """All of them, the best first."""
    if not tells:
        return []
    unit = "images" if task.groups is None else "patients"
    return [
        Section(
            key="tells",
            title="What else tells the label",
            note=(
                f"Macro AUC of predicting the label from this alone, on {unit} not learnt from "
                f"(five parts of all {len(task.target):,} labelled images); numbers and dates by "
                "their quarter; the outer tenth: principal components of the edge of the small "
                f"picture. 95 % interval: bootstrap over {unit}, {NUM_RESAMPLES} resamples. "
                "Columns that say how an image was taken are in the table of shortcuts. In the "
                f"first lines: what reaches {STRONG:g} ({BYTES}: {STRONG_BYTES:g}) and, with fewer "
                f"than {FEW_PATIENTS} {unit}, tells no shuffled label as well "
                f"({SHUFFLES_A_COLUMN} shuffles a column)."
            ),
            columns=("by", "from", "AUC"),
            rows=tuple(
                (one.name, "table or folder" if one.may_be_label else "file or picture", one.auc)
                for one in tells
            ),
        )
    ]


def _listed(tells: Sequence[Tell]) -> str:
    named = ", ".join(f"{one.name} (AUC {one.auc.value:.3f})" for one in tells[:MOST_NAMED])
    more = len(tells) - MOST_NAMED
    return named + (f" and {more} more" if more > 0 else "")


def _by_chance(task: Task, codes: Integers, area: float, shuffles: int, seed: int) -> bool:
    """Whether some shuffle of the classes among patients is told as well by a column."""
    group = group_index(len(task.target), task.groups)
    classes = strata(task.target, group)
    if len(classes) >= FEW_PATIENTS:
        return False
    rng = np.random.default_rng(seed)
    for _ in range(shuffles):
        other = replace(task, target=rng.permutation(classes)[group])
        tasks = folds_of(other, seed)
        labels = [one.target[one.test] for one in tasks]
        if mean_of_splits("auc", labels, frequencies(other, tasks, codes)) >= area:
            return True
    return False


def _edge(task: Task, pixels: NDArray[np.float32], seed: int) -> Estimate:
    """AUC of a linear probe on the edge of the small pictures."""
    side = 32
    inside = np.zeros((side, side), dtype=bool)
    inside[_EDGE:-_EDGE, _EDGE:-_EDGE] = True
    small = pixels.reshape(len(pixels), -1, side, side)
    edge = np.ascontiguousarray(small[:, :, ~inside].reshape(len(pixels), -1))
    folds, scores = folds_of(task, seed), []
    for fold in folds:
        components = principal_components(edge, fold.train)
        held_out = split_folds(fold, np.arange(len(fold.train)))
        probe = LogisticProbe(c_grid=COARSE_GRID)
        probe.fit(components[fold.train], fold.target[fold.train], folds=held_out)
        scores.append(score_test_images(probe, components, fold))
    return area_over(folds, scores, NUM_RESAMPLES, seed)

"""Which files of a folder are the contrasts of one case, by the words in their names."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from medjepa.data.files import Found
from medjepa.data.header_pass import Unit
from medjepa.data.tables import stem_of

_WORDS = re.compile(r"[^0-9a-z]+")


def words_of(path: str) -> list[str]:
    """The words of a file's name, in small letters: "BraTS_001_T1ce.nii.gz" has 3."""
    return [word for word in _WORDS.split(stem_of(path).lower()) if word]


def with_contrasts(
    units: Sequence[Unit], contrasts: Sequence[str]
) -> tuple[list[Unit], dict[tuple[int, str], str]]:
    """One unit for each case, its files in the order of `contrasts`, and which files are in none.

    A case is what has the same folder, and the same name but for the contrast's word. One that
    misses a contrast, or has two files for one, gets the reason as its problem.
    """
    wanted = [name.lower() for name in contrasts]
    cases: dict[tuple[int, str, str], dict[str, list[Found]]] = {}
    others: dict[tuple[int, str], str] = {}
    for unit in units:
        entry = unit.files[0]
        words = words_of(entry.relative)
        found = [name for name in wanted if name in words]
        if len(found) != 1:
            reason = "no contrast" if not found else "several contrasts"
            others[entry.source, entry.relative] = f"{reason} of data.contrasts in its name"
            continue
        folder = str(PurePosixPath(entry.relative).parent)
        case = (entry.source, folder, " ".join(w for w in words if w != found[0]))
        cases.setdefault(case, {}).setdefault(found[0], []).append(entry)
    return [_unit(files, wanted) for files in cases.values()], others


def _unit(files: dict[str, list[Found]], wanted: Sequence[str]) -> Unit:
    """The files of a case in the order that was asked for."""
    together = tuple(entry for name in wanted for entry in files.get(name, ()))
    problems = [f"no file of contrast {name}" for name in wanted if name not in files]
    problems += [f"{len(f)} files of contrast {name}" for name, f in files.items() if len(f) > 1]
    return Unit(together, "; ".join(problems))

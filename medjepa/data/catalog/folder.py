"""The files of a folder, and where in it a set begins."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from medjepa.data.archive_names import is_junk
from medjepa.data.catalog.entry import Layout
from medjepa.data.catalog.patterns import pattern
from medjepa.errors import DataError

_SAMPLE = 40


@dataclass(frozen=True)
class Folder:
    """A folder whose files are listed once; what desktops leave behind (`._x`) is not counted."""

    path: Path

    @cached_property
    def files(self) -> list[str]:
        """Paths below the folder, with forward slashes, in a fixed order.

        Raises:
            DataError: there is no such folder.
        """
        if not self.path.is_dir():
            what = "a file, not a folder" if self.path.exists() else "no such folder"
            raise DataError(f"{self.path}: {what}")
        found = []
        for above, _, names in os.walk(self.path):  # by names alone: sets have 10^5 files
            inner = os.path.relpath(above, self.path).replace(os.sep, "/")
            parts = () if inner == "." else tuple(inner.split("/"))
            found += ["/".join((*parts, n)) for n in names if not is_junk((*parts, n))]
        return sorted(found)

    @cached_property
    def sample(self) -> list[str]:
        """Some folders beside each other, some files of each kind: enough to see a layout."""
        taken: dict[tuple[str, str], int] = {}
        siblings: dict[str, set[str]] = {}
        kept = []
        for path in self.files:
            parts = path.split("/")
            above, kind = "/".join(parts[:-1]), parts[-1].rpartition(".")[2]
            taken[above, kind] = taken.get((above, kind), 0) + 1
            # Patients by the ten thousand look alike: some folders beside each other will do.
            seen = [siblings.setdefault("/".join(parts[:i]), set()) for i in range(len(parts) - 1)]
            room = all(len(s) < _SAMPLE or p in s for s, p in zip(seen, parts, strict=False))
            if room and taken[above, kind] <= _SAMPLE:
                for known, part in zip(seen, parts, strict=False):
                    known.add(part)
                kept.append(path)
        return kept

    def root_of(self, layout: Layout, *, sampled: bool = False) -> str | None:
        """Where every mark of the layout is found, "" or with a slash at the end; None: nowhere."""
        files = self.sample if sampled else self.files
        first = pattern(layout.marks[0])
        roots = {root for path in files if (root := first.root_of(path)) is not None}
        for root in sorted(roots, key=lambda text: (text.count("/"), text)):
            below = [path[len(root) :] for path in files if path.startswith(root)]
            if all(any(pattern(mark).fits(p) for p in below) for mark in layout.marks[1:]):
                return root
        return None

    def below(self, root: str) -> list[str]:
        """The files below a root, relative to it."""
        return [path[len(root) :] for path in self.files if path.startswith(root)]

"""Patients who were taken out of a store, so that they do not come back with the next `prepare`."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from medjepa.data.private_map import PRIVATE, keyed_hash, write_private
from medjepa.data.tables import Table
from medjepa.errors import DataError

FILE = "forgotten.json"
REASON = "its patient was taken out of this store (medjepa forget)"


@dataclass
class Removal:
    """One patient who was taken out.

    Attributes:
        day: when, YYYY-MM-DD.
        num_items: images or volumes that left.
        keys: content hashes of the files.
    """

    day: str
    num_items: int
    keys: list[str]


@dataclass
class Forgotten:
    """Removals by the keyed hash of the patient: without the store's key it names nobody."""

    removals: dict[str, Removal] = field(default_factory=dict)

    @classmethod
    def read(cls, store: Path) -> "Forgotten":
        """Read the list of a store; empty if nobody was taken out.

        Raises:
            DataError: it is damaged.
        """
        path = store / PRIVATE / FILE
        try:
            content = json.loads(path.read_bytes())
            return cls({name: Removal(**entry) for name, entry in content.items()})
        except FileNotFoundError:
            return cls()
        except (ValueError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: cannot be read: {error}") from error

    def write(self, store: Path) -> None:
        """Write the list so that only its owner can read it."""
        entries = {name: asdict(removal) for name, removal in self.removals.items()}
        write_private(store, FILE, json.dumps(entries).encode())

    @property
    def keys(self) -> frozenset[str]:
        """Contents that must not come back."""
        return frozenset(key for removal in self.removals.values() for key in removal.keys)

    def covers(self, secret: bytes, patients: Iterable[str]) -> bool:
        """Whether one of the patients was taken out; `secret` is the store's own key."""
        return any(keyed_hash(secret, name) in self.removals for name in patients if name)

    def rows_left(self, table: Table, group: str | None, secret: bytes) -> bytes:
        """A table for the private folder: as it is, or without the rows of who was taken out."""
        if group is None or not self.removals:
            return table.path.read_bytes()
        rows = [row for row in table.rows if not self.covers(secret, [row[group]])]
        return table.path.read_bytes() if len(rows) == len(table.rows) else csv_bytes(table, rows)


def csv_bytes(table: Table, rows: Iterable[Mapping[str, str]]) -> bytes:
    """Some rows of a table as a CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, table.columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()

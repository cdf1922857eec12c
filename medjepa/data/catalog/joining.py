"""Rows of a set's tables, lists and side files, joined with its images."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from medjepa.data.catalog.entry import Entry, TableRule
from medjepa.data.catalog.folder import Folder
from medjepa.data.catalog.items import Reading
from medjepa.data.catalog.patterns import pattern
from medjepa.data.catalog.sidecars import read_sidecar
from medjepa.data.table_text import read_text
from medjepa.data.tables import FileMatcher, Table, read_table
from medjepa.errors import DataError


@dataclass
class Image:
    """An image while its rows are collected; `path` is relative to the root."""

    path: str
    fields: dict[str, str]
    rows: list[dict[str, str]] = field(default_factory=list)
    table_part: str = ""
    list_parts: list[str] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)


def images_below(entry: Entry, files: Sequence[str], reading: Reading) -> list[Image]:
    """The files that an image pattern fits, in order; what lies there twice is noted."""
    patterns = [pattern(text) for text in entry.layout.images]
    found: list[Image] = []
    ranks: list[int] = []
    for path in files:
        fits = ((n, m) for n, p in enumerate(patterns) if (m := p.match(path)) is not None)
        rank, parts = next(fits, (0, None))
        if parts is not None:
            ranks.append(rank)
            above, _, name = path.rpartition("/")
            own = {
                "path": path,
                "file": name,
                "stem": name.partition(".")[0],
                "folder": above.rpartition("/")[2],
                "top": path.partition("/")[0],
            }
            found.append(Image(path, own | parts))
    if not entry.layout.once:
        return found
    first: dict[str, int] = {}
    for number in sorted(range(len(found)), key=lambda n: (ranks[n], found[n].path)):
        first.setdefault(found[number].fields.get(entry.layout.once, ""), number)
    if len(first) < len(found):
        twice = len(found) - len(first)
        reading.notes.append(f"{twice:,} files repeat another image's name and are left out")
    return [found[number] for number in sorted(first.values())]


def join_tables(
    entry: Entry, folder: Folder, root: str, images: list[Image], reading: Reading
) -> None:
    """Give every image the rows that name it; note rows and tables that find nothing."""
    below = folder.below(root)
    for rule in entry.layout.tables:
        paths = [path for path in below if pattern(rule.file).fits(path)]
        if not paths:
            if rule.optional:
                reading.absent.append(f"the table {rule.file}")
            else:
                reading.missing.append(f"the table {rule.file}")
        for path in paths:
            table = read_table(folder.path / root / path, check=False)
            _join_table(rule, table, images, reading)


def _join_table(rule: TableRule, table: Table, images: list[Image], reading: Reading) -> None:
    cells = table.column(rule.key, "the images")
    name = table.path.name
    if rule.on == "file" and not rule.key_pattern:
        matcher = FileMatcher([image.path for image in images])
        by_path = {image.path: [image] for image in images}
        by_stem = _by_fields(images, ("stem",))
        find = {
            cell: by_path.get(matcher.find(cell) or "") or by_stem.get((cell,), [])
            for cell in set(cells)
        }
    else:
        names = pattern(rule.key_pattern).fields if rule.key_pattern else (rule.on,)
        by_fields = _by_fields(images, names)
        find = {cell: by_fields.get(_key(rule, cell), []) for cell in set(cells)}
    for cell, row in zip(cells, table, strict=True):
        if not find[cell] and rule.complete:
            reading.missing.append(f"{cell} (named in {name})")
        for image in find[cell]:
            image.rows.append(dict(row))
            image.table_part = rule.split or image.table_part


def _by_fields(images: Sequence[Image], names: Sequence[str]) -> dict[tuple[str, ...], list[Image]]:
    found: dict[tuple[str, ...], list[Image]] = defaultdict(list)
    for image in images:
        found[tuple(image.fields.get(name, "") for name in names)].append(image)
    return found


def _key(rule: TableRule, cell: str) -> tuple[str, ...]:
    if not rule.key_pattern:
        return (cell,)
    parts = pattern(rule.key_pattern).match(cell.replace("\\", "/"))
    return () if parts is None else tuple(parts.values())


def join_sidecars(entry: Entry, folder: Folder, root: str, images: list[Image]) -> None:
    """Give every image the columns of the side files that share its fields."""
    for rule in entry.layout.sidecars:
        shape = pattern(rule.file)
        columns = {}
        for path in folder.below(root):
            parts = shape.match(path)
            if parts is not None:
                key = tuple(parts[name] for name in shape.fields)
                columns[key] = read_sidecar(folder.path / root / path, rule.format)
        for image in images:
            wanted = tuple(image.fields.get(name, "") for name in shape.fields)
            if wanted in columns:
                image.rows.append(columns[wanted])


def join_masks(entry: Entry, files: Sequence[str], images: list[Image]) -> None:
    """Give every image the label maps that share the fields of their pattern with it."""
    for text in entry.layout.masks:
        shape = pattern(text)
        found = defaultdict(list)
        for path in files:
            parts = shape.match(path)
            if parts is not None:
                found[tuple(sorted(parts.items()))].append(path)
        shared = [name for name in shape.fields if images and name in images[0].fields]
        by_shared: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for key, paths in found.items():
            parts = dict(key)
            by_shared[tuple(parts[name] for name in shared)] += paths
        for image in images:
            image.masks += by_shared.get(tuple(image.fields[name] for name in shared), [])


def join_lists(
    entry: Entry, folder: Folder, root: str, images: list[Image], reading: Reading
) -> None:
    """Give every image the parts whose list names it."""
    matcher = FileMatcher([image.path for image in images])
    by_path = {image.path: image for image in images}
    for part, text in entry.split.lists.items():
        paths = [path for path in folder.below(root) if pattern(text).fits(path)]
        if not paths:
            reading.absent.append(f"the list {text}, which names the {part} images")
        for path in paths:
            content, _ = read_text(str(folder.path / root / path))
            for name in filter(None, map(str.strip, content.splitlines())):
                image = by_path.get(matcher.find(name) or "")
                if image is None:
                    reading.missing.append(f"{name} (named in {path})")
                elif part not in image.list_parts:
                    image.list_parts.append(part)


def check_lists(images: Sequence[Image]) -> None:
    """Refuse lists that put one image into two parts.

    Raises:
        DataError: names the first.
    """
    twice = [image for image in images if len(image.list_parts) > 1]
    if twice:
        raise DataError(
            f"{len(twice)} images are in several lists of the split, such as {twice[0].path} in "
            f"{' and '.join(twice[0].list_parts)}"
        )

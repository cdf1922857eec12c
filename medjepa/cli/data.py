"""`medjepa data`: known data sets; list, show, download, check."""

import json
import shlex
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from medjepa.errors import ConfigError

if TYPE_CHECKING:
    from medjepa.data.catalog.entry import Entry
    from medjepa.data.catalog.report import CheckReport

USAGE = """\
usage: medjepa data list [format=table|json]
       medjepa data show NAME [format=text|json]
       medjepa data download NAME dir=DIR [accept_licence=true] [key=value ...]
       medjepa data check DIR [dataset=NAME|FILE.yaml] [key=value ...]

Known data sets: licence, access, layout on disk, labels, official split, what must not be torn
apart by a split, the right measure, checksums. Nothing is sent but the request for the files.
NAME may be a YAML file of your own (docs/how-to/own-dataset.md).
Exit status 1: not downloaded, or not as published; what, and what to do, is printed.

download:
  dir=DIR                  where the files go; what is there and right is not fetched again
  accept_licence=false     you have read the printed terms and agree to them
  files=NAME,NAME          only these files (else all that are not optional)
  extract=true             unpack archives
check:
  dataset=NAME             which set it is; none: recognised by its layout
  table=FILE.csv           write file, label, group and split of every image, for prepare and
                           evaluate (data=FILE.csv); beside the images, such as DIR/labels.csv
  unpack=FOLDER            write the images of arrays (npz, HDF5) as files, with their labels.csv
  complete=true            compare with the published counts; false for a part of the set
  checksums=true           compare packed files with their published checksums
  duplicates=false         find files that are equal byte by byte
  overwrite=false          replace FILE.csv
  format=text              text or json
"""
_TRUE, _FALSE = ("true", "yes", "1", "on"), ("false", "no", "0", "off")


def run(arguments: list[str]) -> int:
    """Run the verb; returns the exit status."""
    if not arguments or any(argument in ("-h", "--help") for argument in arguments):
        print(USAGE, end="")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in _ACTIONS:
        near = get_close_matches(name, _ACTIONS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"medjepa data {name}: {', '.join(_ACTIONS)} are known{hint}")
    places = [argument for argument in rest if "=" not in argument]
    given = dict(argument.split("=", 1) for argument in rest if "=" in argument)
    action, num_places, known = _ACTIONS[name]
    if len(places) != num_places:
        wanted = {"list": "nothing", "check": "one folder"}.get(name, "one NAME")
        raise ConfigError(f"medjepa data {name} takes {wanted} by place, got {len(places)}")
    for key in given:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"
            raise ConfigError(f"medjepa data {name}: unknown key {key}{hint}")
    return action(places, given)


def _list(_: list[str], given: dict[str, str]) -> int:
    from medjepa.data.catalog.loader import entries
    from medjepa.data.catalog.pages import row_of, table_text

    every = list(entries().values())
    if _word(given, "format", ("table", "json")) == "json":
        print(json.dumps([row_of(entry) for entry in every], indent=2, ensure_ascii=False))
    else:
        print(table_text(every))
    return 0


def _show(places: list[str], given: dict[str, str]) -> int:
    from medjepa.data.catalog.loader import entry_named
    from medjepa.data.catalog.pages import page_text, to_dict

    entry = entry_named(places[0])
    if _word(given, "format", ("text", "json")) == "json":
        print(json.dumps(to_dict(entry), indent=2, ensure_ascii=False))
    else:
        print(page_text(entry))
    return 0


def _download(places: list[str], given: dict[str, str]) -> int:
    from medjepa.data.catalog.downloading import download
    from medjepa.data.catalog.loader import entry_named
    from medjepa.utils.progress import progress

    if not given.get("dir"):
        raise ConfigError("medjepa data download NAME needs dir=DIR, where the files go")
    entry = entry_named(places[0])
    outcome = download(
        entry,
        given["dir"],
        accept_licence=_flag(given, "accept_licence", default=False),
        names=tuple(filter(None, given.get("files", "").split(","))),
        extract=_flag(given, "extract", default=True),
        progress=progress,
        say=print,
    )
    return 0 if outcome.complete else 1


def _check(places: list[str], given: dict[str, str]) -> int:
    from medjepa.data.catalog.checks import check_entry
    from medjepa.data.catalog.report import describe

    form = _word(given, "format", ("text", "json"))
    entry = _entry_of(Path(places[0]), given.get("dataset"))
    report = check_entry(
        entry,
        places[0],
        complete=_flag(given, "complete", default=True),
        checksums=_flag(given, "checksums", default=True),
        duplicates=_flag(given, "duplicates", default=False),
    )
    if form == "json":
        print(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        print(describe(report))
    _write(report, places[0], given, quiet=form == "json")
    return 0 if report.ok else 1


def _write(report: "CheckReport", folder: str, given: dict[str, str], *, quiet: bool) -> None:
    from medjepa.data.catalog.table import write_table
    from medjepa.data.catalog.unpacking import TABLE, unpack
    from medjepa.utils.progress import progress

    said = []
    if "table" in given:
        columns = write_table(
            report.entry,
            report.items,
            given["table"],
            overwrite=_flag(given, "overwrite", default=False),
        )
        step = _next_step(report.entry, folder, given["table"])
        said += [f"{given['table']}: {', '.join(columns)}", step]
    if "unpack" in given:
        items = unpack(report.entry, folder, given["unpack"], progress=progress)
        said.append(f"{len(items):,} images in {given['unpack']}, with {TABLE}")
    if not quiet:
        print("\n".join(said), end="\n" if said else "")


def _next_step(entry: "Entry", folder: str, table: str) -> str:
    """The entry's call of `prepare`, with the table; file names in it are below the folder."""
    beside = Path(table).resolve().parent == Path(folder).resolve()
    data = (
        shlex.quote(table) if beside else f"{shlex.quote(folder)} data.table={shlex.quote(table)}"
    )
    calls = [line for line in entry.commands if line.startswith("medjepa prepare ")]
    settings = calls[0].partition(" out=STORE")[2] if calls else ""
    return f"next: medjepa prepare data={data} out=STORE{settings}"


def _entry_of(folder: Path, name: str | None) -> "Entry":
    from medjepa.data.catalog.loader import entries, entry_named
    from medjepa.data.catalog.reading import recognise

    if name:
        return entry_named(name)
    found = recognise(folder, entries().values())
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(entry.name for entry in found)
        raise ConfigError(f"{folder}: looks like {names}; say which with dataset=NAME")
    raise ConfigError(
        f"{folder}: looks like no set of the catalogue (`medjepa data list`). If it is one, say "
        "which with dataset=NAME; your own needs a YAML file, docs/how-to/own-dataset.md"
    )


def _flag(given: dict[str, str], key: str, *, default: bool) -> bool:
    text = given.get(key, str(default)).lower()
    if text not in (*_TRUE, *_FALSE):
        raise ConfigError(f"{key}: true or false, got {text!r}")
    return text in _TRUE


def _word(given: dict[str, str], key: str, words: tuple[str, ...]) -> str:
    text = given.get(key, words[0])
    if text not in words:
        raise ConfigError(f"{key}: {' or '.join(words)}, got {text!r}")
    return text


_Action = Callable[[list[str], dict[str, str]], int]
_ACTIONS: dict[str, tuple[_Action, int, tuple[str, ...]]] = {
    "list": (_list, 0, ("format",)),
    "show": (_show, 1, ("format",)),
    "download": (_download, 1, ("dir", "accept_licence", "files", "extract")),
    "check": (
        _check,
        1,
        ("dataset", "table", "unpack", "complete", "checksums", "duplicates", "overwrite",
         "format"),
    ),
}  # fmt: skip

"""Entries from YAML: strict, so that a typing error is an error and not a silent default."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from medjepa.config.build import Value, convert, nearest_key
from medjepa.data.catalog.entry import Entry
from medjepa.data.catalog.rules import check_rules
from medjepa.errors import ConfigError

_FAMILY, _MEMBERS = "family", "members"


@cache
def entries() -> Mapping[str, Entry]:
    """Every entry that comes with the package, by name, in the order of the names."""
    found: dict[str, Entry] = {}
    folder = resources.files("medjepa.data.catalog") / "known"
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        if not file.name.endswith(".yaml"):
            continue
        for entry in _build_all(file.read_text(encoding="utf-8"), file.name):
            if entry.name in found:
                raise ConfigError(f"{file.name}: a second entry is named {entry.name}")
            found[entry.name] = entry
    return dict(sorted(found.items()))


def entry_named(name: str) -> Entry:
    """An entry by its name, or the one of a YAML file of the user's.

    Raises:
        ConfigError: there is no such entry (with the nearest name), or the file holds several.
    """
    if name.endswith((".yaml", ".yml")):
        loaded = load_entries(name)
        if len(loaded) != 1:
            raise ConfigError(f"{name}: one entry is needed here, the file holds {len(loaded)}")
        return loaded[0]
    known = entries()
    plain = {_plain(key): key for key in known}
    if _plain(name) in plain:
        return known[plain[_plain(name)]]
    near = nearest_key(_plain(name), plain)
    hint = f"; did you mean {plain[near]}?" if near else "; see `medjepa data list`"
    raise ConfigError(f"no data set {name!r} in the catalogue{hint}. Your own is a file NAME.yaml")


def load_entries(path: str | Path) -> list[Entry]:
    """Read the entries of a YAML file: one, or a `family` with its `members`.

    Raises:
        ConfigError: it cannot be read; a key is unknown (with the nearest one), missing, or of
            another type; or the rules contradict each other.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be opened: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no UTF-8 text") from error
    return _build_all(text, str(path))


class _TextLoader(yaml.BaseLoader):
    """Every scalar stays text ("no" and "1.0" are names of classes too); no key twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: ANN401
        keys = [key.value for key, _ in node.value]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.YAMLError(
                f"line {node.start_mark.line + 1}: {', '.join(twice)} stands twice"
            )
        return super().construct_mapping(node, deep=deep)


def _build_all(text: str, origin: str) -> list[Entry]:
    try:
        content = yaml.load(text, Loader=_TextLoader)  # noqa: S506 - a BaseLoader makes text only
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{origin}: an entry is a mapping of keys, name: and so on")
    if _FAMILY not in content:
        return [_build_one(content, origin)]
    unknown = sorted(set(content) - {_FAMILY, _MEMBERS})
    if unknown:
        raise ConfigError(f"{origin}: unknown key {unknown[0]} beside {_FAMILY} and {_MEMBERS}")
    common: Any = content[_FAMILY]
    members: Any = content.get(_MEMBERS)
    if not isinstance(common, dict) or not isinstance(members, list):
        raise ConfigError(f"{origin}: {_FAMILY} is a mapping, {_MEMBERS} a list of mappings")
    if not all(isinstance(member, dict) for member in members):
        raise ConfigError(f"{origin}: every one of {_MEMBERS} is a mapping")
    return [_build_one(_merged(common, member), origin) for member in members]


def _merged(common: dict[str, Any], member: Any) -> dict[str, Any]:  # noqa: ANN401 - YAML
    """The member's keys over the family's, inside mappings too; lists are replaced."""
    merged = dict(common)
    for key, value in member.items():
        there = merged.get(key)
        if isinstance(value, dict) and isinstance(there, dict):
            merged[key] = _merged(there, value)
        else:
            merged[key] = value
    return merged


def _build_one(content: dict[str, Any], origin: str) -> Entry:
    entry: Entry = _build(Entry, content, origin, "")
    check_rules(entry, origin)
    return entry


def _build(kind: Any, given: object, origin: str, key: str) -> Any:  # noqa: ANN401 - a type
    if is_dataclass(kind):
        return _build_dataclass(kind, given, origin, key)
    if get_origin(kind) is Mapping or kind is Mapping:
        if not isinstance(given, dict):
            raise ConfigError(f"{origin}: {key} must be a mapping of names")
        value_kind = get_args(kind)[1]
        return {str(k): _build(value_kind, v, origin, f"{key}.{k}") for k, v in given.items()}
    if get_origin(kind) is tuple:
        if not isinstance(given, list):
            raise ConfigError(f"{origin}: {key} must be a list")
        item_kind = get_args(kind)[0]
        return tuple(
            _build(item_kind, item, origin, f"{key}[{number}]") for number, item in enumerate(given)
        )
    if isinstance(given, (dict, list)):
        raise ConfigError(f"{origin}: {key} must be a single value")
    return convert(Value(given, origin), kind, key)


def _build_dataclass(kind: Any, given: object, origin: str, key: str) -> Any:  # noqa: ANN401
    where = key or "the entry"
    if not isinstance(given, dict):
        raise ConfigError(f"{origin}: {where} must be a mapping of keys")
    hints = get_type_hints(kind)
    for name in given:
        if name not in hints:
            near = nearest_key(str(name), hints)
            hint = f"; did you mean {near}?" if near else f"; known keys: {', '.join(hints)}"
            raise ConfigError(f"{origin}: unknown key {name} in {where}{hint}")
    missing = [
        part.name
        for part in fields(kind)
        if part.default is MISSING and part.default_factory is MISSING and part.name not in given
    ]
    if missing:
        raise ConfigError(f"{origin}: {where} lacks {', '.join(missing)}")
    prefix = f"{key}." if key else ""
    return kind(
        **{name: _build(hints[name], value, origin, prefix + name) for name, value in given.items()}
    )


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())

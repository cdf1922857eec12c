"""From plain values to typed settings; every error names the key, where it stood, what it needs."""

import types
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from medjepa.config.columns import COLUMN_KEYS, column_name
from medjepa.config.schema import Config
from medjepa.errors import ConfigError

TRUE_WORDS, FALSE_WORDS = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
NONE_WORDS = ("none", "null", "~", "")


@dataclass(frozen=True)
class Value:
    """A value as the user gave it, and where: a file or "the command line"."""

    given: object
    origin: str


def build(values: Mapping[str, Value]) -> Config:
    """Build the configuration from dotted keys; what is not given has its default."""
    types_by_key = known_keys()
    sections: dict[str, dict[str, Any]] = {"": {}}
    for key, value in values.items():
        if key not in types_by_key:
            raise unknown_key(key, types_by_key, value.origin)
        section, _, name = key.rpartition(".")
        converted = convert(value, types_by_key[key], key)
        if key in COLUMN_KEYS:
            converted = _columns(converted)
        sections.setdefault(section, {})[name] = converted
    hints = get_type_hints(Config)
    parts = {name: hints[name](**settings) for name, settings in sections.items() if name}
    return Config(**parts, **sections[""])


def _columns(given: object) -> object:
    """Names of columns as tables are read."""
    if isinstance(given, tuple):
        return tuple(column_name(str(one)) for one in given)
    return column_name(given) if isinstance(given, str) else given


def known_keys() -> dict[str, Any]:
    """Return the type of every setting by its dotted key."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(Config).items():
        if is_dataclass(hint):
            found.update({f"{name}.{key}": kind for key, kind in get_type_hints(hint).items()})
        else:
            found[name] = hint
    return found


def documentation() -> dict[str, tuple[object, str]]:
    """Return (default, meaning) of every setting by its dotted key."""
    found: dict[str, tuple[object, str]] = {}
    for part in fields(Config):
        section = getattr(Config(), part.name)
        if is_dataclass(section):
            for entry in fields(section):
                found[f"{part.name}.{entry.name}"] = (entry.default, entry.metadata["doc"])
        else:
            found[part.name] = (part.default, part.metadata["doc"])
    return found


def unknown_key(key: str, known: Mapping[str, object], origin: str) -> ConfigError:
    """Word the error for a key that does not exist, with the nearest one that does."""
    nearest = nearest_key(key, known)
    hint = f"; did you mean {nearest}?" if nearest else f"; known keys: {', '.join(sorted(known))}"
    return ConfigError(f"{origin}: unknown setting {key}{hint}")


def nearest_key(key: str, known: Mapping[str, object]) -> str:
    """Return the known key most like `key`, "" if none is; its section may be missing."""
    last = key.rpartition(".")[2]
    for candidate in known:
        name = candidate.rpartition(".")[2]
        initials = "".join(word[0] for word in name.split("_") if word)
        # "learning_rate" without its section, "lr" for it, "epochs" for "num_epochs"
        if last in (name, initials if len(last) > 1 else None, name.removeprefix("num_")):
            return candidate
    by_end = {candidate.rpartition(".")[2]: candidate for candidate in known}
    whole = get_close_matches(key, list(known), n=1)
    end = get_close_matches(last, list(by_end), n=1)
    return (whole or [by_end[name] for name in end] or [""])[0]


def convert(value: Value, kind: Any, key: str) -> object:  # noqa: ANN401 - a type expression
    """Turn what the user gave into the type that the setting has.

    Raises:
        ConfigError: naming key, value and expected type.
    """
    given = value.given
    if isinstance(given, str) and given.startswith("[") and _takes_list(kind):
        try:
            # Every entry stays text until its type is known: the class no is not False, nor 01 1.
            given = yaml.load(given, Loader=yaml.BaseLoader)  # noqa: S506 - text, lists, no objects
        except yaml.YAMLError as error:
            raise _wrong(key, value, kind) from error
    try:
        return _convert(given, kind)
    except (ValueError, TypeError, OverflowError) as error:
        raise _wrong(key, value, kind) from error


def _wrong(key: str, value: Value, kind: Any) -> ConfigError:  # noqa: ANN401
    options = [str(option) for option in get_args(kind)] if get_origin(kind) is Literal else []
    nearest = get_close_matches(str(value.given).lower(), options, n=1)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    if isinstance(value.given, bool) or (
        isinstance(value.given, list) and any(isinstance(item, bool) for item in value.given)
    ):
        hint += "; in a file, words that YAML takes for true or false need quotes: 'yes', 'no'"
    return ConfigError(f"{value.origin}: {key}={value.given} must be {describe_type(kind)}{hint}")


def _takes_list(kind: Any) -> bool:  # noqa: ANN401
    return get_origin(kind) is tuple or any(_takes_list(part) for part in get_args(kind))


def _convert(given: object, kind: Any) -> object:  # noqa: ANN401
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _convert_union(given, parts)
    if origin is Literal:
        wanted = {str(option): option for option in parts}
        return wanted[str(given)] if str(given) in wanted else _refuse()
    if origin is tuple:
        return _convert_tuple(given, parts)
    if kind is bool:
        word = str(given).lower()
        return word in TRUE_WORDS if word in TRUE_WORDS + FALSE_WORDS else _refuse()
    if kind is str:
        # YAML makes True of yes and no: which of them a file said cannot be known any more.
        is_text = isinstance(given, (str, int, float)) and not isinstance(given, bool)
        return str(given) if is_text else _refuse()
    if isinstance(given, bool) or not isinstance(given, (str, int, float)):
        return _refuse()
    number = float(given)
    if kind is float:
        return number if number == number else _refuse()
    return int(number) if number == int(number) else _refuse()


def _convert_union(given: object, parts: tuple[Any, ...]) -> object:
    if type(None) in parts and (given is None or str(given).lower() in NONE_WORDS):
        return None
    # Lists only fit tuples, and text fits everything: so the strictest kind first, str last.
    order = sorted((p for p in parts if p is not type(None)), key=lambda part: part is str)
    for part in order:
        if isinstance(given, (list, tuple)) != (get_origin(part) is tuple):
            continue
        try:
            return _convert(given, part)
        except (ValueError, TypeError, OverflowError):
            continue
    return _refuse()


def _convert_tuple(given: object, parts: tuple[Any, ...]) -> object:
    if not isinstance(given, (list, tuple)):
        return _refuse()
    if len(parts) == 2 and parts[1] is Ellipsis:
        return tuple(_convert(item, parts[0]) for item in given)
    return tuple(_convert(item, part) for item, part in zip(given, parts, strict=True))


def _refuse() -> object:
    raise ValueError


def describe_type(kind: Any) -> str:  # noqa: ANN401
    """Name a type in words: "a whole number", "one of block, random"."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(describe_type(part) for part in parts)
    if origin is Literal:
        return "one of " + ", ".join(str(option) for option in parts)
    if origin is tuple:
        if parts[1:] == (Ellipsis,):
            return f"a list [a,b,...], each {describe_type(parts[0])}"
        return f"a list of {len(parts)}, each {describe_type(parts[0])}"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return words.get(kind, "none")

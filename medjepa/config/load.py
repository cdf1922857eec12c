"""Read settings: defaults, a model's sizes, a file, the command line, later wins; write them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import yaml

from medjepa.config.build import Value, build, documentation, known_keys, nearest_key
from medjepa.config.columns import written_columns
from medjepa.config.schema import Config
from medjepa.errors import ConfigError

COMMAND_LINE = "the command line"
_PRIVATE_MODE = 0o600
SHORTHANDS = {"model": "model.name", "data": "data.data_dir", "method": "model.method"}
"""A section's name with a plain value is short for its most used key; a method needs no section."""


def load_config(
    path: str | Path | None = None,
    overrides: Sequence[str] = (),
    presets: Mapping[str, Mapping[str, object]] | None = None,
) -> Config:
    """Build the configuration of a run.

    `path` is a YAML file with what differs from the defaults, `overrides` are "a.b=value"; later
    wins. `presets` maps a model's name to its sizes, which explicit settings override.

    Raises:
        ConfigError: for an unknown key or a value of the wrong type, naming key and origin.
    """
    values = read_yaml(Path(path)) if path else {}
    values.update(parse_overrides(overrides))
    return resolve(values, presets or {})


def resolve(values: Mapping[str, Value], presets: Mapping[str, Mapping[str, object]]) -> Config:
    """Add what a model's name and image size imply, and build."""
    implied: dict[str, Value] = {}
    name = values.get("model.name")
    # A resolved file carries name and sizes: there the sizes are explicit and win.
    if name is not None and name.given:
        if str(name.given) not in presets:
            nearest = nearest_key(str(name.given), presets)
            hint = f"; did you mean {nearest}?" if nearest else ""
            known = ", ".join(presets) or "none"
            raise ConfigError(f"{name.origin}: unknown model {name.given}{hint} (known: {known})")
        preset = presets[str(name.given)]
        implied = {
            f"model.{key}": Value(size, f"model={name.given}") for key, size in preset.items()
        }
    merged = {**implied, **values}
    if size := merged.get("model.image_size"):
        merged.setdefault("data.target_size", Value(_frame(size.given), size.origin))
    return build(merged)


def _frame(size: object) -> object:
    """Return the size of a slice or frame: of [z, y, x] or [t, y, x] the last two."""
    if isinstance(size, str) and size.count(",") == 2:
        return "[" + size.strip("[] ").split(",", 1)[1] + "]"
    return list(size[1:]) if isinstance(size, list | tuple) and len(size) == 3 else size


def read_yaml(path: Path) -> dict[str, Value]:
    """Read a settings file into dotted keys."""
    if path.is_dir():
        raise ConfigError(f"{path}: a folder, not a settings file; images are named by data={path}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot read the settings file: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    return flatten(content or {}, str(path))


def flatten(content: object, origin: str) -> dict[str, Value]:
    """Turn nested sections into dotted keys."""
    if not isinstance(content, dict):
        raise ConfigError(
            f"{origin}: settings are lines of `key: value`, got {type(content).__name__}"
        )
    sections = {key.partition(".")[0] for key in known_keys() if "." in key}
    values: dict[str, Value] = {}
    for name, entry in content.items():
        if isinstance(entry, dict) and name in sections:
            values.update({f"{name}.{key}": Value(value, origin) for key, value in entry.items()})
        elif entry is None and name in sections:  # a section of which every line is a comment
            continue
        elif name == "label" and isinstance(entry, list) and not _has_truths(entry):
            # As the command line writes several columns.
            values["label"] = Value(f"[{written_columns(map(str, entry))}]", origin)
        else:
            values[SHORTHANDS.get(str(name), str(name))] = Value(entry, origin)
    return values


def _has_truths(entries: list[object]) -> bool:
    """Whether YAML made True or False of a word: which one cannot be known any more."""
    return any(isinstance(entry, bool) for entry in entries)


def parse_overrides(overrides: Sequence[str]) -> dict[str, Value]:
    """Read "a.b=value" arguments; `model=`, `data=` and `method=` are short."""
    values: dict[str, Value] = {}
    for override in overrides:
        key, equals, given = override.partition("=")
        if not equals or not key:
            raise ConfigError(f"{COMMAND_LINE}: expected key=value, got {override!r}")
        values[SHORTHANDS.get(key, key)] = Value(given, COMMAND_LINE)
    return values


def to_dict(config: Config) -> dict[str, object]:
    """Return the settings as nested plain values: what YAML and JSON can hold."""
    plain = _plain(asdict(config))
    assert isinstance(plain, dict)
    return plain


def from_dict(content: Mapping[str, object], origin: str = "the checkpoint") -> Config:
    """Build the configuration from `to_dict`'s result."""
    return build(flatten(dict(content), origin))


def flat(config: Config) -> dict[str, object]:
    """Return the settings by dotted key."""
    return {key: value.given for key, value in flatten(to_dict(config), "").items()}


def save_yaml(config: Config, path: str | Path) -> None:
    """Write all settings, resolved, for their owner alone: they say where the images lie."""
    text = yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True)
    path = Path(path)
    path.touch(mode=_PRIVATE_MODE)
    path.chmod(_PRIVATE_MODE)  # an old file may be open to others
    path.write_text(text, encoding="utf-8")


def base_yaml() -> str:
    """Write the defaults as a file with a comment on every line: configs/base_config.yaml."""
    lines = [
        "# Every setting with its default. An experiment's file holds only what differs:",
        "#   medjepa pretrain configs/chest_xray.yaml data=DIR out=runs/NAME seed=1",
    ]
    section = ""
    entries = sorted(documentation().items(), key=lambda entry: "." not in entry[0])
    for key, (default, doc) in entries:
        head, _, name = key.rpartition(".")
        if head != section:
            lines += ["", f"{head}:"] if head else [""]
            section = head
        indent = "  " if head else ""
        lines.append(f"{indent}{name}: {show(default)}  # {doc}")
    return "\n".join(lines) + "\n"


def show(value: object) -> str:
    """Write a value as the command line and YAML take it."""
    text = yaml.safe_dump(_plain(value), default_flow_style=True, width=1000)
    return text.removesuffix("...\n").strip()


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value

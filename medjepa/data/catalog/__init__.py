"""Known data sets: what they hold, how to get them, how they lie on disk, and what leaks.

An entry is data (a YAML file), not code; everything is imported on first use.
"""

from importlib import import_module

_HOMES = {
    "CheckReport": "report",
    "Entry": "entry",
    "Item": "items",
    "Problem": "report",
    "Reader": "items",
    "Reading": "items",
    "check_entry": "checks",
    "download": "downloading",
    "entries": "loader",
    "entry_named": "loader",
    "load_entries": "loader",
    "read_items": "reading",
    "recognise": "reading",
    "unpack": "unpacking",
    "write_table": "table",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"medjepa.data.catalog.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

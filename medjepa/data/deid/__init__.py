"""De-identification of DICOM after PS3.15 Annex E, failing closed.

table.json holds the standard's table, allowed.txt what the strict profile lets through; what
neither names does not leave. `clean_header` makes a new data set and never edits the old one.
"""

from importlib import import_module

_HOMES = {
    "Options": "options",
    "Pseudonyms": "pseudonyms",
    "Quarantined": "engine",
    "anonymize": "job",
    "anonymize_dicom": "single",
    "clean_header": "engine",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"medjepa.data.deid.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

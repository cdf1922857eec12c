"""Which files make one volume of a 3-D store, before any header is read."""

from collections.abc import Sequence

from medjepa.data.contrast_files import with_contrasts
from medjepa.data.files import Found
from medjepa.data.header_pass import Unit
from medjepa.data.label_files import label_maps_among


def images_among(found: Sequence[Found], dimensions: int, pattern: str | None) -> list[Found]:
    """The files that may be images: of a 3-D store those that are no label maps."""
    if dimensions == 2 or pattern is not None:
        return list(found)
    left_out = label_maps_among(found)
    return [entry for entry in found if (entry.source, entry.relative) not in left_out]


def volume_units(
    units: Sequence[Unit], contrasts: Sequence[str], pattern: str | None
) -> tuple[list[Unit], dict[tuple[int, str], str]]:
    """Leave out label maps, and put the contrasts of a case together; the reasons by file.

    With a `pattern` the user has named the files, and a label map is as welcome as any.
    """
    left_out: dict[tuple[int, str], str] = {}
    if pattern is None:
        left_out = label_maps_among([entry for unit in units for entry in unit.files])
    kept = [u for u in units if (u.files[0].source, u.files[0].relative) not in left_out]
    if not contrasts:
        return kept, left_out
    together, others = with_contrasts(kept, contrasts)
    return together, left_out | others

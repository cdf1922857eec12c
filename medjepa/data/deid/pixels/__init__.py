"""Pixels without what could name a patient: unused bits, stream comments, text burned in.

BurnedInAnnotation = NO, or its absence, proves nothing: the kind of object and the pixels decide.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from medjepa.data.decode.dicom_library import errors
from medjepa.data.deid.options import Options
from medjepa.data.deid.pixels.faces import face_warning
from medjepa.data.deid.pixels.native import clean_native
from medjepa.data.deid.pixels.ocr import OcrError, read_text
from medjepa.data.deid.pixels.regions import apply_rules
from medjepa.data.deid.pixels.risk import needs_regions, why_at_risk
from medjepa.data.deid.pixels.streams import clean_streams
from medjepa.data.deid.pixels.text_marks import blank_text, find_text
from medjepa.data.deid.pixels.ultrasound import keep_regions
from medjepa.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

__all__ = ["PixelResult", "clean_pixels"]


@dataclass
class PixelResult:
    """What became of the pixels.

    Attributes:
        steps: what was changed.
        quarantine: why the file must not leave; "" if it may.
        warnings: what its owner should know.
    """

    steps: list[str] = field(default_factory=list)
    quarantine: str = ""
    warnings: list[str] = field(default_factory=list)


def clean_pixels(target: Dataset, source: Dataset, options: Options) -> PixelResult:
    """Clean the pixels of `target` in place; `source` is the original, for what its header said."""
    result = PixelResult()
    try:
        _clean(target, source, options, result)
    except InputError as error:
        result.quarantine = f"its pixels cannot be decoded ({error.reason})"
    except errors() as error:
        result.quarantine = f"its pixels cannot be decoded ({type(error).__name__})"
    except MemoryError:
        result.quarantine = "its pixels need more memory than there is"
    return result


def _clean(target: Dataset, source: Dataset, options: Options, result: PixelResult) -> None:
    if target.file_meta.TransferSyntaxUID.is_encapsulated:
        result.quarantine = clean_streams(target, result.steps)
    else:
        result.quarantine = clean_native(target, result.steps)
    if result.quarantine:
        return
    covered = bool(options.regions) and apply_rules(target, source, options.regions, result.steps)
    # Whoever lists a device in a catalogue has looked at its images.
    if needs_regions(source):
        reason = keep_regions(target, source, result.steps)
        result.quarantine = "" if covered else reason
    elif not covered:
        result.quarantine = why_at_risk(source)
    if not result.quarantine:
        _look_for_text(target, options, result, is_ultrasound=needs_regions(source))
    warning = face_warning(source)
    if warning:
        result.warnings.append(warning)


def _look_for_text(
    target: Dataset, options: Options, result: PixelResult, *, is_ultrasound: bool
) -> None:
    found = find_text(target)
    if options.ocr:
        try:
            found += read_text(target)
        except OcrError as error:
            result.quarantine = f"its text cannot be looked for: {error}"
            return
    if found and options.clean_pixels == "blank":
        blank_text(target, found, result.steps)
    elif found and is_ultrasound:
        # Scales and settings stand inside the regions of nearly every machine.
        result.warnings.append("marks like text inside the ultrasound regions: look at a few")
    elif found:
        result.quarantine = (
            f"marks like text in the image ({len(found)} places); look at it, or use "
            "clean_pixels=blank"
        )

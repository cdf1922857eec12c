"""One file of a job, in a process of its own: cleaned, and left in the private folder."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medjepa.data.decode.sniff import UnknownContentError, sniff, suffix_of
from medjepa.data.deid.identity import Quarantined
from medjepa.data.deid.options import Options
from medjepa.data.deid.pixels.faces import FACE
from medjepa.data.deid.pseudonyms import Pseudonyms
from medjepa.data.deid.single import clean_file
from medjepa.errors import InputError


@dataclass(frozen=True)
class Outcome:
    """What became of one file; private.

    Attributes:
        status: "written", "waiting" (for its face to be removed), "quarantined" or "skipped".
        reason: why not written.
        place: where it belongs below the output folder.
        digest: of the written bytes.
        patient: PatientID as it was, "" if it has none.
        pseudonym: what stands there now.
        known_by: how the patient was known.
        device: what the header said of scanner and hospital.
        steps: what was done to the pixels.
        doubts: what the owner should know.
    """

    status: Literal["written", "waiting", "quarantined", "skipped"]
    reason: str = ""
    place: str = ""
    digest: str = ""
    patient: str = ""
    pseudonym: str = ""
    known_by: str = ""
    device: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def clean_one(path: str, pseudonyms: Pseudonyms, options: Options, pending: str) -> Outcome:
    """Clean one file into `pending`; whatever goes wrong keeps it out of the output."""
    try:
        kind = sniff(path)
    except UnknownContentError as error:
        if suffix_of(path) in (".dcm", ".dicom"):
            return Outcome("quarantined", reason=error.reason)
        return Outcome("skipped", reason="not a DICOM file")
    except InputError as error:
        return Outcome("quarantined", reason=error.reason)
    if kind != "DICOM":
        return Outcome("skipped", reason=f"not a DICOM file ({kind})")
    try:
        cleaned = clean_file(path, pseudonyms, options)
    except InputError as error:
        return Outcome("quarantined", reason=error.reason)
    except Quarantined as error:
        return Outcome("quarantined", reason=str(error))
    except MemoryError:
        return Outcome("quarantined", reason="it needs more memory than a process may take")
    dataset = cleaned.dataset
    place = "/".join(
        [cleaned.identity.pseudonym, dataset.StudyInstanceUID, dataset.SeriesInstanceUID,
         f"{dataset.SOPInstanceUID}.dcm"]
    )  # fmt: skip
    _write(pending_file(pending, path), cleaned.content)
    has_face = bool(options.clean_faces) and FACE in cleaned.doubts
    return Outcome(
        "waiting" if has_face else "written",
        place=place,
        digest=hashlib.sha256(cleaned.content).hexdigest(),
        patient=cleaned.identity.key,
        pseudonym=cleaned.identity.pseudonym,
        known_by=cleaned.identity.known_by,
        device=cleaned.device,
        steps=cleaned.steps,
        doubts=cleaned.doubts,
    )


def pending_file(pending: str, path: str) -> Path:
    """Where a cleaned file waits until the job has given it its place."""
    name = hashlib.sha256(os.fsencode(path)).hexdigest()
    return Path(pending) / f"{name[:32]}.dcm"


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())

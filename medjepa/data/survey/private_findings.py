"""What names a patient: headers, paths, metadata of pictures, text burned in. Keywords only."""

from collections import Counter
from collections.abc import Iterable, Mapping

from medjepa.data.survey.closer import Closer
from medjepa.data.survey.examine import Seen
from medjepa.data.survey.findings import Finding, counted, single
from medjepa.data.survey.identity import dated

_PLACES = ("GPS",)


def naming(seen: Mapping[int, Seen], paths: Mapping[int, str]) -> list[Finding]:
    """Headers and paths that name a patient; metadata of pictures that may."""
    found = []
    if named := [n for n, one in seen.items() if one.identifying]:
        num_dicom = sum(one.format == "DICOM" for one in seen.values())
        title = (
            f"{len(named):,} of {counted(num_dicom, 'DICOM header')} with the patient's identity"
        )
        text = (
            "PatientIdentityRemoved is not YES. `prepare` refuses them: de-identify first, or add "
            "privacy=allow if you may use them as they are. Attributes with a value: "
            + _counts(k for n in named for k in seen[n].identifying)
        )
        found.append(Finding("header_names", "bad", title, text, single(named)))
    if in_path := [n for n, one in seen.items() if one.in_path]:
        title = f"{counted(len(in_path), 'path')} with what the file's header says of the patient"
        text = (
            "Names of files and folders travel further than their content. `anonymize` gives new "
            "ones. Found in paths: " + _counts(k for n in in_path for k in seen[n].in_path)
        )
        found.append(Finding("path_names", "bad", title, text, single(in_path)))
    if with_date := [n for n, path in paths.items() if dated(path)]:
        title = f"{counted(len(with_date), 'path')} with a date"
        text = "A day of birth or of an examination helps to find a person; a version number not."
        found.append(Finding("path_dates", "note", title, text, single(with_date)))
    if at_risk := [n for n, one in seen.items() if one.at_risk]:
        title = f"{counted(len(at_risk), 'DICOM file')} of kinds that often have text burned in"
        text = (
            "Ultrasound, secondary captures, photographs, film: names stand in such images. The "
            "pictures of them on this page are coarse on purpose."
        )
        found.append(Finding("kinds_with_text", "unsure", title, text, single(at_risk)))
    if located := [n for n, one in seen.items() if "GPS" in one.remarks]:
        title = f"{counted(len(located), 'picture')} with the place where they were taken"
        text = "GPS coordinates in the EXIF data. `prepare` keeps pixels only; originals keep them."
        found.append(Finding("gps", "bad", title, text, single(located)))
    remarked = [n for n, one in seen.items() if set(one.remarks) - set(_PLACES)]
    if remarked:
        title = f"{counted(len(remarked), 'picture')} with metadata about their making"
        text = (
            "They may name a person or a day; `prepare` keeps pixels only. Fields with a value: "
            + _counts(k for n in remarked for k in seen[n].remarks if k not in _PLACES)
        )
        found.append(Finding("picture_metadata", "note", title, text, single(remarked)))
    return found


def burned_in(closer: Mapping[int, Closer], num_images: int) -> list[Finding]:
    """Images in which marks stand in a row like letters."""
    marked = [n for n, one in closer.items() if one.num_rows]
    if not marked:
        return []
    looked = counted(len(closer), "image")
    title = f"{len(marked):,} of {looked} looked at with marks like burned-in text"
    text = (
        "Marks in a row, like letters; it may be a name or a scale, or no text at all. Look at "
        "them. `anonymize` holds such DICOM files back, or blanks the marks (clean_pixels=blank)."
    )
    if len(closer) < num_images:
        text += (
            f" The look is slow: {len(closer):,} of {num_images:,} were drawn; text=all takes all."
        )
    return [Finding("burned_in_text", "unsure", title, text, single(marked))]


def _counts(keywords: Iterable[str]) -> str:
    tally = Counter(keywords)
    return ", ".join(f"{name} {count:,}" for name, count in tally.most_common()) + "."

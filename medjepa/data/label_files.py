"""Which files are label maps, by their names and places, and to which image one belongs."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePosixPath

from medjepa.data.contrast_files import words_of
from medjepa.data.files import Found
from medjepa.data.tables import stem_of

LABEL_WORDS = ("seg", "mask", "label", "labels", "segmentation", "gt")
"""A word of a volume's name that makes it a label map."""
FOLDERS = {"imagestr": "labelsTr", "imagests": "labelsTs", "images": "labels", "image": "label"}
"""The folder of images, in small letters, and that of their label maps beside it."""
REASON = "a label map by its name and place (data.pattern takes it)"
_VOLUMES = (".nii", ".nii.gz", ".hdr", ".img", ".npy")


def label_maps_among(found: Sequence[Found]) -> dict[tuple[int, str], str]:
    """The volumes that are label maps, each with the reason for leaving it out.

    In labelsTr beside imagesTr, in labels beside images, or with a word such as "seg" or "mask" in
    the name while the folder holds other volumes.
    """
    folders = {(e.source, str(PurePosixPath(e.relative).parent).lower()) for e in found}
    volumes = [e for e in found if e.relative.lower().endswith(_VOLUMES)]
    named = {id(e) for e in volumes if set(words_of(e.relative)) & set(LABEL_WORDS)}
    with_others = {
        (e.source, str(PurePosixPath(e.relative).parent)) for e in volumes if id(e) not in named
    }
    result = {}
    for entry in volumes:
        folder = PurePosixPath(entry.relative).parent
        beside = {
            (entry.source, str(folder.with_name(images)).lower())
            for images, labels in FOLDERS.items()
            if folder.name.lower() == labels.lower()
        }
        if beside & folders or (id(entry) in named and (entry.source, str(folder)) in with_others):
            result[entry.source, entry.relative] = REASON
    return result


def label_of(image: str, files: Collection[str]) -> str | None:
    """The label map among `files` that belongs to an image, all below one folder; None without.

    Raises:
        ValueError: several fit; it names them.
    """
    for names in _places(image):
        fitting = sorted(path for path in files if _key(path) in names and path != image)
        if len(fitting) > 1:
            raise ValueError(f"several label maps fit {image}: {', '.join(fitting[:3])}")
        if fitting:
            return fitting[0]
    return None


def _places(image: str) -> Iterator[set[str]]:
    """Where a label map may be, the likelier place first: folder and name without ending."""
    path = PurePosixPath(image)
    stem = stem_of(image)
    # The number of a channel, as nnU-Net writes it, is not in the label's name.
    stems = {stem, stem[:-5]} if stem[-5:-4] == "_" and stem[-4:].isdigit() else {stem}
    for depth, part in enumerate(path.parts[:-1]):
        if part.lower() in FOLDERS:
            folder = PurePosixPath(
                *path.parts[:depth], FOLDERS[part.lower()], *path.parts[depth + 1 : -1]
            )
            yield {_key(str(folder / name)) for name in stems}
    joints = [(stem[: -len(word) - 1], stem[-len(word) - 1]) for word in _last_word(stem)]
    joints += [(name, mark) for name in stems for mark in "_-."]
    yield {
        _key(str(path.with_name(f"{name}{mark}{word}"))) for name, mark in joints
        for word in LABEL_WORDS
    }  # fmt: skip


def _last_word(stem: str) -> list[str]:
    """The last word of a name, which may be that of a contrast."""
    words = words_of(stem)
    return words[-1:] if len(words) > 1 and not words[-1].isdigit() else []


def _key(path: str) -> str:
    """Folder and name without ending, in small letters."""
    return str(PurePosixPath(path).with_name(stem_of(path) or path)).lower()

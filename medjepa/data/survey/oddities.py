"""Images that are blank, masks, inverted, or far from the others of their kind."""

from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np

from medjepa.data.survey.examine import MASK_VALUES, Seen
from medjepa.data.survey.findings import Finding, Level, counted, single

MIN_ALIKE = 8
"""Images of one kind from which on one can be told to be unlike the others."""

OUTLIER = 6.0
"""Robust z (median and MAD) from which a spacing, size or grey level is named."""

MOST_OUTLIERS = 0.1
"""Share of the images of one kind that can be outliers."""

COHERENT, INVERTED = 0.66, -0.4
"""Correlation with the typical picture: of the median image at least, of an inverted one at most;
measured in docs/how-to/inspect.md."""

_LOG_FLOOR = 0.05
_ROUNDS = 30


def empty_images(seen: Mapping[int, Seen]) -> list[Finding]:
    """Images, slices and frames that show nothing, and pictures of a few values only."""
    found = []
    if constant := [n for n, one in seen.items() if one.constant]:
        text = "Every value is the same: a failed export or an empty frame. Leave them out."
        title = f"{counted(len(constant), 'image')} without any structure"
        found.append(Finding("constant", "bad", title, text, single(constant)))
    masks = [n for n, one in seen.items() if not one.constant and one.is_mask]
    if masks:
        text = (
            f"At most {MASK_VALUES} different values: segmentation masks or drawings. Do not "
            "pre-train on them; `data.pattern` chooses files by name."
        )
        title = f"{counted(len(masks), 'file')} with few values, like masks"
        found.append(Finding("masks", "unsure", title, text, single(masks)))
    blank = [n for n, one in seen.items() if not one.constant and _is_blank(one)]
    if blank := [n for n in blank if n not in set(masks)]:
        text = "98 % of the values of the middle plane are equal, or within 2 of 256 grey levels."
        title = f"{counted(len(blank), 'image')} nearly blank"
        found.append(Finding("nearly_blank", "unsure", title, text, single(blank)))
    if partly := [n for n, one in seen.items() if one.num_constant]:
        count = sum(seen[n].num_constant for n in partly)
        title = f"{counted(count, 'constant plane')} in {counted(len(partly), 'volume or clip')}"
        text = "Often the ends of a volume; `prepare` leaves them out and counts them."
        found.append(Finding("constant_slices", "note", title, text, single(partly)))
    return found


def inverted(seen: Mapping[int, Seen]) -> list[Finding]:
    """Images whose dark and bright are swapped, against the typical image of their kind."""
    flipped: list[int] = []
    for numbers in _alike(seen, _kind_and_view).values():
        looks = np.stack([_look(seen[n]) for n in numbers])
        flipped += [numbers[i] for i in np.flatnonzero(looks_inverted(looks))]
    if not flipped:
        return []
    title = f"{counted(len(flipped), 'image')} probably inverted"
    text = (
        "Bright where the others of their kind are dark: a PNG or JPEG of a MONOCHROME1 "
        "radiograph, say. Look at them, and invert or leave out what is wrong."
    )
    return [Finding("inverted", "unsure", title, text, single(sorted(flipped)))]


def looks_inverted(looks: np.ndarray) -> np.ndarray:
    """(N, 16, 16) to (N,) bool: unlike the typical picture, where there is one.

    The typical picture is the first principal component of the pictures, each of mean 0 and length
    1, with the sign of the majority: up to nearly half of them may be inverted.
    """
    pictures = looks.reshape(len(looks), -1).astype(np.float32)
    pictures = pictures - pictures.mean(axis=1, keepdims=True)
    pictures /= np.linalg.norm(pictures, axis=1, keepdims=True) + 1e-6
    typical = pictures.mean(axis=0) + 1e-3 * pictures[0]
    for _ in range(_ROUNDS):  # power iteration
        typical = (pictures @ typical) @ pictures
        typical /= np.linalg.norm(typical) + 1e-9
    score = pictures @ typical
    if (score < 0).mean() > 0.5:
        score = -score
    if np.median(np.abs(score)) < COHERENT:
        return np.zeros(len(looks), dtype=bool)
    flipped: np.ndarray = score < INVERTED
    return flipped


def outliers(seen: Mapping[int, Seen]) -> list[Finding]:
    """Spacings, sizes and grey levels far from the others of their kind."""
    found = []
    for kind, what, measure, text in (
        ("spacing", "pixel spacing", _log_spacing,
         "A wrong calibration, another protocol, or a header in other units."),
        ("size", "image size", _log_size, "Cropped, stitched, or of another source."),
        ("intensity", "grey levels", _grey_levels,
         "Another exposure, another window, or values in other units."),
    ):  # fmt: skip
        far: list[tuple[float, int]] = []
        for numbers in _alike(seen, lambda one: (one.modality, one.axes, one.dtype)).values():
            rows = [(n, value) for n in numbers if (value := measure(seen[n])) is not None]
            if len(rows) >= MIN_ALIKE:
                scores = _robust_z(np.array([value for _, value in rows]), kind == "intensity")
                beyond = scores > OUTLIER
                # More of them are no outliers but a second kind, which the counts show.
                if beyond.mean() <= MOST_OUTLIERS:
                    far += [(float(scores[i]), rows[i][0]) for i in np.flatnonzero(beyond)]
        if far:
            far.sort(key=lambda item: (-item[0], item[1]))
            title = f"{counted(len(far), 'image')} far from the others in {what}"
            details = tuple(f"robust z {z:.0f}" for z, _ in far)
            files = single([n for _, n in far])
            level: Level = "note" if kind == "intensity" else "unsure"
            found.append(Finding(f"{kind}_outliers", level, title, text, files, details))
    return found


def _kind_and_view(one: Seen) -> tuple[str | bool, ...]:
    said = (one.facts.get(name, "") for name in ("modality", "body_part", "view"))
    return (
        one.format if one.format == "DICOM" else "",
        one.modality,
        one.axes,
        one.coloured,
        *said,
    )


def _is_blank(one: Seen) -> bool:
    low, _, high = one.values
    return high - low <= (2 if one.dtype == "uint8" else 0)


def _robust_z(values: np.ndarray, linear: bool) -> np.ndarray:
    """Largest |z| over the columns of (N, D), from median and MAD."""
    centre = np.median(values, axis=0)
    spread = 1.4826 * np.median(np.abs(values - centre), axis=0)
    # Where most are equal the MAD is 0, and a trifle would be an outlier.
    if linear:
        least = np.full(values.shape[1], 0.1 * (np.ptp(np.median(values, axis=0)) or 1e-6))
    else:
        least = np.full(values.shape[1], _LOG_FLOOR)
    z: np.ndarray = (np.abs(values - centre) / np.maximum(spread, least)).max(axis=1)
    return z


def _log_spacing(one: Seen) -> list[float] | None:
    steps = one.spacing[-2:]
    return [float(np.log(s)) for s in steps] if len(steps) == 2 and min(steps) > 0 else None


def _log_size(one: Seen) -> list[float] | None:
    return [float(np.log(n)) for n in one.shape[-2:]]


def _grey_levels(one: Seen) -> list[float] | None:
    return None if one.constant else list(one.values)


def _alike(seen: Mapping[int, Seen], key: Callable[[Seen], object]) -> dict[object, list[int]]:
    groups: dict[object, list[int]] = defaultdict(list)
    for number, one in seen.items():
        if not one.constant and not one.is_mask:
            groups[key(one)].append(number)
    return {name: numbers for name, numbers in groups.items() if len(numbers) >= MIN_ALIKE}


def _look(one: Seen) -> np.ndarray:
    assert one.look is not None
    return one.look

"""Rows of the frozen table from a stage's results.json: every number that has an interval.

A row is a set, a protocol, a method and a metric, with what the number says of itself: interval, n
and seed. Nothing is computed here.
"""

from collections.abc import Iterator
from typing import Any

LINEAR, NEIGHBOURS, DIFFERENCE = "linear probe", "kNN, k = 20", "pre-trained minus this, paired"
_FEATURES = ("features", "Features")
_COUNTS = {"Test images": "num_images", "Images": "num_images", "Patients": "num_patients",
           "Test patients": "num_patients"}  # fmt: skip

Row = dict[str, Any]


def rows_of(found: dict[str, Any], *, set_name: str, stage: str) -> list[Row]:
    """All rows of one results.json, of `evaluate` or of `finetune` with masks or boxes."""
    evaluated = "methods" in found
    shared = {
        "set": set_name,
        "stage": stage,
        "num_images": found["num_test"] if evaluated else found["num_cases"],
        "num_patients": _patients(found, evaluated),
        "seed": found["seed"],
        "seeds_of_training": found["seeds"] if evaluated else found["rows"][0]["seeds"],
        "verdict": found["verdict"]["outcome"],
    }
    parts = [_table, _shortcuts, _sections] if evaluated else [_networks]
    return [_joined(shared, row) for part in parts for row in part(found)]


def _joined(shared: Row, row: Row) -> Row:
    """The row with what all rows of its stage have; patients are those of its own images."""
    others = row.get("num_images", shared["num_images"]) != shared["num_images"]
    unknown = {"num_patients": None} if others else {}
    return {**shared, **unknown, **row}


def _patients(found: dict[str, Any], evaluated: bool) -> int | None:
    """None where nobody names patients: the interval is then over images."""
    if evaluated:
        number: int | None = found["num_test_patients"]
        return number
    return found["num_patients"] if found["patients_known"] else None


def _table(found: dict[str, Any]) -> Iterator[Row]:
    for method in found["methods"]:
        for key, protocol in (("probe", LINEAR), ("knn", NEIGHBOURS)):
            for metric, name in (("auc", "AUC"), ("balanced_accuracy", "balanced accuracy")):
                yield _row(protocol, method["title"], name, method[key][metric])
    titles = {method["key"]: method["title"] for method in found["methods"]}
    for one in found["comparisons"]:
        if one["against"] in titles:
            yield _row(LINEAR, titles[one["against"]], f"AUC, {DIFFERENCE}", one["difference"])


def _shortcuts(found: dict[str, Any]) -> Iterator[Row]:
    titles = {method["key"]: method["title"] for method in found["methods"]}
    for one in found["shortcuts"]:
        column = one["column"]
        counts = {"num_images": one["num_images"]}
        yield {**_row("shortcuts", f"Column {column}", "AUC of the label", one["alone"]), **counts}
        for key, estimate in one["embedding"].items():
            yield {**_row("shortcuts", titles[key], f"AUC of {column}", estimate), **counts}
        for key, estimate in one["within"].items():
            row = _row("shortcuts", titles[key], f"AUC of the label within one {column}", estimate)
            yield {**row, "num_images": one["num_within"]}


def _sections(found: dict[str, Any]) -> Iterator[Row]:
    """Every cell with an interval; words and whole numbers of its row say what it is of."""
    for section in found["sections"]:
        columns = section["columns"]
        of = next((n for n, name in enumerate(columns) if name in _FEATURES), 0)
        for cells in section["rows"]:
            named = list(zip(columns, cells, strict=True))
            counts = {_COUNTS[name]: cell for name, cell in named if name in _COUNTS
                      and isinstance(cell, int)}  # fmt: skip
            # Of whole numbers only the first says what a row is of (5 shots).
            words = [
                f"{cell} {name}" if isinstance(cell, int) else str(cell)
                for place, (name, cell) in enumerate(named)
                if place != of and cell and (isinstance(cell, str) or _is_first(place, cell))
            ]
            protocol = ", ".join([section["title"], *words])
            for name, cell in named:
                if isinstance(cell, dict):
                    yield {**_row(protocol, str(cells[of]), name, cell), **counts}


def _is_first(place: int, cell: object) -> bool:
    return place == 0 and isinstance(cell, int)


def _networks(found: dict[str, Any]) -> Iterator[Row]:
    budget = found["budget"]
    for row in found["rows"]:
        if "foreground" in row:
            unit = found["distance_unit"]
            names = {"dice": "Dice", "iou": "IoU", "hd95": f"95 % distance, {unit}",
                     "mean_distance": f"mean distance, {unit}"}  # fmt: skip
            scores = {names[key]: one for key, one in row["foreground"]["scores"].items()}
            protocol = f"segmentation, {budget}"
        else:
            names = {"mean_ap": "mAP@[.5:.95]", "ap50": "mAP@.5"}
            scores = {names[key]: one for key, one in row["scores"].items()}
            for rate, one in zip(found["rates"], row["sensitivities"], strict=True):
                scores[f"found at {rate:g} false positives an image"] = one
            protocol = f"detection, {budget}"
        for name, estimate in scores.items():
            yield _row(protocol, row["title"], name, estimate)


def _row(protocol: str, method: str, metric: str, estimate: dict[str, Any]) -> Row:
    return {
        "protocol": protocol,
        "method": method,
        "metric": metric,
        "value": estimate["value"],
        "low": estimate["low"],
        "high": estimate["high"],
    }


ORDER = ("clean, AUC", "Linear, AUC", "difference")
"""Heads that come first; the others follow as they are found."""


def columns_of(rows: list[Row]) -> tuple[list[str], dict[str, dict[str, Row]]]:
    """What a page shows of a stage: heads, and for each method the row below each head."""
    heads: list[str] = []
    body: dict[str, dict[str, Row]] = {}
    for row in rows:
        found = _headline(row)
        if found is None:
            continue
        method, head = found
        if head not in heads:
            heads.append(head)
            heads.sort(key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
        body.setdefault(method, {})[head] = row
    return heads, body


def _headline(row: Row) -> tuple[str, str] | None:
    """The line and the column of a row on the page; None where it is for table.csv alone."""
    protocol, method, metric = row["protocol"], row["method"], row["metric"]
    title = protocol.split(", ")[0]
    if row["stage"].endswith("-across"):
        place = protocol.rpartition(", ")[2]
        return (f"{method}, {place}", metric) if "→" in place else None
    if row["stage"].endswith("-robustness"):
        kind = protocol.partition(", ")[2]
        if title == _SPOILT and metric == "Drop at 5":
            return method, kind
        return (method, "clean, AUC") if (title, kind) == (_SPOILT, "none") else None
    if (protocol, metric) in _MAIN_HEADS:
        return method, _MAIN_HEADS[protocol, metric]
    if protocol == f"{_FEW}, 5 shots, nearest class mean" and metric.startswith("AUC"):
        return method, "5 labels a class, AUC"
    if title == "Calibration" and method.endswith(_TEMPERED) and metric == "ECE, equal mass":
        return method.removesuffix(_TEMPERED), "ECE, tempered"
    if title.startswith(("segmentation", "detection")) or row["stage"].endswith("-findings"):
        few = "multilabel" in protocol or title.startswith(("segmentation", "detection"))
        return (method, metric) if few else None
    return None


_MAIN_HEADS = {
    (LINEAR, "AUC"): "Linear, AUC",
    (LINEAR, f"AUC, {DIFFERENCE}"): "difference",
    (LINEAR, "balanced accuracy"): "Linear, balanced accuracy",
    (NEIGHBOURS, "AUC"): "kNN, AUC",
}
_FEW, _TEMPERED = "With a handful of labels", ", with temperature"
_SPOILT = "Spoilt test images"

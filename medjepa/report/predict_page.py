"""The page of `medjepa predict`: what the predictions are worth, and where they lie."""

import json
from collections.abc import Mapping
from pathlib import Path

from medjepa.data.files import write_atomic
from medjepa.evaluation.predict import above_chance
from medjepa.evaluation.predict_files import Predicted, as_numbers, sections, warnings_of
from medjepa.evaluation.verdict import interval, share
from medjepa.report.cells import written
from medjepa.report.html import template


def headline(predicted: Predicted) -> str:
    """The first sentence, alike on the page and in the terminal."""
    auc = predicted.performance[0].values["auc"]
    known = "better than chance" if above_chance(predicted.performance[0]) else "cannot tell"
    return (
        f"{known}: cross-validated AUC {share(auc.value)} {interval(auc)} of telling "
        f"{predicted.task.label} on patients that were not learnt from"
    )


def write_page(predicted: Predicted, out: Path, run: Mapping[str, str]) -> Path:
    """Write index.html and results.json; returns the page."""
    numbers = json.dumps(as_numbers(predicted, run), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(out / "results.json", (numbers + "\n").encode())
    page = template("predict.html.j2").render(
        predicted=predicted,
        headline=headline(predicted),
        outcome_style="good" if above_chance(predicted.performance[0]) else "unsure",
        warnings=warnings_of(predicted),
        sections=sections(predicted),
        written=written,
        run=run,
    )
    write_atomic(out / "index.html", page.encode())
    return out / "index.html"

"""The page of `medjepa predict`: what the predictions are worth, and where they lie."""

from collections.abc import Mapping
from pathlib import Path

from medjepa.evaluation.predict import above_chance
from medjepa.evaluation.predict_files import Predicted, as_numbers, sections, warnings_of
from medjepa.evaluation.verdict import interval, share
from medjepa.report.cells import written
from medjepa.report.html import template
from medjepa.report.write import PAGE, write_files


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
    page = template("predict.html.j2").render(
        predicted=predicted,
        headline=headline(predicted),
        outcome_style="good" if above_chance(predicted.performance[0]) else "unsure",
        warnings=warnings_of(predicted),
        sections=sections(predicted),
        written=written,
        run=run,
    )
    write_files(out, page, as_numbers(predicted, run), {})
    return out / PAGE

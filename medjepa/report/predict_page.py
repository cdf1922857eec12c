"""The page of `medjepa predict`: what the predictions are worth, and where they lie."""

from collections.abc import Mapping
from pathlib import Path

from medjepa.evaluation.predict import above_chance
from medjepa.evaluation.predict_files import Predicted, as_numbers, sections, warnings_of
from medjepa.evaluation.verdict import MIN_PATIENTS, interval, share
from medjepa.report.cells import written
from medjepa.report.html import template
from medjepa.report.write import PAGE, write_files


def headline(predicted: Predicted) -> str:
    """The first sentence, alike on the page and in the terminal."""
    auc, num = predicted.performance[0].values["auc"], predicted.num_patients
    known = "better than chance" if _is_known(predicted) else "cannot tell"
    who = f"{len(predicted.task.target):,} labelled images"
    who += ", patients unknown" if num is None else f" of {num:,} patients"
    return (
        f"{known}: cross-validated AUC {share(auc.value)} {interval(auc)} of telling "
        f"{predicted.task.label} on {'images' if num is None else 'patients'} that were not learnt "
        f"from ({who})"
    )


def _is_known(predicted: Predicted) -> bool:
    """Whether the first line may say it: fewer than `MIN_PATIENTS` decide nothing."""
    num = predicted.num_patients or len(predicted.task.target)
    return num >= MIN_PATIENTS and above_chance(predicted.performance[0])


def write_page(predicted: Predicted, out: Path, run: Mapping[str, str]) -> Path:
    """Write index.html and results.json; returns the page."""
    page = template("predict.html.j2").render(
        predicted=predicted,
        headline=headline(predicted),
        outcome_style="good" if _is_known(predicted) else "unsure",
        warnings=warnings_of(predicted),
        sections=sections(predicted),
        written=written,
        run=run,
    )
    write_files(out, page, as_numbers(predicted, run), {})
    return out / PAGE

"""What a reader of scores without labels should know before he chooses by them."""

from collections.abc import Sequence

from medjepa.evaluation.choice import CheckpointRow
from medjepa.evaluation.rank_correlation import MIN_CHECKPOINTS
from medjepa.evaluation.verdict import MIN_PATIENTS


def warnings_of(
    rows: Sequence[CheckpointRow],
    *,
    loss_differs: str,
    num_images: int,
    num_patients: int,
    known: bool,
    one_run: bool,
    by_label: bool,
) -> list[str]:
    """Word them, the gravest first.

    Args:
        rows: checkpoints.
        loss_differs: why training losses are not compared; "" if they are.
        num_images: that were embedded.
        num_patients: of these; of images where no patient is known.
        known: whether patients are known.
        one_run: whether several checkpoints are of one run.
        by_label: whether a probe checked the scores.
    """
    told = []
    if collapsed := [f"{row.name} ({row.collapsed})" for row in rows if row.collapsed]:
        told.append(
            "Collapsed, or hardly trained: these encoders see all images almost alike: "
            f"{', '.join(collapsed)}. They are preferred by no score, though alignment is best "
            "there."
        )
    told.append(
        "No score has seen a label: they say how far embeddings are spread and how stable they "
        "are, not whether they hold what you look for."
    )
    if by_label:
        told.append(
            "The probe's numbers are of the test part: they check the scores. A checkpoint that "
            "is chosen by them must be judged on other images."
        )
        if len(rows) < MIN_CHECKPOINTS:
            told.append(
                f"{len(rows)} checkpoints say nothing of a correlation; {MIN_CHECKPOINTS} do, "
                "8 to 10 say something."
            )
    else:
        told.append("Labels of a few patients, as label=COLUMN, show which score to trust here.")
    if loss_differs:
        told.append(f"Training losses are shown, but nothing is chosen by them: {loss_differs}.")
    widths = sorted({row.num_features for row in rows})
    if len(widths) > 1:
        told.append(
            f"The encoders have {', '.join(map(str, widths))} features: ranks are larger where "
            "there are more."
        )
    if num_images < 2 * widths[-1]:
        told.append(
            f"{num_images:,} images for {widths[-1]} features: ranks are bounded by the number of "
            "images as much as by the encoder; more images tell more."
        )
    if num_patients < MIN_PATIENTS:
        told.append(f"{num_patients} patients are too few for an interval ({MIN_PATIENTS}).")
    if not known:
        told.append("No patients are known: intervals are over images, and may be too narrow.")
    if one_run and by_label:
        told.append("Checkpoints of one run are alike; p takes them for independent.")
    return told

"""`scripts/evaluate.py`: the flags of the guide; the work is that of `medjepa evaluate`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from medjepa.errors import ConfigError, MedJEPAError


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate as the flags say; returns the exit status."""
    flags = parser().parse_args(argv)
    try:
        results = evaluate_flags(flags)
    except MedJEPAError as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nevaluate.py: stopped", file=sys.stderr)
        return 130
    out = Path(flags.output)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    probe = results["linear_probing"]
    assert isinstance(probe, dict)
    print(f"Linear probe: accuracy {probe['accuracy']:.3f}, AUC {_text(probe['auc'])}")
    print(f"Results: {out.resolve()}")
    return 0


def parser() -> argparse.ArgumentParser:
    """Build the parser of the guide's flags."""
    built = argparse.ArgumentParser(
        description="Judge a pre-trained encoder on labelled images, as `medjepa evaluate` does."
    )
    built.add_argument("--checkpoint", required=True, help="a .pt file or a run folder")
    built.add_argument("--data_dir", required=True, help="folder of images, or a store")
    built.add_argument("--metadata_csv", help="table of labels; default: the one beside the images")
    built.add_argument(
        "--label_column", help="its column to predict; default without a table: the folders' names"
    )
    built.add_argument("--num_classes", type=int, help="checked against the classes found")
    built.add_argument("--batch_size", type=int, default=64, help="images at once (%(default)s)")
    built.add_argument(
        "--output", default="results/evaluation_results.json", help="file to write (%(default)s)"
    )
    return built


def evaluate_flags(flags: argparse.Namespace) -> dict[str, object]:
    """Evaluate, write the page beside the output, and return the guide's dictionary.

    Raises:
        ConfigError: no label column.
        DataError: another number of classes than asked, among others.
    """
    from medjepa.evaluation.results import PRETRAINED
    from medjepa.evaluation.run import evaluate
    from medjepa.report.write import write_report
    from medjepa.utils.progress import progress

    if flags.label_column is None and flags.metadata_csv is not None:
        raise ConfigError("--label_column: which column of --metadata_csv is to be predicted?")
    report = evaluate(
        flags.checkpoint,
        flags.data_dir,
        flags.label_column or "folder",
        table=flags.metadata_csv,
        num_classes=flags.num_classes,
        batch_size=flags.batch_size,
        command="python scripts/evaluate.py",
        progress=progress,
    )
    written = write_report(report, Path(flags.output).parent / "report")
    print(report.verdict.sentence)
    print(f"The page: {written.page.resolve()}")
    probe = report.method(PRETRAINED).probe
    points = [point for point in report.label_efficiency if point.method == PRETRAINED]
    return {
        "linear_probing": {
            "accuracy": probe.accuracy.value,
            "auc": None if probe.auc.value != probe.auc.value else probe.auc.value,
            "accuracy_interval": [probe.accuracy.low, probe.accuracy.high],
            "auc_interval": [probe.auc.low, probe.auc.high],
        },
        "few_shot": [
            {
                "fraction": point.fraction,
                "num_labeled": round(sum(point.num_labeled) / len(point.num_labeled)),
                "accuracy": sum(point.accuracy) / len(point.accuracy),
                "accuracy_of_draws": list(point.accuracy),
            }
            for point in points
        ],
    }


def _text(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "undefined"

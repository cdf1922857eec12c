"""`medjepa finetune task=classify`: labels in, a study of classifiers out."""

from pathlib import Path

from medjepa.config import Config


def run(config: Config, command: str) -> int:
    """Train, test, write the report, print it; returns the exit status."""
    from rich.console import Console

    from medjepa.evaluation.classify_task import run_classification
    from medjepa.report.classify_page import write_classification
    from medjepa.report.classify_terminal import show
    from medjepa.utils.logging import log_to

    with log_to():
        report = run_classification(config, command)
    written = write_classification(report, Path(config.out))
    show(report, Console())
    print(f"The page:    {written.page.resolve()}")
    print(f"The numbers: {written.numbers.resolve()}")
    print(f"By study:    {written.predictions.resolve()}")
    return 0

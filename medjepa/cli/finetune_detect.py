"""`medjepa finetune task=detect`: boxes in, a study of detectors out."""

from pathlib import Path

from medjepa.config import Config


def run(config: Config, command: str) -> int:
    """Train, test, write the report, print it; returns the exit status."""
    from rich.console import Console

    from medjepa.evaluation.detection_task import run_detection
    from medjepa.report.detection_page import write_detection
    from medjepa.report.detection_terminal import show
    from medjepa.utils.logging import log_to

    with log_to():
        report, shown = run_detection(config, command)
    written = write_detection(report, shown, Path(config.out))
    show(report, Console())
    print(f"The page:    {written.page.resolve()}")
    print(f"The numbers: {written.numbers.resolve()}")
    print(f"The classes: {written.classes.resolve()}")
    return 0

"""`medjepa finetune task=segment`: label maps in, a study of networks out."""

from pathlib import Path

from medjepa.config import Config


def run(config: Config, command: str) -> int:
    """Train, test, write the report, print it; returns the exit status."""
    from rich.console import Console

    from medjepa.evaluation.segmentation_task import run_segmentation
    from medjepa.report.segmentation_page import write_study
    from medjepa.report.segmentation_terminal import show
    from medjepa.utils.logging import log_to

    with log_to():
        report, shown = run_segmentation(config, command)
    written = write_study(report, shown, Path(config.out))
    show(report, Console())
    print(f"The page:    {written.page.resolve()}")
    print(f"The numbers: {written.numbers.resolve()}")
    print(f"The cases:   {written.cases.resolve()}")
    return 0

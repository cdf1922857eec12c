"""Raw folders are prepared by one process of a run; the others find the result in the cache."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from medjepa.data.prepare_report import PrepareReport
from medjepa.objectives.distributed import world
from medjepa.training.distributed import wait_for_all
from medjepa.utils.logging import CONSOLE_ONLY, get_logger

Result = TypeVar("Result")
_logger = get_logger(__name__)


def first_process_first(prepare: Callable[[], Result], reports: Sequence[PrepareReport]) -> Result:
    """Prepare in the first process, then in the others, and say what `reports` collected."""
    if world()[0] > 0:
        wait_for_all()
        return prepare()
    result = prepare()
    wait_for_all()
    for report in reports:
        _logger.info(
            "prepared: %d files found, %d good, %d skipped, %d failed",
            report.found, report.good, report.skipped, report.failed,
        )  # fmt: skip
        for line in report.intensity:
            _logger.info("intensity of %s", line)
        for path, reason in report.failures[:10]:
            _logger.warning("left out: %s: %s", path, reason, extra=CONSOLE_ONLY)
    return result

"""`medjepa finetune task=point`: do maps of what is unusual point at lesions?"""

from pathlib import Path

from medjepa.config import Config


def run(config: Config, command: str) -> int:
    """Draw the maps, play the pointing game, print it; returns the exit status."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from medjepa.evaluation.pointing_task import NUMBERS, run_pointing
    from medjepa.evaluation.verdict import interval, share
    from medjepa.utils.logging import log_to

    with log_to():
        report = run_pointing(config, command)
    result = report.result
    table = Table(
        title=f"{result.num_images:,} images with boxes, {report.num_normals:,} normal images",
        title_justify="left",
        caption="95 % intervals: bootstrap over patients; differences are paired.",
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    for header in ("hottest place", "hits", "less the middle", "less a random point"):
        table.add_column(header, overflow="fold")
    for name, one in result.maps.items():
        cells = [
            f"{share(own.value, sign=sign)} {interval(own, sign=sign)}"
            for own, sign in ((one.hits, False), (one.over_centre, True), (one.over_random, True))
        ]
        table.add_row(*(escape(cell) for cell in (name, *cells)))
    console = Console()
    console.print(table, highlight=False)
    for note in report.notes:
        console.print(f"! {note}", style="yellow", highlight=False)
    print(f"The numbers: {(Path(config.out) / NUMBERS).resolve()}")
    return 0

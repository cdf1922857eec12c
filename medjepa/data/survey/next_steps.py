"""What to do with a folder next, as commands."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from medjepa.data.survey.findings import Finding
from medjepa.data.survey.tables import Labels

FOLDER_NAME, TABLE_NAME = "DIR", "TABLE.csv"
"""Stand for the folder that was looked at and for the table: pages hold no paths."""


@dataclass(frozen=True)
class Step:
    """One thing to do: why, and the command if there is one."""

    why: str
    command: str = ""


def next_steps(
    findings: Sequence[Finding],
    labels: Labels,
    *,
    target_size: int,
    has_volumes: bool,
    with_table: bool,
) -> list[Step]:
    """The way from what was found to a store, in order; `with_table`: one was asked for."""
    kinds = {one.kind for one in findings}
    steps, data = [], FOLDER_NAME
    if kinds & {"header_names", "path_names"}:
        data = f"{FOLDER_NAME}-deidentified"
        steps += [
            Step(
                "Take the patients out of the DICOM files.",
                f"medjepa anonymize {FOLDER_NAME} {data}",
            ),
            Step(
                "Let independent code look for what was left.",
                f"medjepa verify {FOLDER_NAME} {data}",
            ),
        ]
    if kinds & {"burned_in_text", "kinds_with_text"}:
        steps.append(
            Step("Look at the files with marks like text: a name in the pixels stays in a store.")
        )
    if "broken" in kinds:
        steps.append(Step("Replace the files that cannot be read, or go on without them."))
    if kinds & {"inverted", "masks", "constant", "nearly_blank"}:
        steps.append(
            Step("Move what is inverted, blank or a mask out of the folder, or choose by name with "
                 "`data.pattern`.")
        )  # fmt: skip
    steps.append(
        Step(
            "Decode everything once, at the resolution you will train with.",
            _prepare(data, labels, target_size, with_table),
        )
    )
    if has_volumes:
        steps.append(
            Step("Or keep each volume and series as one item.",
                 f"medjepa prepare data={data} out=STORE_3D data.dimensions=3")
        )  # fmt: skip
    label = labels.column("label")
    if label and labels.counts:
        split = " split=auto" if any(kind.startswith("leak_") for kind in kinds) else ""
        steps.append(
            Step("After pre-training: was it worth it?",
                 f"medjepa evaluate checkpoint=RUN data=STORE label={shlex.quote(label)}{split}")
        )  # fmt: skip
    return steps


def _prepare(data: str, labels: Labels, target_size: int, with_table: bool) -> str:
    command = f"medjepa prepare data={data} out=STORE data.target_size={target_size}"
    if data != FOLDER_NAME:  # the files have new names, which no table knows
        return command
    if with_table:
        command += f" data.table={TABLE_NAME}"
    if group := labels.column("group"):
        command += f" data.group_column={shlex.quote(group)}"
    return command

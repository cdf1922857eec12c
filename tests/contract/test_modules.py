"""Modules stay of a size that one can read from top to bottom."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 350


def test_no_module_outgrows_a_reader():
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for folder in ("medjepa", "benchmarks", "scripts")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name.partition("/")[0] for name in lines} == {"medjepa", "benchmarks", "scripts"}
    too_long = {name: count for name, count in lines.items() if count > MOST_LINES}
    assert not too_long, f"split by idea: {too_long}"

"""What the documents tell a reader to type exists, and their links lead somewhere."""

import re
from pathlib import Path

import pytest

from medjepa.cli.main import VERBS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def code(document, language):
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", text)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_exist(document):
    for line in "\n".join(code(document, "bash")).splitlines():
        words = line.split("#")[0].split()
        if words[:1] == ["medjepa"]:
            assert words[1] in VERBS, line
        for word in words:
            if re.fullmatch(r"[\w./-]+\.(py|yaml|toml|txt)", word):
                assert (ROOT / word).exists(), line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_of_the_pages_imports(document):
    for block in code(document, "python"):
        compile(block, str(document), "exec")
        for line in block.splitlines():
            if line.startswith(("import ", "from ")):
                exec(line, {})  # the rest needs files of the reader


def test_every_verb_is_described():
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert all(f"| `{verb}` |" in reference for verb in VERBS)


def test_the_import_arrow_is_that_which_is_checked():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    layers = re.findall(r'"([^"]+)"', re.search(r"(?ms)^layers = \[(.*?)^\]", project)[1])
    arrow = " > ".join(f"({layer})" if "|" in layer else layer for layer in layers)
    pages = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    assert arrow in pages

"""The pinned files satisfy pyproject.toml for every Python that is supported."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def section(name):
    """The requirements of one list of pyproject.toml (there is no TOML reader in Python 3.10)."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(rf"(?m)^{name} = \[\n(.*?)^\]", text, flags=re.DOTALL)[1]
    return [Requirement(line) for line in re.findall(r'^\s*"(.+?)",', block, flags=re.MULTILINE)]


def pins(python, *files):
    found = {}
    for file in files:
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
            if line.startswith("#"):
                continue
            pin = Requirement(line)
            where = {"python_version": python, "sys_platform": "linux"}
            if pin.marker is None or pin.marker.evaluate(where):
                assert pin.name not in found, f"{pin.name} is pinned twice for Python {python}"
                [exact] = pin.specifier
                assert exact.operator == "=="
                found[canonicalize_name(pin.name)] = exact.version
    return found


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("dependencies", ("requirements.txt",)),
        ("dev", ("requirements.txt", "requirements-dev.txt")),
    ],
)
def test_what_is_declared_is_pinned(python, name, files):
    pinned = pins(python, *files)
    declared = [requirement for requirement in section(name) if requirement.name != "torch"]
    assert len(declared) > 5
    for requirement in declared:
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)])


def test_torch_is_left_to_start_py():
    assert "torch" not in pins("3.11", "requirements.txt", "requirements-dev.txt")

"""The wheel holds the whole package, and nothing that belongs to the checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    [path] = out.glob("medjepa-*.whl")
    with zipfile.ZipFile(path) as content:
        yield content


def test_every_file_of_the_package_is_in_it(wheel):
    in_checkout = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "medjepa").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    in_wheel = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert in_wheel == in_checkout
    assert "medjepa/py.typed" in in_wheel


def test_the_command_and_the_licence_come_with_it(wheel):
    [entry_points] = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "medjepa = medjepa.cli.main:main" in wheel.read(entry_points).decode()
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())

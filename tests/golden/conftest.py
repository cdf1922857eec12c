"""Recorded numbers: a change of them must be meant.

`pytest tests/golden --golden-write` writes them anew; the reason goes into the changelog.
"""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def pytest_addoption(parser):
    parser.addoption("--golden-write", action="store_true", help="record the numbers anew")


@pytest.fixture
def golden(request):
    """Return a function that compares numbers with a file of this folder, or records them."""

    def check(name, numbers, *, rtol):
        path = FOLDER / name
        # The option is known only when this folder is named on the command line.
        if request.config.getoption("--golden-write", default=False):
            path.write_text("".join(f"{number:.9g}\n" for number in numbers))
            pytest.skip(f"recorded {path.name}")
        recorded = [float(line) for line in path.read_text().splitlines()]
        assert list(numbers) == pytest.approx(recorded, rel=rtol)

    return check

"""Which columns part the patients, and what counts as no answer."""

import numpy as np
import pytest

from medjepa.evaluation.columns import Column
from medjepa.evaluation.subgroups import MOST_SUBGROUPS, parted, subgroupings


def column(name):
    return Column(name, np.zeros(1, np.int64), 2, 0)


def test_a_column_of_many_values_parts_nobody():
    """Of a dozen subgroups a table can be read; of a serial number each patient is one."""
    for num, shown in ((1, False), (2, True), (MOST_SUBGROUPS, True), (MOST_SUBGROUPS + 1, False)):
        cells = {"scanner": [f"s{n % num:02d}" for n in range(40)]}
        found = subgroupings([column("scanner")], cells)
        assert [one.column for one in found] == (["scanner"] if shown else [])


@pytest.mark.parametrize("nothing", ["", "nan", "NA", "n/a", "NULL", "None", "unknown", "Unknown"])
def test_no_answer_is_no_subgroup(nothing):
    found = parted("sex", ["F", nothing, "M", "F"])
    assert found.names == ("F", "M")
    assert found.codes.tolist() == [0, -1, 1, 0]


def test_an_age_is_looked_at_unasked_and_once():
    cells = {"PatientAge": ["20", "50"] * 5, "sex": ["F", "M"] * 5, "voltage": ["1", "2"] * 5}
    assert [one.column for one in subgroupings([column("sex")], cells)] == ["sex", "PatientAge"]
    both = subgroupings([column("PatientAge"), column("gone")], cells)
    assert [one.column for one in both] == ["PatientAge"]


def test_a_band_begins_with_its_first_year():
    found = parted("age", ["17.9", "18", "39", "40", "59", "60", "79", "80", "0"])
    names = [found.names[code] for code in found.codes]
    assert names == ["0 to 17", "18 to 39", "18 to 39", "40 to 59", "40 to 59", "60 to 79",
                     "60 to 79", "80 and over", "0 to 17"]  # fmt: skip

"""Whatever object is built, no text planted anywhere in it leaves under the default profile."""

from deid_files import clean, ct, plant, reread, written
from hypothesis import given, settings
from hypothesis import strategies as st

from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.deid.checks import allowed
from medjepa.data.deid.identity import Quarantined

BASE = {element.tag for element in ct()} | {0x00080005}  # a character set: no file without it
SEQUENCES = sorted(tag for tag, rule in allowed().items() if rule.kind in ("items", "code"))
TEXTS = ("AE", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UT",
         "OB", "OW", "UN")  # fmt: skip


def tags():
    """Attributes that may stay, any of the standard, and any number at all."""
    from pydicom.datadict import DicomDictionary

    known = sorted(t for t in DicomDictionary if t >> 16 not in (0, 2, 4, 0xFFFE))
    free = st.integers(0x00080000, 0x7FDFFFFF)
    return st.one_of(st.sampled_from(sorted(allowed())), st.sampled_from(known), free)


plants = st.lists(st.tuples(tags(), st.sampled_from(TEXTS)), min_size=1, max_size=12)
objects = st.recursive(
    plants.map(lambda p: (p, [])),
    lambda inner: st.tuples(plants, st.lists(st.tuples(st.sampled_from(SEQUENCES), inner))),
    max_leaves=5,
)


def build(dataset, content, tokens):
    for tag, vr in content[0]:
        if tag in BASE:
            continue
        token = f"QZ{len(tokens):04d}DOE"
        tokens.append(token.encode())
        binary = vr in ("OB", "OW", "UN")
        plant(dataset, tag, vr, token.encode() + b"." if binary else token)
    for tag, inner in content[1]:
        dataset.add_new(tag, "SQ", [build(pydicom().Dataset(), inner, tokens)])
    return dataset


@settings(max_examples=150, deadline=None)
@given(objects)
def test_no_planted_text_survives(content):
    tokens: list[bytes] = []
    source = build(ct(), content, tokens)
    try:
        result = clean(reread(source))
    except Quarantined:
        return
    result.file_meta = ct().file_meta
    output = written(result)
    assert [token for token in tokens if token in output] == []
    assert result.PatientIdentityRemoved == "YES"
    assert result.Rows == 8

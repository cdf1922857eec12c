"""Entries are strict: a typing error is an error that names the key and the nearest right one."""

import pytest
import yaml

from medjepa.data.catalog import entry_named, load_entries
from medjepa.errors import ConfigError

MINIMAL = {
    "name": "mine",
    "title": "Mine",
    "modality": "chest X-ray",
    "dimensions": "2D",
    "task": "binary",
    "metric": {"name": "AUC", "why": "classes differ in size"},
    "classes": {"no": "well", "yes": "ill"},
    "counts": {},
    "licence": {"name": "none", "url": "https://example.org"},
    "access": {"kind": "open"},
    "homepage": "https://example.org",
    "citation": "ours",
    "download": {"route": "manual"},
    "layout": {"marks": ["{label:no|yes}/{file}.png"], "images": ["{label:no|yes}/{file}.png"]},
    "label": {"kind": "field", "name": "label"},
    "group": {"what": "none", "note": "one image a patient"},
    "split": {"kind": "none"},
    "sources": ["https://example.org"],
}


def written(tmp_path, **changes):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(MINIMAL | changes))
    return path


def test_words_that_yaml_would_turn_stay_text(tmp_path):
    [entry] = load_entries(written(tmp_path))
    assert list(entry.classes) == ["no", "yes"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"modalty": "x"}, "unknown key modalty in the entry; did you mean modality?"),
        ({"label": {"kind": "field", "nam": "label"}}, "unknown key nam in label"),
        ({"task": "binery"}, "task=binery must be one of"),
        ({"counts": {"images": "many"}}, "counts.images=many must be a whole number"),
        ({"counts": {"classes": {"maybe": 3}}}, "counts.classes.maybe: is none of classes"),
        ({"label": {"kind": "field", "name": "grade"}}, "has no {grade}"),
        ({"label": {"kind": "column", "name": "dx"}}, "needs layout.tables"),
        ({"split": {"kind": "field", "name": "label", "values": {"no": "dev"}}}, "dev is none of"),
        ({"split": {"kind": "ranges", "name": "file", "ranges": {"train": "1"}}}, "first-last"),
        ({"access": {"kind": "credentialed"}}, "how does one get access"),
        ({"group": {"what": "none"}}, "group.note"),
        ({"sources": []}, "sources"),
        ({"classes": {}}, "classes: a task of kind binary"),
        ({"layout": {"marks": ["{a"], "images": ["{a"]}}, "a brace that belongs to no {name}"),
        ({"traps": "one"}, "traps must be a list"),
        ({"name": "My Set"}, "name: lower case"),
    ],
)
def test_what_does_not_hold_together_is_refused(tmp_path, changes, said):
    with pytest.raises(ConfigError, match=r"mine\.yaml") as error:
        load_entries(written(tmp_path, **changes))
    assert said in str(error.value)


def test_a_missing_key_is_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in MINIMAL.items() if k != "licence"}))
    with pytest.raises(ConfigError, match="lacks licence"):
        load_entries(path)


def test_a_key_that_stands_twice_is_refused(tmp_path):
    path = written(tmp_path)
    path.write_text(path.read_text() + "title: Other\n")
    with pytest.raises(ConfigError, match="title stands twice"):
        load_entries(path)


def test_a_family_gives_its_members_what_they_do_not_say(tmp_path):
    members = [{"name": "a", "counts": {"images": "3"}}, {"name": "b", "licence": {"name": "MIT"}}]
    path = tmp_path / "family.yaml"
    path.write_text(yaml.safe_dump({"family": MINIMAL, "members": members}))
    first, second = load_entries(path)
    assert (first.counts.images, first.licence.name) == (3, "none")
    assert (second.licence.name, second.licence.url) == ("MIT", "https://example.org")


@pytest.mark.parametrize("name", ["HAM10000", "Ham-10000", "ham10000"])
def test_names_are_found_however_they_are_spelt(name):
    assert entry_named(name).title == "HAM10000"


def test_an_unknown_name_gives_the_nearest():
    with pytest.raises(ConfigError, match="did you mean chexpert"):
        entry_named("chexprt")


@pytest.mark.parametrize("content", ["[1, 2]", "a: {", "\udcff"])
def test_no_yaml_is_no_traceback(tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=r"mine\.yaml"):
        load_entries(path)

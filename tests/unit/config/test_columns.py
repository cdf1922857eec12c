"""Names of columns with commas, blanks, marks and signs: they work, or one is told how."""

import unicodedata

import pytest

from medjepa.cli.evaluate import label_columns, parse, without_folders
from medjepa.cli.predict import parse as parse_predict
from medjepa.cli.select import parse as parse_select
from medjepa.config import load_config
from medjepa.config.columns import column_names, no_column

ODD = ("a b", "Größe", "a=b", "dose [mGy]", "T1/T2", "a;b", "a: b", "#1", "it's", 'the "label"')


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("blanks", ["{}", " {} ", "\t{}"])
def test_a_name_is_what_stands_behind_the_first_sign_of_equality(name, blanks):
    given = [f"{key}={blanks.format(name)}" for key in ("label", "group", "shortcut", "study")]
    for config in (
        parse(["checkpoint=r", "data=d", *given]),
        parse_predict(["checkpoint=r", "data=d", "out=o", *given])[0],
        parse_select(["runs=r", "data=d", *given])[0],
    ):
        assert label_columns(config.label) == name
        assert config.data.group_column == name
        assert config.evaluation.shortcuts == (name,)
        assert config.evaluation.study == name


def test_letters_with_marks_are_the_same_however_they_are_composed():
    apart = unicodedata.normalize("NFD", "Größe")
    assert apart != "Größe"
    config = parse(["checkpoint=r", "data=d", f"label={apart}", f"group=[{apart},b]"])
    assert config.label == "Größe"
    assert config.data.group_column == ("Größe", "b")


def test_quotes_keep_a_comma_and_a_bracket():
    assert column_names("a,b") == column_names("[a, b]") == column_names(" [a,b] ") == ("a", "b")
    assert column_names('["a,b"]') == column_names("['a,b']") == column_names('"a,b"') == ("a,b",)
    assert column_names('["a,b",c]') == ("a,b", "c")
    assert column_names('["[x] dose",c]') == ("[x] dose", "c")
    assert column_names("it's,b") == ("it's", "b")
    config = parse(["checkpoint=r", "data=d", 'label=["a,b"]', 'group=["a,b",c]', "shortcut=a,b"])
    assert label_columns(config.label) == "a,b"
    assert config.data.group_column == ("a,b", "c")
    assert config.evaluation.shortcuts == ("a,b",)


def test_a_file_may_hold_a_list_of_label_columns(tmp_path):
    (tmp_path / "a.yaml").write_text('label: ["x,y", z]\ndata: {group_column: [" s ", p]}\n')
    config = load_config(tmp_path / "a.yaml")
    assert label_columns(config.label) == ("x,y", "z")
    assert config.data.group_column == ("s", "p")


def test_a_column_that_is_not_there_is_told_with_its_remedy():
    there = ["file", "a,b", "Größe", "site", "patient"]
    assert no_column("a", there, key="label").endswith(
        """the table has file, "a,b", Größe, site, patient. A name with a comma needs quotes and """
        """brackets: 'label=["a,b"]'."""
    )
    assert "written group=[site,patient]" in no_column("site,patient", there, key="group")
    assert no_column("größe", there, key="label").endswith("Did you mean 'Größe'?")
    assert "without brackets" in no_column("[a,b]", there, key="label")
    assert no_column("zzz", there, key="label").endswith("patient.")


def test_the_recorded_command_names_columns_as_they_are():
    recorded = without_folders(["label=T1/T2", 'group=["a,b",c]', "data=/home/x", "ood=/home/y"])
    assert recorded == "medjepa evaluate label=T1/T2 'group=[\"a,b\",c]' data=... ood=y"

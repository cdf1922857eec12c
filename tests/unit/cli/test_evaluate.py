import pytest

from medjepa.cli.evaluate import parse, run, without_folders
from medjepa.errors import ConfigError


def test_help_names_every_key(capsys):
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(
        f"{key}=" in text for key in ("checkpoint", "data", "label", "group", "split", "out")
    )


def test_short_keys_and_lists():
    config = parse(
        ["checkpoint=[a,b]", "data=[x,y]", "label=dx", "group=lesion", "split=auto", "table=t.csv"]
    )
    assert config.checkpoint == ("a", "b")
    assert config.data.sources == ("x", "y")
    assert config.data.group_column == "lesion"
    assert config.data.split_column == "auto"
    assert config.data.table == "t.csv"


@pytest.mark.parametrize("missing", ["checkpoint", "data", "label"])
def test_what_is_missing_is_named(missing):
    given = {"checkpoint": "a", "data": "b", "label": "c"}
    del given[missing]
    with pytest.raises(ConfigError, match=f"{missing}="):
        parse([f"{key}={value}" for key, value in given.items()])


def test_a_wrong_key_is_refused():
    with pytest.raises(ConfigError, match="lable"):
        parse(["checkpoint=a", "data=b", "lable=c"])


def test_the_recorded_command_holds_no_folders():
    recorded = without_folders(["checkpoint=[/home/jane/a,/b/c]", "data=/clinic/doe", "label=dx"])
    assert recorded == "medjepa evaluate 'checkpoint=[a,c]' data=... label=dx"

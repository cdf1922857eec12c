"""Every command that a document tells a reader to type is taken by the program as it is now.

Commands of `medjepa` run until their work would begin, those of `benchmarks/` until their arguments
are read; settings named in a sentence (`data.kinds=[]`) exist and take the value named.
"""

import argparse
import importlib
import re
import shlex
from pathlib import Path
from typing import get_type_hints

import pytest

from medjepa.cli import anonymize, demo, evaluate, finetune, inspect, main, select, verify
from medjepa.cli.forget import _KEYS as FORGET_KEYS
from medjepa.config import load_config
from medjepa.config.build import known_keys
from medjepa.config.load import SHORTHANDS
from medjepa.data.deid.options import Options
from medjepa.errors import ConfigError
from medjepa.models.registry import ENCODERS

ROOT = Path(__file__).resolve().parents[2]
# The changelog tells of what was; it is no page to type from.
DOCUMENTS = [
    path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")) if path.name != "CHANGELOG.md"
]
BENCHMARKS = sorted(ROOT.glob("benchmarks/*.py"))
# Where the work of a verb begins.
WORK = {
    "demo": "medjepa.cli.demo:open_folder",
    "inspect": "medjepa.report.inspect_page:check_folder",
    "prepare": "medjepa.data.preparation:prepare",
    "pretrain": "medjepa.training.run:pretrain",
    "evaluate": "medjepa.evaluation.run:evaluate",
    "select": "medjepa.evaluation.select_run:select",
    "finetune": "medjepa.cli.finetune:for_the_record",
    "predict": "medjepa.evaluation.predict_files:predict",
    "embed": "medjepa.evaluation.embed_files:embed_sources",
    "anonymize": "medjepa.data.deid.job:anonymize",
    "verify": "medjepa.data.verify:verify",
    "forget": "medjepa.data.removal:forget",
    "doctor": "medjepa.cli.doctor:machine",
}

# Runs have to be there to know where their page goes.
LOOKED_FOR_FIRST = {"select": ["medjepa.evaluation.candidates:run_of"]}


class Reached(Exception):
    """The command was read to its end."""


def stop(*_, **__):
    raise Reached


def name_of(path):
    return str(path.relative_to(ROOT))


def lines_of(text):
    """Lines as a shell takes them: continued ones joined, comments and prompts left out."""
    for line in text.replace("\\\n", " ").splitlines():
        yield re.sub(r"(^|\s)#\s.*", "", line).strip().removeprefix("$ ")


def commands_of(text, first):
    """The commands in the blocks of code and in the sentences of a page."""
    blocks = "\n".join(re.findall(r"(?ms)^```(?:bash|text)\n(.*?)^```", text))
    prose = re.sub(r"(?ms)^```.*?^```", "", text)
    spans = (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose))
    return [line for line in (*lines_of(blocks), *spans) if line.startswith(first)]


def from_settings_files():
    for path in sorted(ROOT.glob("configs/*.yaml")):
        comments = re.findall(r"(?m)^#\s+(medjepa .*)", path.read_text(encoding="utf-8"))
        yield from ((name_of(path), line) for line in comments)


def is_pattern(command):
    """`medjepa VERB [key=value ...]` and a bare verb say nothing that could be wrong."""
    words = command.split()[1:]
    return words[0] in ("VERB", "--help") or (
        words[0] in main.VERBS and words[1:] in ([], ["check"])
    )


COMMANDS = [
    (name_of(path), command)
    for path in DOCUMENTS
    for command in commands_of(path.read_text(encoding="utf-8"), "medjepa ")
] + list(from_settings_files())
COMMANDS = [entry for entry in dict.fromkeys(COMMANDS) if not is_pattern(entry[1])]


def read_by_the_program(command, monkeypatch):
    """Run a `medjepa` command until its work would begin; returns whether it came so far."""
    verb, *arguments = shlex.split(command)[1:]
    if verb == "data":
        for name, (_, places, keys) in data_actions().items():
            monkeypatch.setitem(data_actions(), name, (stop, places, keys))
    else:
        places = [WORK[verb], *LOOKED_FOR_FIRST.get(verb, [])]
        for module, function in (place.split(":") for place in places):
            monkeypatch.setattr(importlib.import_module(module), function, stop)
    try:
        main.load(verb)(arguments)
    except Reached:
        return True
    return "--help" in arguments


def data_actions():
    return importlib.import_module("medjepa.cli.data")._ACTIONS


def test_every_verb_is_known_here():
    assert set(WORK) | {"data"} == set(main.VERBS)


@pytest.mark.parametrize(("where", "command"), COMMANDS)
def test_commands_are_read_to_their_end(where, command, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("configs").symlink_to(ROOT / "configs")
    Path("runs").mkdir()
    assert read_by_the_program(command, monkeypatch), f"{where}: {command}"


@pytest.mark.parametrize(
    "command",
    [
        "medjepa pretrain data=x out=y training.epochs=3",
        "medjepa evaluate checkpoint=r data=x label=y splits=3",
        "medjepa finetune checkpoint=r data=x out=y draw=3",
        "medjepa select runs=[a,b] data=x view=3",
        "medjepa anonymize IN OUT date=keep",
        "medjepa data check DIR tables=x",
        "medjepa demo size=3",
        "medjepa inspect IMAGES labels=x",
    ],
)
def test_a_wrong_key_is_seen(command, monkeypatch):
    with pytest.raises(ConfigError):
        read_by_the_program(command, monkeypatch)


# ---------------------------------------------------------------- benchmarks


def benchmark_commands():
    for path in DOCUMENTS:
        for command in commands_of(path.read_text(encoding="utf-8"), "python benchmarks/"):
            yield name_of(path), command
    for path in BENCHMARKS:
        usage = path.read_text(encoding="utf-8").split('"""')[1]
        usage = re.sub(r"\n {8,}(?=[\[-])", " ", usage)  # a usage of several lines
        yield from (
            (name_of(path), line)
            for line in lines_of(usage)
            if line.startswith("python benchmarks/")
        )


def as_typed(command):
    """A usage as somebody types it: what may be left out is there once, of choices the first."""
    command = re.sub(r" \| [^\]]*", "", re.sub(r"(?<!\S)\[(NAME or )?", "", command))
    command = re.sub(r"( |,)?\.\.\.(?=\]|\s|$)", "", command)
    return re.sub(r"\](?=\s|$)", "", command)


@pytest.mark.parametrize(("where", "command"), sorted(set(benchmark_commands())))
def test_benchmarks_take_the_arguments_said(where, command, monkeypatch):
    script, *arguments = shlex.split(as_typed(command))[1:]
    assert (ROOT / script).is_file(), f"{where}: {command}"
    if "argparse" not in (ROOT / script).read_text(encoding="utf-8"):
        # A plain list of names, or one number.
        assert not [word for word in arguments if word.startswith("-")], f"{where}: {command}"
        return
    arguments_are_read(script, arguments, monkeypatch)


def arguments_are_read(script, arguments, monkeypatch):
    monkeypatch.setattr("sys.argv", [script, *arguments])
    for name in ("parse_args", "parse_intermixed_args"):
        parse = getattr(argparse.ArgumentParser, name)
        monkeypatch.setattr(argparse.ArgumentParser, name, then_stop(parse))
    with pytest.raises(Reached):
        importlib.import_module(Path(script).stem).main()


def then_stop(parse):
    def parsed(self):
        parse(self)
        raise Reached

    return parsed


def test_a_wrong_option_of_a_benchmark_is_seen(monkeypatch):
    with pytest.raises(SystemExit):
        arguments_are_read("benchmarks/sigreg.py", ["--round", "7", "--thread", "x"], monkeypatch)


# ---------------------------------------------------------------- settings within sentences


NO_SETTINGS = ("key=value", "page=2)")
SETTINGS = sorted(
    {
        (name_of(path), word)
        for path in [*DOCUMENTS, *BENCHMARKS]
        for span in re.findall(r"`([^`\n]+)`", path.read_text(encoding="utf-8"))
        if not span.startswith(("medjepa ", "python"))
        for word in span.split()
        if re.match(r"[a-z][\w.]*=", word) and word not in NO_SETTINGS
    }
)


# Settings that make no sense alone; those of volumes and clips need model.type.
BESIDE = {
    "data.held_out": ["data.split_column=fold"],
    "model.image_size": ["model.type=vjepa", "model.patch_size=[2,16,16]"],
    "data.weights": ["data=[a,b]"],
    "evaluation.negative": ["evaluation.positive=a"],
}


def readings(key, value):
    """Ways in which some verb reads a setting; each raises ConfigError where it does not."""
    evaluated = evaluate.SHORT.get(key, SHORTHANDS.get(key, key))
    for full in {evaluated, finetune.SHORT.get(key, f"finetune.{key}")} & set(known_keys()):
        for beside in ([], BESIDE.get(full, ["model.type=vjepa"])):
            yield lambda given=(*beside, f"{full}={value}"): load_config(None, given, ENCODERS)
    if key in get_type_hints(Options):
        yield lambda: anonymize.options_of({key: value})
    if key in get_type_hints(demo.DemoSettings):
        yield lambda: demo.parse([f"{key}={value}"])
    others = {*inspect.KEYS, *verify._KEYS, *FORGET_KEYS, *select.OWN, "anyway", "secret", "format"}
    if key in others:
        yield lambda: None


@pytest.mark.parametrize(("where", "setting"), SETTINGS)
def test_settings_in_sentences_are_taken(where, setting):
    key, _, value = setting.partition("=")
    refusals = []
    ways = list(readings(key, value.strip("'")))
    for read in ways:
        try:
            read()
        except ConfigError as error:
            refusals.append(str(error))
    a_word_for_a_value = value == "" or value.isupper() or value == "[z,y,x]"
    assert len(refusals) < len(ways) or (ways and a_word_for_a_value), f"{where}: {refusals}"


@pytest.mark.parametrize("setting", ["data.kind=[]", "dates=shifted", "kind=scan", "fold_=1"])
def test_a_wrong_setting_in_a_sentence_is_seen(setting):
    with pytest.raises(AssertionError):
        test_settings_in_sentences_are_taken("a page", setting)

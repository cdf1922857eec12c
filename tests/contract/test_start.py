"""`start.py`: one clear line for a wrong Python, never CUDA without a card, and it sees damage."""

import ast
import importlib.util
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
START = ROOT / "start.py"


@pytest.fixture
def start():
    spec = importlib.util.spec_from_file_location("start", START)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("version", [(3, 6, 15), (3, 9, 18), (3, 14, 0)])
def test_a_python_it_does_not_support_gets_one_line(version):
    code = f"import runpy, sys; sys.version_info = {version}; runpy.run_path({str(START)!r})"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1
    assert "3.10, 3.11, 3.12 or 3.13" in answer.stderr


def test_old_grammars_reach_that_line():
    # Not even the grammar of an older Python may keep it from saying so.
    ast.parse(START.read_text(encoding="utf-8"), feature_version=(3, 7))


def test_it_needs_nothing_but_python():
    tree = ast.parse(START.read_text(encoding="utf-8"))
    names = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names <= set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("platform", "card", "wanted"),
    [
        ("linux", None, "torch==2.13.0+cpu"),
        ("linux", "/usr/bin/nvidia-smi", "torch==2.13.0"),
        ("darwin", None, "torch==2.13.0"),
        ("win32", None, "torch==2.13.0"),
    ],
)
def test_linux_without_a_card_asks_for_the_cpu_build(start, monkeypatch, platform, card, wanted):
    monkeypatch.setattr(start.sys, "platform", platform)
    monkeypatch.setattr(start.shutil, "which", lambda name: card)
    monkeypatch.setattr(start.Path, "exists", lambda path: False)
    assert start.torch_requirement() == wanted


@pytest.fixture
def environment(start, monkeypatch, tmp_path):
    """A `.venv` with three packages, each of one file and its record."""
    packages = tmp_path / "site-packages"
    for name in ("torch-2.13.0+cpu", "medjepa-0.1.0", "numpy-2.4.6"):
        folder = name.split("-")[0]
        (packages / folder).mkdir(parents=True)
        (packages / folder / "__init__.py").write_text("x = 1\n")
        info = packages / f"{name}.dist-info"
        info.mkdir()
        (info / "RECORD").write_text(f"{folder}/__init__.py,sha256=abc,6\n{info.name}/RECORD,,\n")
    monkeypatch.setattr(start, "site_packages", lambda: packages)
    monkeypatch.setattr(start, "python_works", lambda: True)
    monkeypatch.setattr(start, "torch_requirement", lambda: "torch==2.13.0+cpu")
    return packages


def test_a_whole_environment_is_not_damaged(start, environment):
    assert start.damage() == ""


@pytest.mark.parametrize(
    ("break_it", "named"),
    [
        (lambda p: (p / "numpy" / "__init__.py").unlink(), "numpy"),
        (lambda p: (p / "numpy" / "__init__.py").write_text("x"), "cut short"),
        (lambda p: (p / "numpy-2.4.6.dist-info" / "RECORD").unlink(), "half installed"),
        (lambda p: (p / "torch-2.13.0+cpu.dist-info").rename(p / "gone"), "not installed"),
        (lambda p: (p / "nvidia_cublas-1.dist-info").mkdir(), "half installed"),
    ],
)
def test_damage_is_seen_and_named(start, environment, break_it, named):
    break_it(environment)
    assert named in start.damage()


def test_cuda_packages_are_damage_where_there_is_no_card(start, environment):
    info = environment / "nvidia_cublas-13.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_text("")
    assert "nvidia-cublas" in start.damage()


def test_a_ready_environment_is_used_and_one_that_lost_a_package_is_completed(
    start, environment, monkeypatch, tmp_path
):
    done = []
    monkeypatch.setattr(start, "STAMP", tmp_path / "stamp.txt")
    monkeypatch.setattr(start, "install", done.append)
    start.finish("test")
    start.prepare_environment("demo")
    start.prepare_environment("test")
    assert done == []
    shutil.rmtree(environment / "numpy-2.4.6.dist-info")
    start.prepare_environment("demo")
    assert done == ["demo"]
    # The stamp was renewed for the demo only.
    start.prepare_environment("test")
    assert done == ["demo", "test"]


def test_a_changed_requirement_is_noticed(start, monkeypatch, tmp_path):
    for name in ("requirements.txt", "requirements-dev.txt", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(start, "ROOT", tmp_path)
    before = start.fingerprint("demo"), start.fingerprint("test")
    with (tmp_path / "requirements-dev.txt").open("a") as file:
        file.write("extra==1\n")
    assert start.fingerprint("demo") == before[0]
    assert start.fingerprint("test") != before[1]


def test_every_check_runs_and_one_failure_fails_all(start, monkeypatch, capsys):
    seen = []

    def run(command, environment):
        seen.append(Path(command[0]).name)
        return 1 if "mypy" in command[0] else 0

    monkeypatch.setattr(start, "run", run)
    assert start.run_checks() == 1
    assert seen == ["ruff", "ruff", "mypy", "lint-imports", "pytest"]
    assert capsys.readouterr().out.count("FAILED") == 1


def test_a_moved_environment_is_made_anew(start, environment, monkeypatch, tmp_path):
    done = []
    monkeypatch.setattr(start, "STAMP", tmp_path / "stamp.txt")
    monkeypatch.setattr(start, "install", lambda command: done.append("install"))
    monkeypatch.setattr(start, "create_venv", lambda: done.append("create"))
    start.finish("demo")
    monkeypatch.setattr(start, "VENV", tmp_path / "elsewhere" / ".venv")
    start.prepare_environment("demo")
    assert done == ["create", "install"]


@pytest.mark.parametrize("is_whole", [True, False])
def test_what_works_is_not_thrown_away_because_the_network_is_down(
    start, environment, monkeypatch, tmp_path, is_whole
):
    done = []

    def no_network(command):
        if not done:
            raise start.SetupError("no network")

    monkeypatch.setattr(start, "STAMP", tmp_path / "stamp.txt")
    monkeypatch.setattr(start, "install", no_network)
    monkeypatch.setattr(start, "create_venv", lambda: done.append("create"))
    monkeypatch.setattr(start, "damage", lambda: "" if is_whole or done else "numpy is missing")
    if is_whole:
        with pytest.raises(start.SetupError):
            start.prepare_environment("demo")
    else:
        start.prepare_environment("demo")
    assert done == ([] if is_whole else ["create"])


def test_control_c_waits_for_what_the_command_has_to_save(start, tmp_path):
    saved = tmp_path / "saved"
    code = (
        "import os, pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"  # the terminal tells both
        "time.sleep(1)\n"
        f"pathlib.Path({str(saved)!r}).touch()\n"
    )
    # A shell has what it runs in the background ignore the signal; at a terminal nobody does.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert start.run([sys.executable, "-c", code], start.child_environment()) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert saved.exists()


def test_ci_runs_exactly_what_contributors_run():
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert lines[-1] == "exec python3 start.py test"


def test_an_intel_mac_is_told_before_anything_is_made(start, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(start.sys, "platform", "darwin")
    monkeypatch.setattr(start.platform, "machine", lambda: "x86_64")
    for name, value in (("VENV", tmp_path / ".venv"), ("STAMP", tmp_path / "no stamp")):
        monkeypatch.setattr(start, name, value)
    assert start.main(["demo"]) == 1
    assert "Apple silicon" in capsys.readouterr().err
    assert not (tmp_path / ".venv").exists()


def test_a_folder_that_cannot_be_written_to_is_a_message(start, monkeypatch, capsys):
    def refuse(command):
        raise PermissionError(13, "Permission denied", "/opt/medjepa/.venv")

    monkeypatch.setattr(start, "prepare_environment", refuse)
    assert start.main(["demo"]) == 1
    err = capsys.readouterr().err
    assert "/opt/medjepa/.venv" in err and "may you write to" in err

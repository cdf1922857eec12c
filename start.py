"""One file to start with: makes `.venv`, installs what is pinned, then runs.

python3 start.py demo [key=value ...]   the whole job on built-in synthetic images
python3 start.py test                   every check that must pass before a change lands

Needs Python and nothing else. A second call reuses `.venv`; a broken one is made anew.
"""

import sys

OLDEST = (3, 10)
TOO_NEW = (3, 14)
if not OLDEST <= sys.version_info[:2] < TOO_NEW:
    sys.exit(
        "MedJEPA needs Python 3.10, 3.11, 3.12 or 3.13; this is Python {}.{} ({}). "
        "Install one of those and run it instead, for example: python3.12 start.py demo".format(
            sys.version_info[0], sys.version_info[1], sys.executable
        )
    )

import csv
import hashlib
import os
import platform
import re
import shutil
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOG = VENV / "install.log"
STAMP = VENV / "medjepa-ready.txt"
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = SCRIPTS / ("python.exe" if os.name == "nt" else "python")

TORCH = "2.13.0"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
NEEDED_FILES = {
    "demo": ("requirements.txt",),
    "test": ("requirements.txt", "requirements-dev.txt"),
}


class SetupError(Exception):
    """The environment cannot be made; the text says what to do about it."""


def main(arguments: list[str]) -> int:
    """Run `demo` or `test`; returns the exit status."""
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if command not in NEEDED_FILES or (command == "test" and rest):
        print(__doc__)
        return 0 if command in ("-h", "--help", "help") else 2
    try:
        prepare_environment(command)
    except SetupError as error:
        print(f"\nstart.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"\nstart.py: {error}\nIs there space on the disk, may you write to {ROOT}, and does "
            f"no other program use {VENV}?",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print(f"\nStopped. To go on: {sys.executable} start.py {command}", file=sys.stderr)
        return 130
    return run_demo(rest) if command == "demo" else run_checks()


# ---------------------------------------------------------------- what is run


def run_demo(arguments: list[str]) -> int:
    """Run `medjepa demo`; it says where its report is."""
    return run([str(PYTHON), "-m", "medjepa", "demo", *arguments], child_environment())


def run_checks() -> int:
    """Run every check, also after one has failed, and say which failed."""
    checks = (
        ("lint", ["ruff", "check", "."]),
        ("format", ["ruff", "format", "--check", "."]),
        ("types", ["mypy"]),
        ("imports", ["lint-imports"]),
        ("tests", ["pytest", "-q", "-n", "2"]),
    )
    results = []
    for name, command in checks:
        print(f"\n=== {name}: {' '.join(command)}", flush=True)
        begin = time.monotonic()
        # Two test processes with two threads each are slower than with one.
        environment = {"OMP_NUM_THREADS": "1", **child_environment()}
        status = run([str(SCRIPTS / command[0]), *command[1:]], environment)
        if status == 130:
            return status
        results.append((name, status, time.monotonic() - begin))
    print("\n=== summary")
    for name, status, seconds in results:
        print(f"{name:8} {'passed' if status == 0 else 'FAILED':7} {seconds:6.1f} s")
    return 1 if any(status for _, status, _ in results) else 0


def run(command: list[str], environment: dict[str, str]) -> int:
    """Run a command to its end; returns its exit status.

    Ctrl-C reaches it too, and it may need a while to save what it has: it is waited for.
    """
    process = subprocess.Popen(command, cwd=str(ROOT), env=environment)
    stopped = False
    while True:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            stopped = True
        else:
            return 130 if stopped else status


def child_environment() -> dict[str, str]:
    """Return the environment for commands in `.venv`: nothing from outside it is imported."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return {**inherited, "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"}


# ---------------------------------------------------------------- .venv


def prepare_environment(command: str) -> None:
    """Make `.venv` hold what `command` needs: reused, completed, or made anew.

    Raises:
        SetupError: a step failed, and the end of its log has been printed; or nothing fits here.
    """
    stamp = STAMP.read_text(encoding="utf-8").splitlines() if STAMP.is_file() else []
    if fingerprint(command) in stamp and set(stamp[3:]) <= installed() and not damage():
        return
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        raise SetupError(
            f"torch {TORCH} has no build for Macs with Intel processors, nor for a Python made for "
            "them: take a Python for Apple silicon, or another machine"
        )
    print(f"Setting up {VENV} (once; about 2 minutes)", flush=True)
    # The scripts of an environment name the folder it was made in.
    moved = stamp and stamp[0] != str(VENV)
    if python_works() and not moved:
        try:
            install(command)
        except SetupError:
            if not damage():
                raise  # a missing network, say: what works is not thrown away for that
        problem = damage()
        if not problem:
            finish(command)
            return
        print(f"The .venv found here is damaged ({problem}): making it anew", flush=True)
    create_venv()
    install(command)
    problem = damage()
    if problem:
        raise SetupError(f"the new environment is not whole: {problem}. Its log: {LOG}")
    finish(command)


def finish(command: str) -> None:
    """Write the stamp, last of all: an environment that has none was interrupted.

    The first line says where it was made, two what it is good for (the set for the tests holds the
    demo's), the rest what is in it.
    """
    ready_for = [fingerprint("demo"), fingerprint("test") if command == "test" else "demo only"]
    text = "\n".join([str(VENV), *ready_for, *sorted(installed())]) + "\n"
    STAMP.write_text(text, encoding="utf-8")


def fingerprint(command: str) -> str:
    """Return one line that changes whenever `.venv` has to be looked at again."""
    text = str(VENV) + sys.version + sys.platform + torch_requirement()
    for name in (*NEEDED_FILES[command], "pyproject.toml"):
        text += (ROOT / name).read_text(encoding="utf-8")
    return f"{command} {hashlib.sha256(text.encode()).hexdigest()}"


def damage() -> str:
    """Return what is wrong with `.venv`, or "": every installed file is there in its full size."""
    if not python_works():
        return "its Python does not run, or is not the one that runs this file"
    for name in sorted(installed()):
        # pip writes RECORD after all files of a package: one that was interrupted has none.
        record = site_packages() / name / "RECORD"
        if not record.is_file():
            return f"{name} was only half installed"
        with record.open(encoding="utf-8", newline="") as lines:
            for path, _, size in csv.reader(lines):
                if size and file_size(site_packages() / path) != int(size):
                    return f"{path} of {name} is missing or cut short"
    names = {name.split("-")[0].lower().replace("_", "-") for name in installed()}
    if not {"torch", "medjepa"} <= names:
        return "torch or medjepa is not installed"
    cuda = sorted(name for name in names if name.startswith(("nvidia-", "cuda-")))
    if cuda and torch_requirement().endswith("+cpu"):
        return f"CUDA packages came in on a machine without an NVIDIA card: {', '.join(cuda)}"
    return ""


def installed() -> set[str]:
    """Return the names of the folders in which pip records each installed package and version."""
    return {path.name for path in site_packages().glob("*.dist-info")}


def python_works() -> bool:
    """Whether `.venv` has a Python of this very version, with pip."""
    try:
        answer = subprocess.run(
            [str(PYTHON), "-c", "import sys, pip; print(sys.version)"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
        )
    except OSError:
        return False
    return answer.returncode == 0 and answer.stdout.decode().strip() == sys.version.strip()


def site_packages() -> Path:
    """Return the folder of `.venv` that packages are installed in."""
    if os.name == "nt":
        return VENV / "Lib" / "site-packages"
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return VENV / "lib" / version / "site-packages"


def file_size(path: Path) -> int:
    """Return a file's size in bytes, -1 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def create_venv() -> None:
    """Make an empty `.venv` in the place of whatever is there.

    Raises:
        SetupError: too little disk space, or Python's venv module does not work here.
    """
    if VENV.is_symlink() or VENV.is_file():
        VENV.unlink()
    elif VENV.exists():
        shutil.rmtree(str(VENV))
    needed = 3 if torch_requirement().endswith("+cpu") or sys.platform != "linux" else 10
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if free < needed:
        raise SetupError(f"{ROOT} has {free:.1f} GB free; installing needs {needed} GB")
    VENV.mkdir()
    # The base interpreter: the one running this file may be the .venv that was just removed.
    base = getattr(sys, "_base_executable", None) or sys.executable
    run_logged(
        "virtual environment",
        [base, "-m", "venv", str(VENV)],
        advice="On Debian and Ubuntu this needs: apt install python3-venv",
    )


def install(command: str) -> None:
    """Install torch, then what is pinned, then this project as it lies here.

    Raises:
        SetupError: pip failed; the end of its log has been printed.
    """
    torch = torch_requirement()
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    pip += ["--progress-bar", "off"]
    advice = "Is the package index reachable? pip's own settings (PIP_INDEX_URL, ...) are used."
    if torch.endswith("+cpu"):
        # Alone and without dependencies: one name is asked of the second index, once.
        source = ["--retries", "1", "--extra-index-url", CPU_INDEX]
        torch_advice = (
            f"{torch} lies at {CPU_INDEX}. Where that cannot be reached, put the wheel into a "
            "folder and set PIP_FIND_LINKS=FOLDER, or set PIP_EXTRA_INDEX_URL to a mirror."
        )
    else:
        source, torch_advice = [], advice
    run_logged(torch, [*pip, "--no-deps", *source, torch], advice=torch_advice)
    files = NEEDED_FILES[command]
    options = [option for name in files for option in ("-r", str(ROOT / name))]
    pins = "".join((ROOT / name).read_text(encoding="utf-8") for name in files)
    count = len(set(re.findall(r"(?m)^([\w.-]+)==", pins)))
    run_logged(f"{count} packages", [*pip, torch, *options], advice=advice, total=count)
    run_logged("medjepa", [*pip, "--no-deps", "-e", str(ROOT)], advice=advice)


def torch_requirement() -> str:
    """Return the torch to ask pip for.

    On Linux the plain name brings gigabytes of CUDA; the local version cannot be satisfied by it.
    """
    if sys.platform != "linux":
        return f"torch=={TORCH}"
    has_card = shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia").exists()
    return f"torch=={TORCH}" if has_card else f"torch=={TORCH}+cpu"


def run_logged(what: str, command: list[str], *, advice: str, total: int = 0) -> None:
    """Run an installing command with its output in the log and one line of progress.

    Raises:
        SetupError: it failed; the end of its output has been printed, `advice` is in the text.
    """
    begin = time.monotonic()
    live = sys.stdout.isatty()
    with LOG.open("ab") as log:
        start = log.tell()
        process = subprocess.Popen(
            command, cwd=str(ROOT), stdout=log, stderr=subprocess.STDOUT, env=child_environment()
        )
        try:
            while process.poll() is None:
                time.sleep(0.2)
                if live:
                    print(progress_line(what, start, begin, total), end="", flush=True)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode:
        output = LOG.read_bytes()[start:].decode(errors="replace")
        tail = "\n".join("  " + line for line in output.splitlines()[-15:])
        raise SetupError(f"installing {what} failed:\n{tail}\n{advice}\nThe whole log: {LOG}")
    end = "\r" if live else ""
    print(f"{end}  {what}: done in {time.monotonic() - begin:.0f} s{' ' * 30}".rstrip(), flush=True)


def progress_line(what: str, start: int, begin: float, total: int) -> str:
    """Return `what`, how far it is by pip's own words, and the time it has taken."""
    text = LOG.read_bytes()[start:].decode(errors="replace")
    found = len(set(re.findall(r"(?m)^(?:Collecting|Requirement already satisfied:) (\S+)", text)))
    if "Installing collected packages" in text:
        how_far = ", installing"
    else:
        how_far = f", {min(found, total)}/{total} found" if total else ""
    return f"\r  {what}{how_far}, {time.monotonic() - begin:.0f} s   "


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Write requirements.txt and requirements-dev.txt from pyproject.toml: exact versions.

    python scripts/lock.py python3.10 python3.11 python3.12 python3.13

Each interpreter resolves for itself (pip evaluates markers for the Python it runs in), with pip's
own settings. What differs between them gets a `python_version` marker. torch is left out, because
its build depends on the machine: start.py installs it first. What torch itself needs is pinned.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
TORCH_NEEDS = ("filelock", "typing-extensions>=4.10", "setuptools", "sympy>=1.13.3", "networkx",
               "jinja2", "fsspec>=0.8.5")  # fmt: skip
OTHER_SYSTEMS = (
    {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
)
HEADER = """\
# {title}, written by scripts/lock.py from pyproject.toml; do not edit.
# torch is not here: its build depends on the machine, and start.py installs it first.
"""
Pins = dict[str, str]  # name -> version


def main(interpreters: list[str]) -> int:
    """Resolve with every interpreter and write both files."""
    if not interpreters:
        print(__doc__)
        return 2
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    runtime = [text for text in project["dependencies"] if Requirement(text).name != "torch"]
    runtime += TORCH_NEEDS
    development = runtime + project["optional-dependencies"]["dev"]
    runtime_pins: dict[str, Pins] = {}
    development_pins: dict[str, Pins] = {}
    system_only: dict[str, str] = {}
    for interpreter in interpreters:
        version, everything, found = resolve(interpreter, development)
        system_only.update(found)
        # The runtime is resolved under the versions of the whole, so that the files agree.
        exact = [f"{name}=={pinned}" for name, pinned in everything.items()]
        development_pins[version] = everything
        _, runtime_pins[version], _ = resolve(interpreter, runtime, constraints=exact)
        print(f"Python {version}: {len(runtime_pins[version])} and {len(everything)} packages")
    # Their versions come from this system too: that they have wheels elsewhere is not checked.
    _, other_pins, _ = resolve(interpreters[0], sorted(system_only))
    only_development = {
        version: {name: pin for name, pin in pins.items() if name not in runtime_pins[version]}
        for version, pins in development_pins.items()
    }
    elsewhere = [f"{name}=={other_pins[name]}; {marker}" for name, marker in system_only.items()]
    write("requirements.txt", "What MedJEPA runs with", runtime_pins, elsewhere)
    write("requirements-dev.txt", "What the checks need beside it", only_development, [])
    return 0


def resolve(
    interpreter: str, requirements: list[str], constraints: list[str] | None = None
) -> tuple[str, Pins, dict[str, str]]:
    """Return the Python version, the pins, and what only other systems need (name -> marker)."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "venv" / "bin" / "python"
        subprocess.run([interpreter, "-m", "venv", str(python.parent.parent)], check=True)
        report = Path(folder) / "report.json"
        limits = Path(folder) / "constraints.txt"
        limits.write_text("\n".join(constraints or []), encoding="utf-8")
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                   "--dry-run", "--ignore-installed", "--only-binary", ":all:",
                   "--report", str(report), "-c", str(limits), *requirements]  # fmt: skip
        subprocess.run(command, check=True)
        content = json.loads(report.read_text(encoding="utf-8"))
    pins: Pins = {}
    system_only: dict[str, str] = {}
    for item in content["install"]:
        pins[canonicalize_name(item["metadata"]["name"])] = item["metadata"]["version"]
    for item in content["install"]:
        for text in item["metadata"].get("requires_dist", []):
            needed = Requirement(text)
            name = canonicalize_name(needed.name)
            for system in OTHER_SYSTEMS:
                environment = {**content["environment"], **system, "extra": ""}
                if name not in pins and needed.marker and needed.marker.evaluate(environment):
                    system_only[name] = f'sys_platform == "{system["sys_platform"]}"'
    return content["environment"]["python_version"], pins, system_only


def write(file_name: str, title: str, pins: dict[str, Pins], elsewhere: list[str]) -> None:
    """Merge the pins of all Python versions, and those of other systems, into one file."""
    lines = list(elsewhere)
    for name in {name for of_version in pins.values() for name in of_version}:
        versions: dict[str, list[str]] = {}
        for python, of_version in pins.items():
            if name in of_version:
                versions.setdefault(of_version[name], []).append(python)
        for version, pythons in versions.items():
            everywhere = len(pythons) == len(pins)
            marker = " or ".join(f'python_version == "{python}"' for python in pythons)
            lines.append(f"{name}=={version}" + ("" if everywhere else f"; {marker}"))
    text = HEADER.format(title=title) + "\n".join(sorted(lines)) + "\n"
    (ROOT / file_name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

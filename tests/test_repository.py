"""The repository itself: one source for each fact, and nothing too large to clone over bad Wi-Fi."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).parent.parent


def constraints(python: str) -> dict[str, str]:
    """Name -> pinned version for that Python."""
    pins = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            where = {"python_version": python, "sys_platform": "linux"}
            if requirement.marker is None or requirement.marker.evaluate(where):
                assert requirement.name.lower() not in pins, f"{requirement.name} is pinned twice for Python {python}"
                pins[requirement.name.lower()] = str(requirement.specifier).removeprefix("==")
    return pins


def project_requirements(without=()) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for extra, lines in project["optional-dependencies"].items() if extra not in without for line in lines]
    return [Requirement(line) for line in project["dependencies"] + extras]


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_every_requirement_is_pinned_within_its_range(python):
    pins = constraints(python)
    for requirement in project_requirements():
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            assert requirement.specifier.contains(pins[requirement.name.lower()]), requirement


def test_environment_yml_has_the_versions_of_the_constraints():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python = next(line for line in environment["dependencies"] if str(line).startswith("python=")).removeprefix("python=")
    pip = next(part["pip"] for part in environment["dependencies"] if isinstance(part, dict))
    listed = {Requirement(line).name: str(Requirement(line).specifier)[2:] for line in pip if not line.startswith("--")}
    pins = constraints(python)
    assert listed == {name: pins[name] for name in listed}
    wanted = project_requirements(without=["browser", "workshop"])
    assert set(listed) == {r.name.lower() for r in wanted if r.marker is None or r.marker.evaluate({"python_version": python})}


def test_what_is_shipped_stays_under_40_mib():
    shipped = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    assert sum((ROOT / name).stat().st_size for name in shipped if name and (ROOT / name).exists()) < 40 * 2**20


def test_help_of_every_command_shows_an_example():
    def help_of(*words):
        done = subprocess.run([sys.executable, "-m", "rlhf_core.cli", *words, "--help"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    commands = re.findall(r"^    (\w+)  ", help_of(), re.MULTILINE)
    assert {"run", "analyze"} <= set(commands)
    for command in commands:
        assert "example: rlhf-course " + command in help_of(command)

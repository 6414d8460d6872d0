"""A lesson as in Colab: an environment of Colab's versions without the course, the notebook alone in an empty folder, the
repository as a git remote, and a machine that is taken away in the middle."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient

from rlhf_core.course import course
from solutions.build import read, solved_path, student_path

ROOT = Path(__file__).parent.parent
LISTED = Path(__file__).parent / "colab.txt"
DRAWN = {"@jupyter-widgets/base", "@jupyter-widgets/controls", "@jupyter-widgets/output", "anywidget"}  # by Colab
LESSON = next(lesson for lesson in course()["lessons"] if lesson["name"] == "preferences")  # both kinds of widgets


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A new machine: an environment with Colab's packages, and the repository behind the address that the lessons name."""
    return Machine(tmp_path_factory.mktemp("colab"))


class Machine:
    def __init__(self, folder: Path):
        self.folder, self.content, self.drive = folder, folder / "content", folder / "drive"
        self.content.mkdir()
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        self.python = folder / "venv" / "bin" / "python"
        self.pip("install", "--quiet", "--requirement", LISTED)
        self.serve(folder / "remote")

    def pip(self, *words):
        done = subprocess.run([self.python, "-m", "pip", *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def versions(self) -> dict[str, str]:
        return {each["name"].lower(): each["version"] for each in json.loads(self.pip("list", "--format", "json"))}

    def serve(self, remote: Path):
        """The working tree as a repository, which git finds under the address of the course."""
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (remote / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, remote / name)
        who = ["-c", "user.name=course", "-c", "user.email=course@localhost"]
        for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "the course"]):
            subprocess.run(["git", *who, *words], cwd=remote, check=True)
        address = f"https://github.com/{course()['repository']}"
        (self.folder / "gitconfig").write_text(f'[url "file://{remote}"]\n\tinsteadOf = {address}\n')

    def taken_away(self):
        """Colab gives another machine: what was installed and written is gone, what lies in Drive is not."""
        self.pip("uninstall", "--quiet", "--yes", "rlhf-course")
        shutil.rmtree(self.content)
        self.content.mkdir()

    def run(self, notebook, cells=None):
        """Execute the first `cells` of a notebook that lies alone in the folder where Colab puts it."""
        manager = KernelManager(kernel_name="python3")
        manager._kernel_spec = KernelSpec(
            argv=[str(self.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Colab",
            language="python",
        )
        client = NotebookClient(notebook, km=manager, timeout=600, resources={"metadata": {"path": str(self.content)}})
        mine = {
            "GIT_CONFIG_GLOBAL": str(self.folder / "gitconfig"),
            "RLHF_COURSE_ANSWERS": str(self.drive),
            "OMP_NUM_THREADS": "1",
        }
        away = ("VIRTUAL_ENV", "PYTEST_CURRENT_TEST", "RLHF_COURSE_ANSWERS")
        environment = {name: value for name, value in os.environ.items() if name not in away} | mine
        try:
            with client.setup_kernel(env=environment):
                for index, cell in enumerate(notebook.cells[:cells]):
                    client.execute_cell(cell, index)
                client.set_widgets_metadata()
        finally:
            manager.shutdown_kernel(now=True)  # the client ends none that it was given
        return notebook


def text_of(cell) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


def place_of(notebook, grade_id) -> int:
    return next(n for n, cell in enumerate(notebook.cells) if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def test_a_lesson_in_colab(machine):
    before = machine.versions()
    assert "rlhf-course" not in before

    # The first machine: the lesson is done up to its second exercise, then the machine is gone.
    solved = read(solved_path(LESSON))
    half = machine.run(solved, cells=place_of(solved, "check_bradley_terry_loss") + 1)
    assert "with 0 of your answers from before" in text_of(half.cells[1])
    after = machine.versions()
    changed = {name for name in before if after[name] != before[name]}
    assert not changed, "what the kernel has imported already would need a restart, and the rest is somebody else's"
    assert sorted(path.stem for path in machine.drive.glob("*.py")) == ["bradley_terry_loss", "last_token_index"]

    # Another machine: the notebook as it is handed out begins with both answers, and goes on to its end.
    machine.taken_away()
    notebook, solved = read(student_path(LESSON)), read(solved_path(LESSON))
    answer = place_of(notebook, "pairwise_accuracy")
    notebook.cells[answer].source = solved.cells[place_of(solved, "pairwise_accuracy")].source
    for done in ("last_token_index", "bradley_terry_loss"):  # nobody writes these again: their cells are left out
        for grade_id in (done, f"check_{done}"):
            notebook.cells[place_of(notebook, grade_id)].source = "pass"
    whole = machine.run(notebook)
    assert "with 2 of your answers from before" in text_of(whole.cells[1])
    assert sorted(path.stem for path in machine.drive.glob("*.py"))[-1] == "pairwise_accuracy"

    state = whole.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    assert {model["model_module"] for model in state.values()} <= DRAWN
    assert any(model["model_module"] == "anywidget" for model in state.values())
    nbformat.validate(whole)

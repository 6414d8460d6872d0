"""What is in the student edition and in the solutions edition: files by their name, made from the repository's own."""

import ast
import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from rlhf_core.course import course, exercise_names, lesson_of, notebook_name
from rlhf_core.errors import CourseError
from solutions import build

from .records import records

ROOT = Path(__file__).parent.parent.parent
OWN = Path(__file__).parent / "student"  # files that only the student edition has
CARDS = ("docs/data-card.md", "docs/model-cards.md")

# What students get, and nothing else: files, and folders with all that git knows in them.
FILES = (
    "LICENSE", "CITATION.cff", "constraints.txt", *CARDS, "autograder/__init__.py",
    *(f"autograder/{name}.py" for name in (
        "answer", "apart", "bank", "command", "compare", "diagnosis", "draw", "engine", "hunt", "isolation", "plain_sampling",
        "plugin", "recorded", "report", "result", "selfcheck", "show", "specs", "submission", "worker",
    )),
    *(f"autograder/driver/{name}.py" for name in ("__init__", "call", "limit", "loading", "reading", "toys")),
)  # fmt: skip
FOLDERS = ("rlhf_core", "autograder/visible", "autograder/driver/scenarios")
EXTRAS = ("notebook", "library", "lab")

READ_ONLY = """\
**This lesson is here to be read.** It runs on the course's own answers, and these are left out of this edition: what you see
below each cell is what the cell gave. From lesson 1 on you run everything, with what you write; the folded solutions that are
mentioned here are left out, too."""
BORROWING = """

from rlhf_core import use

use("mine", otherwise="reference")  # some exercises of this lesson are given: those run where you have written none"""
FOR_INSTRUCTORS = """\
> The solutions edition of OWNER/NAME: the whole course with all answers and hidden checks, for instructors. What students get
> is the student edition, on the branch `student`. To begin: `git clone --branch solutions https://github.com/OWNER/NAME`.

"""


class File(NamedTuple):
    content: bytes
    executable: bool = False


def text(content: str) -> File:
    return File(content.encode())


def solutions(repository: str) -> dict[str, File]:
    """The repository itself, whose badges and first cells lead to its branch `solutions`."""
    files = {name: from_disk(name) for name in tracked()}
    files["course.toml"] = text(syllabus(repository, "solutions"))
    files["README.md"] = text(FOR_INSTRUCTORS.replace("OWNER/NAME", repository) + files["README.md"].content.decode())
    for lesson in tqdm(course()["lessons"], desc="the solutions edition", leave=False, disable=None):
        for folder in ("lessons", "solutions/notebooks"):
            name = f"{folder}/{notebook_name(lesson)}"
            files[name] = notebook(at_its_place(build.read(ROOT / name), lesson, repository, "solutions"))
    return files


def student(repository: str, lessons=None, released=()) -> dict[str, File]:
    """What students get: lessons without answers, the textbook, the visible checks, and records in the place of oracles.

    lessons: the numbers of those whose notebooks are in it, by default all.  released: what has its answers in it, numbers of
    lessons and names of single exercises.
    """
    names = [*FILES, *(name for name in tracked() if name.startswith(tuple(f"{folder}/" for folder in FOLDERS)))]
    files = {name: from_disk(name) for name in names}
    for path in sorted(OWN.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            files[path.relative_to(OWN).as_posix()] = text(path.read_text(encoding="utf-8").replace("OWNER/NAME", repository))
    files |= released_answers([name for name in exercise_names() if {name, lesson_of(name)["number"]} & set(released)])
    files |= {name: text(card(files[name].content.decode())) for name in CARDS}
    files["pyproject.toml"] = text(project((ROOT / "pyproject.toml").read_text(encoding="utf-8"), files))
    files["environment.yml"] = text(environment((ROOT / "environment.yml").read_text(encoding="utf-8"), files))
    files["course.toml"] = text(syllabus(repository, "student"))
    for lesson in tqdm(course()["lessons"], desc="the student edition", leave=False, disable=None):
        if lessons is None or lesson["number"] in lessons:
            files[f"lessons/{notebook_name(lesson)}"] = notebook(student_lesson(lesson, repository, released))
    for name, content in records([*exercise_names(), "hunt"]).items():
        files[f"autograder/record/{name}.npz"] = File(content)
    files["autograder/record/patterns.json"] = from_disk("autograder/wrong/patterns.json")
    return dict(sorted(files.items()))


def tracked() -> list[str]:
    """The names of the files that git knows. Raises CourseError where there is no clone."""
    if not (ROOT / ".git").exists():
        raise CourseError(
            "publish works from a clone of the course, and this one was installed without it: "
            f"git clone https://github.com/{course()['repository']}, then pip install --editable in it"
        )
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return sorted(name for name in listed.split("\0") if (ROOT / name).is_file())


def from_disk(name: str) -> File:
    path = ROOT / name
    return File(path.read_bytes(), bool(path.stat().st_mode & 0o100))


def released_answers(names) -> dict[str, File]:
    """The reference answers to these exercises, as a package `solutions.answers` that has no others."""
    import solutions.answers

    modules: dict[str, list[str]] = {}
    for name in names:
        modules.setdefault(getattr(solutions.answers, name).__module__.rpartition(".")[2], []).append(name)
    if not modules:
        return {}
    imports = "\n".join(f"from .{module} import {', '.join(names)}" for module, names in modules.items())
    head = '"""The reference answers that have been released, one module a lesson."""'
    files = {"solutions/answers/__init__.py": f"{head}\n\n{imports}\n\n__all__ = {json.dumps(sorted(names))}\n"}
    for module in modules:
        path = f"solutions/answers/{module}.py"
        files[path] = without_others((ROOT / path).read_text(encoding="utf-8"), names)
    return {name: text(content) for name, content in {"solutions/__init__.py": "", **files}.items()}


def without_others(source: str, names) -> str:
    """A module of answers without those to other exercises than these."""
    lines, others = source.splitlines(keepends=True), set(exercise_names()) - set(names)
    for before, statement in reversed(list(itertools.pairwise(ast.parse(source).body))):
        if getattr(statement, "name", None) in others:
            del lines[before.end_lineno : statement.end_lineno]
    return "".join(lines)


# Texts


def syllabus(repository: str, branch: str) -> str:
    """course.toml, with the place where this edition is found."""
    toml = (ROOT / "course.toml").read_text(encoding="utf-8")
    toml = re.sub(r'^branch = ".*"\n', "", toml, flags=re.MULTILINE)
    return re.sub(r'^repository = ".*"$', f'repository = "{repository}"\nbranch = "{branch}"', toml, flags=re.MULTILINE)


def project(toml: str, files) -> str:
    """pyproject.toml without the commands, extras, packages and tools that these files do not have."""
    kept, with_answers = [], "solutions/answers/__init__.py" in files
    for section in re.split(r"^(?=\[)", toml, flags=re.MULTILINE):
        head = section.partition("\n")[0]
        if head.startswith(("[tool.pytest", "[tool.ruff")) or ("rlhf_course.answers" in head and not with_answers):
            continue
        if "optional-dependencies" in head:
            extras = re.findall(r"^(\w+) = \[.*?\][^\n\]]*\n", section, flags=re.MULTILINE | re.DOTALL)
            for extra in set(extras) - set(EXTRAS):
                section = re.sub(rf"^{extra} = \[.*?\][^\n\]]*\n", "", section, flags=re.MULTILINE | re.DOTALL)
        if "entry-points" in head:
            lines = section.splitlines(keepends=True)
            named = [re.search(r' = "([\w.]+)', line) for line in lines]
            section = "".join(line for line, name in zip(lines, named, strict=True) if name is None or has(files, name[1]))
        kept.append(section if with_answers else section.replace(', "solutions"]', "]"))
    return "".join(kept).rstrip() + "\n"


def card(markdown: str) -> str:
    """A card of the models or the data, which names scripts that are not in this edition."""
    return re.sub(r"`solutions/pipeline/[\w.]*`", r"\g<0> (not in this edition)", markdown)


def has(files, module: str) -> bool:
    return f"{module.replace('.', '/')}.py" in files or f"{module.replace('.', '/')}/__init__.py" in files


def environment(yml: str, files) -> str:
    """environment.yml without the packages that pyproject.toml does not name."""
    named = re.findall(r'"([\w-]+)[^"]*"', files["pyproject.toml"].content.decode())
    lines = []
    for line in yml.splitlines(keepends=True):
        pinned = re.match(r" +- ([\w-]+)==", line)
        if pinned is None or pinned[1] in named:
            lines.append(re.sub(r"\.\[.*\]", f".[{','.join(EXTRAS)}]", line))
    return "".join(lines)


# Lessons


def notebook(lesson) -> File:
    import nbformat

    return text(nbformat.writes(lesson) + "\n")


def at_its_place(lesson_notebook, lesson, repository, branch):
    """A notebook whose badge and first cell lead to this branch."""
    lesson_notebook.cells[0].source = build.title(lesson, repository, branch)
    lesson_notebook.cells[1].source = build.first_cell(lesson, repository, branch)
    return lesson_notebook


def student_lesson(lesson, repository, released=()):
    """A lesson without solutions; with those that are released, folded.

    One of which single exercises are released runs these where the learner has written none. One that runs on the reference
    answers cannot be run without them: it is the solved one, with what it showed.
    """
    solved = build.read(build.solved_path(lesson))
    if any('use("reference")' in cell.source for cell in solved.cells if cell.cell_type == "code"):
        lesson_notebook = at_its_place(solved, lesson, repository, "student")
        lesson_notebook.cells[0].source += f"\n\n{READ_ONLY}"
    elif lesson["number"] in released:
        return at_its_place(build.read(build.student_path(lesson)), lesson, repository, "student")
    else:
        lesson_notebook = build.edition(
            lesson, lambda name, answer: build.stub_of(name, lesson),
            lambda answer: build.folded_solution(answer) if answer_to(answer) in released else [], lambda title, code: [],
            repository=repository, branch="student",
        )  # fmt: skip
        build.show_result_first(lesson_notebook, solved)
        if not set(released).isdisjoint(lesson["exercises"]):
            lesson_notebook.cells[1].source += BORROWING
    for cell in lesson_notebook.cells:
        if cell.cell_type == "code":
            cell.source = without_answers(cell.source)
            for mark in ("tolerance", "result", "seconds"):
                cell.metadata.pop(mark, None)
    return lesson_notebook


def answer_to(cell: str) -> str:
    """The exercise that a cell of a lesson answers: `@kl_exact.implement` is its first line."""
    return cell.partition(".")[0].removeprefix("@")


def without_answers(code: str) -> str:
    """A cell in which no exercise is implemented by more than its stub."""
    from rlhf_core.source import is_stub

    lines = code.split("\n")
    try:
        statements = ast.parse(code).body
    except SyntaxError:  # IPython's own: no answer is written so
        return code
    for statement in reversed(statements):
        marked = any(ast.unparse(mark).endswith(".implement") for mark in getattr(statement, "decorator_list", ()))
        if marked and not is_stub(statement):
            first, last = statement.body[0].lineno - 1, statement.body[-1].end_lineno
            lines[first:last] = ["    ...  # left out of this edition"]
    return "\n".join(lines)

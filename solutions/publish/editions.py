"""What is in the student edition and in the solutions edition: files by their name, made from the repository's own."""

import ast
import json
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from rlhf_core.course import course, exercise_names, notebook_name
from rlhf_core.errors import CourseError
from solutions import build

from .records import records

ROOT = Path(__file__).parent.parent.parent
OWN = Path(__file__).parent / "student"  # files that only the student edition has

# What students get, and nothing else: files, and folders with all that git knows in them.
FILES = (
    "LICENSE", "CITATION.cff", "constraints.txt", "docs/data-card.md", "docs/model-cards.md", "autograder/__init__.py",
    *(f"autograder/{name}.py" for name in (
        "answer", "apart", "bank", "command", "compare", "diagnosis", "draw", "engine", "hunt", "isolation", "plain_sampling",
        "plugin", "recorded", "report", "result", "selfcheck", "show", "specs", "submission", "worker",
    )),
    *(f"autograder/driver/{name}.py" for name in ("__init__", "call", "limit", "loading", "reading", "toys")),
)  # fmt: skip
FOLDERS = ("rlhf_core", "autograder/visible", "autograder/driver/scenarios")
EXTRAS = ("notebook", "lab")

READ_ONLY = """\
**This lesson is here to be read.** It runs on the course's own answers, and these are left out of this edition: what you see
below each cell is what the cell gave. From lesson 1 on you run everything, with what you write; the folded solutions that are
mentioned here are left out, too."""
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
    for lesson in course()["lessons"]:
        for folder in ("lessons", "solutions/notebooks"):
            name = f"{folder}/{notebook_name(lesson)}"
            files[name] = notebook(at_its_place(build.read(ROOT / name), lesson, repository, "solutions"))
    return files


def student(repository: str, lessons=None, released=()) -> dict[str, File]:
    """What students get: lessons without answers, the textbook, the visible checks, and records in the place of oracles.

    lessons: the numbers of those whose notebooks are in it, by default all.  released: the numbers of those whose answers are.
    """
    names = [*FILES, *(name for name in tracked() if name.startswith(tuple(f"{folder}/" for folder in FOLDERS)))]
    files = {name: from_disk(name) for name in names}
    for path in sorted(OWN.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            files[path.relative_to(OWN).as_posix()] = text(path.read_text(encoding="utf-8").replace("OWNER/NAME", repository))
    files |= released_answers(released)
    files["pyproject.toml"] = text(project((ROOT / "pyproject.toml").read_text(encoding="utf-8"), files))
    files["environment.yml"] = text(environment((ROOT / "environment.yml").read_text(encoding="utf-8"), files))
    files["course.toml"] = text(syllabus(repository, "student"))
    for lesson in course()["lessons"]:
        if lessons is None or lesson["number"] in lessons:
            lesson_notebook = student_lesson(lesson, repository, lesson["number"] in released)
            files[f"lessons/{notebook_name(lesson)}"] = notebook(lesson_notebook)
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


def released_answers(lessons) -> dict[str, File]:
    """The reference answers of these lessons, as a package `solutions.answers` that has no others."""
    import solutions.answers

    modules: dict[str, list[str]] = {}
    for name in (name for number in sorted(lessons) for name in exercise_names(number)):
        modules.setdefault(getattr(solutions.answers, name).__module__.rpartition(".")[2], []).append(name)
    if not modules:
        return {}
    imports = "\n".join(f"from .{module} import {', '.join(names)}" for module, names in modules.items())
    listed = sorted(name for names in modules.values() for name in names)
    head = '"""The reference answers of the lessons that have been released, one module a lesson."""'
    files = {f"solutions/answers/{module}.py": from_disk(f"solutions/answers/{module}.py") for module in modules}
    return files | {
        "solutions/__init__.py": text(""),
        "solutions/answers/__init__.py": text(f"{head}\n\n{imports}\n\n__all__ = {json.dumps(listed)}\n"),
    }


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


def student_lesson(lesson, repository, released=False):
    """A lesson without solutions, folded or not; with folded ones where it is released.

    One that runs on the reference answers cannot be run without them: it is the solved one, with what it showed.
    """
    solved = build.read(build.solved_path(lesson))
    if any('use("reference")' in cell.source for cell in solved.cells if cell.cell_type == "code"):
        lesson_notebook = at_its_place(solved, lesson, repository, "student")
        lesson_notebook.cells[0].source += f"\n\n{READ_ONLY}"
    elif released:
        return at_its_place(build.read(build.student_path(lesson)), lesson, repository, "student")
    else:
        lesson_notebook = build.edition(
            lesson, lambda name, answer: build.stub_of(name, lesson), lambda answer: [], lambda title, code: [],
            repository=repository, branch="student",
        )  # fmt: skip
        build.show_result_first(lesson_notebook, solved)
    for cell in lesson_notebook.cells:
        if cell.cell_type == "code":
            cell.source = without_answers(cell.source)
            for mark in ("tolerance", "result", "seconds"):
                cell.metadata.pop(mark, None)
    return lesson_notebook


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

"""Points and comments of `rlhf-course grade`, put into nbgrader's gradebook in one transaction.

The points of exercises come from the results; what a person gave stays: manual scores, extra credit, comments. Where points or
an answer changed after a person had marked it, the mark stays and is put up for review, as nbgrader does.
"""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import NbGrader
from nbgrader.converters import Autograde
from nbgrader.preprocessors import AssignLatePenalties
from nbgrader.utils import chdir, is_solution, parse_utc
from sqlalchemy.exc import OperationalError

from autograder.driver.reading import Refused
from autograder.grading.intake import Entry, content_hash, snapshot, submissions
from autograder.grading.journal import write_if_changed
from autograder.grading.results import NotOurs, folders_of, read_result, standing
from autograder.show import safe
from rlhf_core.course import course, lesson_of, notebook_name
from rlhf_core.errors import CourseError, UsageError

from . import comment
from .clean import clean_copy, released, texts_in

CHECK = "check_"  # before the name of an exercise: the cell that has its points
BESIDE = ("timestamp.txt", "submission_secret.txt")  # which nbgrader's feedback goes by
NAMED = 10  # of those to be looked at


class LeftOut(Exception):
    """A submission whose points are not put into the gradebook, and why."""


@dataclass
class Submission:
    """What is to be written for a student's submission of an assignment."""

    student: str
    result: dict
    timestamp: object  # datetime without a zone, in UTC; None where there is none
    files: dict[Path, bytes]  # for `autograded/`
    changed: set[str]  # the cells whose answer is another than that in `autograded/` now


def push(folder: Path, results: Path, only: str | None) -> int:
    """Put results into the gradebook of the course in `folder`; the exit code."""
    app = application(folder)
    found, left = read(results)
    with gradebook_of(app.coursedir) as gradebook:
        chosen = assignments(gradebook, found.values(), only)
        entries = handed_in(app.coursedir)
        batches = {}
        for name, notebooks in chosen.items():
            batches[name] = []
            for entry in entries:
                if (entry.path / name).is_dir():
                    try:
                        batches[name].append(prepared(app.coursedir, name, notebooks, entry, found))
                    except LeftOut as reason:
                        left.append(f"{name}, {entry.name}: {reason}")
    strangers = sorted(found.keys() - {entry.folder for entry in entries})
    left += [f"{name}: in the results, but not in submitted/" for name in strangers]

    backup(app.coursedir.db_url)
    with gradebook_of(app.coursedir) as gradebook, one_transaction(gradebook):
        waiting = {
            name: [each.student for each in batch if record(app, gradebook, name, each)] for name, batch in batches.items()
        }
    for path, content in (item for batch in batches.values() for each in batch for item in each.files.items()):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_if_changed(path, content)
    for name, batch in batches.items():
        names = ", ".join(safe(each) for each in waiting[name][:NAMED]) + (", ..." if waiting[name][NAMED:] else "")
        print(
            f"{name}: {len(batch)} submissions in the gradebook, {len(waiting[name])} of them to be looked at by a person"
            f"{names and ': '}{names}."
        )
    if left:
        print("Left as they were:")
        print("\n".join(f"  {safe(each)}" for each in left))
    return 1 if left else 0


# What there is


def application(folder: Path) -> NbGrader:
    """nbgrader with the configuration of the course. Raises UsageError where there is none."""
    if not (folder / "nbgrader_config.py").is_file():
        raise UsageError(
            f"{str(folder)!r} has no nbgrader_config.py: make the course with rlhf-course export nbgrader COURSE_DIR"
        )
    with chdir(str(folder)):
        app = NbGrader()
        app.initialize([], root=str(folder.resolve()))
    return app


@contextlib.contextmanager
def gradebook_of(coursedir):
    """The gradebook of the course. Raises CourseError where there is none, or it cannot be read or written."""
    path = sqlite_file(coursedir.db_url)
    if path is not None and not path.exists():
        raise CourseError(f"there is no {path}: run nbgrader generate_assignment first")
    try:
        with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
            yield gradebook
    except OperationalError as error:  # locked by another program, or made by an older nbgrader
        raise CourseError(
            f"the gradebook cannot be used ({error.orig}); nothing was written: try again, or run nbgrader db upgrade"
        ) from error


def sqlite_file(db_url: str) -> Path | None:
    return Path(db_url.removeprefix("sqlite:///")) if db_url.startswith("sqlite:///") else None


def read(results: Path) -> tuple[dict[str, dict], list[str]]:
    """The results by folder, and what is wrong with those that cannot be read."""
    found, odd = {}, []
    for folder in folders_of(results):
        try:
            found[folder.name] = read_result(folder)
        except NotOurs as error:
            odd.append(f"{folder.name}: {error}")
    return found, odd


def assignments(gradebook, results, only: str | None) -> dict[str, list[str]]:
    """The assignments to be filled in, with those of their notebooks that are lessons in the results."""
    graded = {lesson_of(name)["number"] for result in results for name in result["exercises"]}
    lessons = {notebook_name(each).removesuffix(".ipynb"): each["number"] for each in course()["lessons"]}
    ours = {each.name: [n.name for n in each.notebooks if n.name in lessons] for each in gradebook.assignments}
    ours = {name: notebooks for name, notebooks in ours.items() if notebooks}
    if only is not None:
        if only not in ours:
            raise UsageError(f"the gradebook has no assignment {only!r} with a lesson; it has {', '.join(ours) or 'none'}")
        ours = {only: ours[only]}
    chosen = {name: [n for n in notebooks if lessons[n] in graded] for name, notebooks in ours.items()}
    chosen = {name: notebooks for name, notebooks in chosen.items() if notebooks}
    if not chosen:
        numbers = ", ".join(map(str, sorted(graded))) or "none"
        raise UsageError(
            f"the results are of lessons {numbers}, the gradebook has {', '.join(ours) or 'no lesson'}: grade --lesson N"
        )
    return chosen


def handed_in(coursedir) -> list[Entry]:
    """The students with a folder in `submitted/`, as `grade` sees them."""
    return [entry for entry in submissions([Path(coursedir.root) / coursedir.submitted_directory]) if entry.path.is_dir()]


# What is to be written


def prepared(coursedir, assignment: str, notebooks: list[str], entry: Entry, results: dict[str, dict]) -> Submission:
    """Raises LeftOut."""
    result = results.get(entry.folder)
    if result is None:
        raise LeftOut("not graded yet")
    files, digest = {}, None
    with contextlib.suppress(Refused):
        files = snapshot(entry, {name for each in results.values() for name in each["exercises"]})
        digest = content_hash(files)
    if result["submission_hash"] not in (digest, ""):  # "": this machine could not read it
        raise LeftOut("something else was handed in since it was graded: grade again")
    texts = {}
    for name, content in sorted(files.items()) if result["state"] != "refused" else ():
        if name.startswith(f"{assignment}/") and name.endswith(".ipynb"):
            for cell, found in texts_in(content).items():
                texts.setdefault(cell, []).extend(found)
    source = entry.path / assignment
    target = Path(coursedir.format_path(coursedir.autograded_directory, entry.path.name, assignment))
    beside = {name: beginning(source / name) for name in BESIDE if (source / name).exists()}
    written, changed = {target / name: content for name, content in beside.items()}, set()
    for name in notebooks:
        new = clean_copy(released(coursedir, assignment, name), texts)
        written[target / f"{name}.ipynb"] = nbformat.writes(new).encode()
        changed |= changed_cells(target / f"{name}.ipynb", new)
    return Submission(entry.path.name, result, time_in(beside.get("timestamp.txt")), written, changed)


def beginning(path: Path) -> bytes:
    """The start of a small file that may have been made by a student. Raises LeftOut."""
    if path.is_symlink() or not path.is_file():
        raise LeftOut(f"{path.name} is no regular file")
    with open(path, "rb") as file:
        return file.read(1000)


def time_in(content: bytes | None):
    """Raises LeftOut for what is not a time."""
    if not content:
        return None
    try:
        return parse_utc(content.decode().strip())
    except (ValueError, OverflowError) as error:
        raise LeftOut(f"timestamp.txt holds no time ({error})") from error


def changed_cells(path: Path, new) -> set[str]:
    """The solution cells of a notebook that hold something else than those of the file at `path`."""
    old = answers(nbformat.read(path, as_version=4)) if path.exists() else {}
    return {name for name, text in answers(new).items() if old.get(name) != text}


def answers(notebook) -> dict[str, str]:
    return {cell.metadata.nbgrader.grade_id: cell.source for cell in notebook.cells if is_solution(cell)}


# The gradebook


def backup(db_url: str):
    """Keep the gradebook as it was before, beside it."""
    path = sqlite_file(db_url)
    if path is not None:
        with (
            contextlib.closing(sqlite3.connect(path)) as now,
            contextlib.closing(sqlite3.connect(f"{path}.before-push")) as old,
        ):
            now.backup(old)


@contextlib.contextmanager
def one_transaction(gradebook):
    """All or nothing: what commits within only takes part, and anything that is raised takes all of it back."""
    gradebook.db.remove()
    with gradebook.engine.begin() as connection:
        gradebook.db.configure(bind=connection, join_transaction_mode="rollback_only")
        yield
        gradebook.db.flush()
        gradebook.db.remove()


def record(app, gradebook, assignment: str, submission: Submission) -> bool:
    """Write a submission; whether a person has to look at it."""
    try:
        gradebook.find_student(submission.student)
    except MissingEntry:
        if not Autograde(parent=app).create_student:
            raise CourseError(
                f"{submission.student} is not in the gradebook, and c.Autograde.create_student is off: add them with "
                "nbgrader db student add; nothing was written"
            ) from None
        gradebook.add_student(submission.student)
    when = {} if submission.timestamp is None else {"timestamp": submission.timestamp}
    with gradebook.db.no_autoflush:  # it builds a submission part by part
        found = gradebook.update_or_create_submission(assignment, submission.student, **when)
    for notebook in found.notebooks:
        if notebook.name in {path.stem for path in submission.files}:
            for grade in notebook.grades:
                set_points(grade, submission)
            for each in notebook.comments:
                each.auto_comment = None
                each.manual_comment = comment.merged(each.manual_comment, block_for(each.name, submission.result))
            gradebook.db.commit()  # so that the scores are read anew
            set_penalty(app, notebook, found.total_seconds_late)
    gradebook.db.commit()
    return found.needs_manual_grade


def unread(result: dict) -> bool:
    """Whether nothing was read of what lies in `submitted/`: it was refused, or holds work for other lessons alone."""
    return standing(result) in ("refused", "no_submission")


def set_points(grade, submission: Submission):
    """The points of a cell, None where a person has to look: at what is not graded, and at a written answer."""
    result = submission.result
    exercise = result["exercises"].get(grade.name.removeprefix(CHECK)) if grade.name.startswith(CHECK) else None
    question = result.get("questions", {}).get(grade.name)
    points = None
    if not unread(result) and exercise is not None and exercise["state"] != "not_graded":
        if grade.max_score != exercise["max_points"]:
            raise CourseError(
                f"{grade.name} has {grade.max_score:g} points in the gradebook and {exercise['max_points']:g} in the results: "
                "change them in course.toml, then make and generate the assignment again; nothing was written"
            )
        points = exercise["points"]
    elif not unread(result) and question is not None and question["state"] == "missing":
        points = 0.0
    if grade.manual_score is None:
        grade.needs_manual_grade = points is None
    elif points != grade.auto_score or grade.name.removeprefix(CHECK) in submission.changed:
        grade.needs_manual_grade = True
    grade.auto_score = points


def block_for(name: str, result: dict) -> str | None:
    """What the checks said about the answer in this cell; None for a cell that holds none."""
    if unread(result) or not result["exercises"]:
        return comment.not_graded(name, result["reason"] or "no reason is known")
    return comment.block(name, result["exercises"][name]) if name in result["exercises"] else None


def set_penalty(app, notebook, seconds_late: float):
    """What nbgrader's autograde does at its end, by the rule that the course is configured with."""
    rule = AssignLatePenalties(parent=app)
    rule.init_plugin()
    notebook.late_submission_penalty = None
    if seconds_late > 0:
        penalty = rule.plugin_inst.late_submission_penalty(notebook.student.id, notebook.score, seconds_late)
        if penalty is not None:
            notebook.late_submission_penalty = min(max(penalty, 0), notebook.score)

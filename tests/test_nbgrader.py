"""The whole loop with nbgrader itself: a class of 30, graded by `grade`, read back from gradebook, CSV and feedback."""

import ast
import contextlib
import copy
import csv
import html
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbconvert.filters import markdown2html
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.preprocessors import ClearSolutions
from nbgrader.utils import is_solution

import autograder.hidden
from autograder.bank import wrong_answers
from autograder.export.nbgrader import comment, folder, lessons_in, push
from autograder.export.nbgrader.clean import plain, texts_in
from autograder.grading.tiers import best
from autograder.result import points
from autograder.show import safe
from benchmarks.submissions import source_of
from rlhf_core.cli import main
from rlhf_core.course import WRITE_HERE, course, exercise_names, notebook_name
from rlhf_core.errors import UsageError
from rlhf_core.source import is_stub
from solutions.build import answer_of, first_cell, title

LESSONS = {f"lesson-{number:02d}": course()["lessons"][number] for number in (4, 5)}
FILES = {name: notebook_name(lesson) for name, lesson in LESSONS.items()}
NAMES = exercise_names(5)
(QUESTION,) = LESSONS["lesson-04"]["questions"]
DUE, ON_TIME, LATER, LATE = (f"2099-03-{day} 12:00:00.000000 UTC" for day in ("10", "08", "09", "12"))
SCRIPT = "<script>pwned()</script>"
ATTACK = (
    f"{SCRIPT}\n\n<img src=x onerror=pwned()>\n\n[click](javascript:pwned())\n\n</pre></code></div>{SCRIPT}\n\n```\n{SCRIPT}\n"
    "~~~\n\n$\\href{javascript:pwned()}{x}$\n\n<https://x.example/pwned>"
)


# What students write


def right(name) -> str:
    return answer_of(name)


def mistaken(name, number) -> str:
    known = wrong_answers(name)
    return source_of(known[number % len(known)].forms[0], name)


def cell_of(notebook, name):
    return next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == name)


def answered(released, **texts):
    """The released notebook with these texts in its cells, as a student saves it: with outputs."""
    notebook = copy.deepcopy(released)
    for name, text in texts.items():
        cell_of(notebook, name).source = text
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("stream", name="stderr", text="a warning\n")]
    return notebook


def all_right(released):
    return answered(released, **{name: right(name) for name in NAMES})


def doubled(released):
    """Wrong above, right below; the check doubled too, with more points."""
    notebook = all_right(released)
    for name in NAMES:
        twin = copy.deepcopy(cell_of(notebook, name))
        twin.source, twin.id = mistaken(name, 0), f"twin-{name[:40]}"
        notebook.cells.insert(2, twin)
        check = copy.deepcopy(cell_of(notebook, f"check_{name}"))
        check.metadata.nbgrader.points, check.id = 50, f"check-{name[:40]}"
        notebook.cells.append(check)
    return notebook


def deleted(released):
    """One answer, the check of another, and all the text are gone."""
    notebook = all_right(released)
    gone = [cell_of(notebook, name) for name in (NAMES[0], f"check_{NAMES[1]}")]
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell not in gone]
    return notebook


def edited(released):
    """Everything that a student should not touch: locked cells, points, ids, types, flags, the kernel."""
    notebook = all_right(released)
    cell_of(notebook, f"check_{NAMES[0]}").source = "100"
    cell_of(notebook, f"check_{NAMES[1]}").metadata.nbgrader.update(points=99, grade=False, locked=False)
    cell_of(notebook, f"check_{NAMES[2]}").metadata.nbgrader.grade_id = NAMES[0] + "_"
    cell_of(notebook, NAMES[1]).metadata.nbgrader = {"grade_id": NAMES[1], "schema_version": "x", "points": "many"}
    notebook.metadata.kernelspec = {"name": "evil", "display_name": SCRIPT, "language": "cobol"}
    return notebook


def scripted(released):
    """HTML wherever a student can put it."""
    raises = f"def {NAMES[0]}(x, mask, dim=None):\n    raise ValueError({ATTACK!r})\n"
    wrong = f"def {NAMES[2]}(rewards, values, mask, gamma, lam):\n    # {SCRIPT}\n    return {ATTACK!r}\n"
    notebook = answered(released, **{NAMES[0]: raises, NAMES[2]: wrong, NAMES[1]: right(NAMES[1])})
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell(ATTACK))
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source += ATTACK
        else:
            cell.outputs = [nbformat.v4.new_output("display_data", {"text/html": ATTACK})]
    return notebook


def class_of(released, ran: Path) -> dict:
    """What 29 students hand in for lesson 5, by name: a notebook, or the bytes of a file that is none."""
    students = {f"right{number}": all_right(released) for number in range(3)}
    for number in range(12):
        students[f"wrong{number:02d}"] = answered(released, **{name: mistaken(name, number) for name in NAMES})
    students |= {
        "empty": released,
        "untouched": answered(released),
        "partial": answered(released, **{NAMES[0]: right(NAMES[0])}),
        "doubled": doubled(released),
        "deleted": deleted(released),
        "edited": edited(released),
        "late": all_right(released),
        "scripted": scripted(released),
        "exits": answered(released, **{NAMES[0]: right(NAMES[0]), NAMES[1]: "import os\n\nos._exit(0)"}),
        "writes": answered(released, **{NAMES[0]: f"open({str(ran)!r}, 'w')\n{right(NAMES[0])}"}),
        "no_json": b"{" + SCRIPT.encode(),
        "format_3": json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}).encode(),
        "by_command": all_right(released),
    }
    students["resubmitted"] = all_right(released)
    return students


# The loop, once for all tests


def contents(database: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return list(connection.iterdump())


class Loop:
    """A course, an exchange, and what is run in them."""

    def __init__(self, home: Path):
        self.home, self.course, self.exchange = home, home / "course", home / "exchange"
        self.ran = home / "ran"  # written by a student's code, if anything but the sandbox runs it
        self.exchange.mkdir()
        self.exchange.chmod(0o777)

    def make(self) -> int:
        return main(["export", "nbgrader", str(self.course), "--lessons", "4-5", "--exchange", str(self.exchange)])

    def release(self, assignment):
        self.nbgrader("generate_assignment", assignment)
        self.nbgrader("release_assignment", assignment)

    def nbgrader(self, *arguments, cwd=None) -> str:
        environment = os.environ | {f"JUPYTER_{name}_DIR": str(self.home / "jupyter") for name in ("CONFIG", "DATA", "RUNTIME")}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"  # it calls alembic
        command = [sys.executable, "-m", "nbgrader", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=cwd or self.course, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def hand_in(self, student, assignment, content, when):
        """As `nbgrader submit` lays it into the exchange."""
        place = self.exchange / "rlhf" / "inbound" / f"{student}+{assignment}+{when}+xyz"
        self.fill(place, assignment, content, when, student)

    def lay(self, student, assignment, content, when):
        """As `nbgrader collect` lays it into the course."""
        self.fill(self.course / "submitted" / student / assignment, assignment, content, when, student)

    def fill(self, place, assignment, content, when, secret):
        place.mkdir(parents=True)
        (place / FILES[assignment]).write_bytes(content if isinstance(content, bytes) else nbformat.writes(content).encode())
        (place / "timestamp.txt").write_text(when)
        (place / "submission_secret.txt").write_text(secret)

    def grade(self, lesson):
        out = self.results(lesson)
        arguments = ["grade", self.course / "submitted", "--lesson", lesson, "--out", out, "--official", "--seed", "a class"]
        assert main([*map(str, arguments), "--jobs", "2", "--json", *(["--accept-c"] if best()[0] == "C" else [])]) == 0

    def results(self, lesson) -> Path:
        return self.home / f"results-{lesson:02d}"

    def result(self, lesson, student) -> dict:
        return json.loads((self.results(lesson) / student / "result.json").read_text())

    def push(self, lesson) -> int:
        return main(["export", "nbgrader", str(self.course), "--results", str(self.results(lesson))])

    def gradebook(self):
        return Gradebook(f"sqlite:///{self.course / 'gradebook.db'}", "rlhf")

    def dump(self) -> list[str]:
        return contents(self.course / "gradebook.db")

    def released(self, assignment):
        return nbformat.read(self.course / "release" / assignment / FILES[assignment], as_version=4)

    def feedback(self, student, assignment="lesson-05") -> str:
        return (self.course / "feedback" / student / assignment / FILES[assignment]).with_suffix(".html").read_text()

    def rows(self) -> dict:
        self.nbgrader("export", "--to", self.home / "grades.csv")
        with open(self.home / "grades.csv", newline="") as file:
            return {(row["assignment"], row["student_id"]): row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    """From an empty folder to points and feedback."""
    loop = Loop(tmp_path_factory.mktemp("nbgrader"))
    assert loop.make() == 0
    with open(loop.course / "nbgrader_config.py", "a") as file:
        file.write("c.LateSubmissionPlugin.penalty_method = 'zero'\n")
    for assignment in LESSONS:
        loop.release(assignment)
    loop.nbgrader("db", "assignment", "add", "lesson-05", f"--duedate={DUE}")
    loop.nbgrader("db", "student", "add", "absent")
    released = loop.released("lesson-05")
    students = class_of(released, loop.ran)
    home = loop.home / "student"
    home.mkdir()
    (home / "nbgrader_config.py").write_text(
        f"c = get_config()\nc.CourseDirectory.course_id = 'rlhf'\nc.Exchange.root = {str(loop.exchange)!r}\n"
    )
    loop.nbgrader("fetch_assignment", "lesson-05", cwd=home)
    fetched = home / "lesson-05" / FILES["lesson-05"]
    assert nbformat.read(fetched, as_version=4) == released
    nbformat.write(students.pop("by_command"), fetched)
    loop.nbgrader("submit", "lesson-05", "--student=by_command", cwd=home)
    loop.nbgrader("db", "assignment", "add", "lesson-05", f"--duedate={DUE}")
    for student, content in students.items():
        first = answered(released, **{NAMES[0]: mistaken(NAMES[0], 0)}) if student == "resubmitted" else content
        loop.hand_in(student, "lesson-05", first, LATE if student == "late" else ON_TIME)
    of_4 = loop.released("lesson-04")
    loop.hand_in("right0", "lesson-04", answered(of_4, kl_exact=right("kl_exact"), **{QUESTION: ATTACK}), ON_TIME)
    loop.hand_in("right1", "lesson-04", answered(of_4, **{n: mistaken(n, 1) for n in exercise_names(4)}), ON_TIME)
    loop.hand_in("linked", "lesson-05", b"", ON_TIME)
    (link,) = (loop.exchange / "rlhf" / "inbound").glob(f"linked+*/{FILES['lesson-05']}")
    link.unlink()
    link.symlink_to(loop.course / "source" / "lesson-05" / FILES["lesson-05"])
    (loop.exchange / "rlhf" / "inbound" / f"linked2+lesson-05+{ON_TIME}+xyz").symlink_to(loop.course / "source" / "lesson-05")
    for assignment in LESSONS:
        loop.nbgrader("collect", assignment)
    loop.hand_in("resubmitted", "lesson-05", students["resubmitted"], LATER)
    loop.nbgrader("collect", "lesson-05", "--update")

    for lesson in (4, 5):
        loop.grade(lesson)
        assert loop.push(lesson) == 0
    for assignment in LESSONS:
        loop.nbgrader("generate_feedback", assignment)
    return loop


@pytest.fixture(scope="module")
def rows(loop):
    """`nbgrader export`, once for all tests that change nothing before they look."""
    return loop.rows()


def of(loop, student, assignment="lesson-05") -> dict:
    """A student's grades and comments of an assignment, by cell: (points, whether a person has to look, comment)."""
    with loop.gradebook() as gradebook:
        (notebook,) = gradebook.find_submission(assignment, student).notebooks
        comments = {comment.name: comment.comment for comment in notebook.comments}
        grades = {grade.name: (grade.auto_score, grade.needs_manual_grade) for grade in notebook.grades}
    return {"grades": grades, "comments": comments}


@pytest.fixture
def undone(loop):
    """What a test does to the course and to results is taken back."""
    places = [loop.course, loop.results(4), loop.results(5)]
    for place in places:
        shutil.copytree(place, loop.home / "kept" / place.name)
    yield
    for place in places:
        shutil.rmtree(place)
        (loop.home / "kept" / place.name).rename(place)


# The course


def test_no_answer_is_released():
    """Mechanically, for every lesson: what nbgrader makes of our sources holds no code of an answer and no rubric."""
    clear = ClearSolutions(code_stub={"python": ""}, text_stub=WRITE_HERE)
    for lesson in lessons_in(None):
        notebook, _ = clear.preprocess(nbformat.reads(folder.source(lesson).decode(), as_version=4), {})
        text = "\n".join(cell.source for cell in notebook.cells)
        for name in lesson["exercises"]:
            tree = ast.parse(cell_of(notebook, name).source)
            assert [is_stub(node) for node in tree.body] == [True], name
            answer = inside(answer_of(name))
            assert answer in inside(folder.marked(answer_of(name))) and answer not in without_spaces(text), name
        for name in lesson.get("questions", {}):
            assert cell_of(notebook, name).source == WRITE_HERE
        assert "SOLUTION" not in text and "Rubric" not in text and "The mended recipe" not in text
        assert not [cell for cell in notebook.cells if cell.source.startswith("<details>")]


def inside(answer: str) -> str:
    """The code of an answer below its head, without spaces."""
    return without_spaces(answer.partition("BEGIN SOLUTION\n")[2].partition("### END SOLUTION")[0])


def without_spaces(text: str) -> str:
    return "".join(text.split())


def test_a_source_holds_answer_and_rubric(loop):
    source = nbformat.read(loop.course / "source" / "lesson-04" / FILES["lesson-04"], as_version=4)
    for name in exercise_names(4):
        assert inside(answer_of(name)) in without_spaces(cell_of(source, name).source)
    assert "marks" in cell_of(source, QUESTION).source and WRITE_HERE not in cell_of(source, QUESTION).source


@pytest.fixture
def make(tmp_path, capsys):
    """Makes a course, and gives the exit code and what was printed."""

    def run(*more):
        code = main(["export", "nbgrader", str(tmp_path / "course"), *map(str, more)])
        return code, capsys.readouterr().out

    return run


def files_in(folder) -> dict:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_course_is_made_again_and_what_was_changed_is_kept(tmp_path, make):
    course = tmp_path / "course"
    assert make("--lessons", "5")[0] == 0
    first = files_in(course)
    assert make()[0] == 0 and files_in(course) == first
    config = course / "nbgrader_config.py"
    config.write_text(config.read_text() + "c.Exchange.timezone = 'Europe/Zurich'\n")
    assert make()[0] == 0 and "Zurich" in config.read_text(), "there is nothing newer: the instructor's own stands"
    code, told = make("--course-id", "other")
    assert code == 1 and "Zurich" in config.read_text() and "nbgrader_config.py" in told
    theirs = course / "source" / "lesson-04" / FILES["lesson-04"]
    theirs.parent.mkdir()
    theirs.write_text("mine")
    code, told = make("--lessons", "4")
    assert code == 1 and theirs.read_text() == "mine" and str(theirs.relative_to(course)) in told


def test_what_the_course_was_made_with_is_remembered(tmp_path, make):
    course = tmp_path / "course"
    options = ["--course-id", "spring", "--exchange", tmp_path / "exchange", "--repository", "some-one/a.course"]
    code, told = make("--lessons", "5", *options)
    assert code == 0 and told.startswith(f"1 assignment in {course}: lesson-05\n")
    first, config = files_in(course), course / "nbgrader_config.py"
    assert "'spring'" in config.read_text() and repr(str(tmp_path / "exchange")) in config.read_text()
    assert make() == (0, told) and files_in(course) == first, "nothing is newer"
    config.write_text(config.read_text() + "c.Exchange.timezone = 'Europe/Zurich'\n")
    assert make() == (0, told), "the changed configuration is not named, as there is nothing newer"
    code, told = make("--lessons", "4")
    assert code == 0 and told.startswith(f"2 assignments in {course}: lesson-04, lesson-05\n")
    assert "https://github.com/some-one/a.course" in (course / "source" / "lesson-04" / FILES["lesson-04"]).read_text()
    assert make("--repository", "else/where")[0] == 0
    assert all("some-one" not in path.read_text() for path in course.rglob("*.ipynb")), "both follow"
    shutil.rmtree(course / "source" / "lesson-05")
    assert "1 assignment in" in make()[1] and not (course / "source" / "lesson-05").exists(), "what was taken out stays out"


def test_the_first_cell_leads_to_where_it_says(tmp_path, make):
    def cells():
        return [cell.source for cell in nbformat.read(next((tmp_path / "course").rglob("*.ipynb")), as_version=4).cells]

    public, lesson = course()["repository"], LESSONS["lesson-05"]
    told = make("--lessons", "5")[1]
    assert f"installs {public} (branch main), which has the answers in it" in told and "--repository OWNER/NAME" in told
    assert f"https://github.com/{public}" in cells()[1]
    told = make("--repository", "some-one/a.course")[1]
    assert "installs the branch student of some-one/a.course" in told
    here = ("some-one/a.course", "student")
    assert cells()[:2] == [title(lesson, *here), first_cell(lesson, *here)]
    assert not [text for text in cells() if public in text]


@pytest.mark.parametrize("before", [("rlhf-course/rlhf-course", "main"), ("some-one/a.course", "solutions")])
def test_badge_and_first_cell_are_those_of_publish(before):
    now = ("An-other/b_course", "student")
    for lesson in course()["lessons"]:
        for text in (title, first_cell):
            assert folder.led_to(text(lesson, *before), now[0]) == text(lesson, *now)


@pytest.mark.parametrize("lessons, said", [("0", "lesson 0"), ("1-99", "lesson 10"), ("one", "neither a number")])
def test_lessons_that_cannot_be_assignments(lessons, said):
    with pytest.raises(UsageError, match=said):
        lessons_in(lessons)


def test_lists_of_lessons():
    assert [lesson["number"] for lesson in lessons_in("1,4-6, 5")] == [1, 4, 5, 6]
    assert [lesson["number"] for lesson in lessons_in(None)] == list(range(1, 10))


# Points


@pytest.mark.parametrize("state", ["graded", "refused"])
def test_a_person_looks_at_what_was_not_read(state):
    """Refused, or work for other lessons alone in the folder of this one: no 0 before somebody has seen it."""
    exercise = {"state": "missing", "points": 0.0, "max_points": 2.0}
    result = {
        "state": state,
        "reason": "why",
        "exercises": {"masked_mean": exercise} if state == "graded" else {},
        "questions": {},
    }
    grade = SimpleNamespace(name="check_masked_mean", max_score=2.0, manual_score=None, auto_score=None)
    push.set_points(grade, push.Submission("ann", result, None, {}, set()))
    assert grade.needs_manual_grade and grade.auto_score is None
    assert "Nothing could be graded: why" in push.block_for("masked_mean", result)


def test_points_are_those_of_grade_everywhere(loop, rows):
    graded = sorted(path.parent.name for path in loop.results(5).glob("*/result.json"))
    assert len(graded) == 29
    for student in graded:
        result = loop.result(5, student)
        if result["state"] == "graded":
            expected = {f"check_{name}": (exercise["points"], False) for name, exercise in result["exercises"].items()}
            assert of(loop, student)["grades"] == expected, student
            assert float(rows["lesson-05", student]["raw_score"]) == pytest.approx(result["points"], abs=1e-9)
            points_left = 0.0 if student == "late" else result["points"]
            assert f"(Score: {round(points_left, 2)} / 11.0)" in loop.feedback(student)
            for name, exercise in result["exercises"].items():
                score = f"Score: {round(exercise['points'], 2)} / {float(exercise['max_points'])}"
                assert f'<a href="#check_{name}">Test cell</a> ({score})' in loop.feedback(student)
    for student in ("right0", "doubled", "edited", "resubmitted", "late", "by_command"):
        assert float(rows["lesson-05", student]["raw_score"]) == 11, student
    for student in ("empty", "untouched"):
        assert float(rows["lesson-05", student]["raw_score"]) == 0, student
    assert len({loop.result(5, f"wrong{number:02d}")["points"] for number in range(12)}) > 6, "they differ"
    assert not loop.ran.exists(), "nothing ran outside the sandbox"


def test_a_second_assignment_and_its_question(loop, rows):
    of_right = of(loop, "right0", "lesson-04")
    assert of_right["grades"]["check_kl_exact"] == (3.0, False)
    assert of_right["grades"]["check_shape_rewards"] == (0.0, False)
    assert of_right["grades"][QUESTION] == (None, True) and of_right["comments"][QUESTION] is None
    assert of(loop, "right1", "lesson-04")["grades"][QUESTION] == (0.0, False), "nothing was written"
    assert float(rows["lesson-04", "right1"]["raw_score"]) == pytest.approx(loop.result(4, "right1")["points"])


def test_deleted_and_doubled_cells(loop):
    assert of(loop, "deleted")["grades"][f"check_{NAMES[0]}"] == (0.0, False)
    full = LESSONS["lesson-05"]["exercises"][NAMES[1]]
    assert of(loop, "deleted")["grades"][f"check_{NAMES[1]}"] == (full, False), "its check was deleted, its answer is there"
    assert "was not handed in" in of(loop, "deleted")["comments"][NAMES[0]]


@pytest.mark.parametrize("student, why", [("no_json", "is not JSON"), ("format_3", "notebook of format 3")])
def test_what_was_refused_waits_for_a_person(loop, student, why):
    assert set(of(loop, student)["grades"].values()) == {(None, True)}
    assert all(why in " ".join(comment.split()) for comment in of(loop, student)["comments"].values())


def test_lateness_is_nbgraders(rows):
    assert [rows["lesson-05", "late"][name] for name in ("raw_score", "late_submission_penalty", "score")] == [
        "11.0",
        "11.0",
        "0.0",
    ]
    assert rows["lesson-05", "right0"]["late_submission_penalty"] == "0.0"
    assert rows["lesson-05", "resubmitted"]["timestamp"].startswith("2099-03-09")


def test_a_student_without_a_submission(loop, rows):
    with loop.gradebook() as gradebook, pytest.raises(MissingEntry):
        gradebook.find_submission("lesson-05", "absent")
    assert rows["lesson-05", "absent"]["timestamp"] == ""


def test_a_link_in_the_exchange_is_not_collected(loop):
    collected = {path.name for path in (loop.course / "submitted").iterdir()}
    assert "right0" in collected and not {"linked", "linked2"} & collected


# What is shown


def test_the_copies_are_the_released_notebook(loop):
    for assignment in LESSONS:
        released = loop.released(assignment)
        for path in (loop.course / "autograded").glob(f"*/{assignment}/*.ipynb"):
            copied = nbformat.read(path, as_version=4)
            assert not [cell for cell in copied.cells if cell.get("outputs")]
            for old, new in zip(released.cells, copied.cells, strict=True):
                assert (old.id, old.cell_type, old.metadata) == (new.id, new.cell_type, new.metadata)
                assert is_solution(old) or old.source == new.source
    doubled = nbformat.read(loop.course / "autograded" / "doubled" / "lesson-05" / FILES["lesson-05"], as_version=4)
    assert all(cell_of(doubled, name).source == right(name) for name in NAMES)


def test_what_was_handed_in_is_untouched(loop):
    handed_in = class_of(loop.released("lesson-05"), loop.ran)
    for student in ("doubled", "scripted", "edited"):
        path = loop.course / "submitted" / student / "lesson-05" / FILES["lesson-05"]
        assert [cell.source for cell in nbformat.read(path, as_version=4).cells] == [c.source for c in handed_in[student].cells]


class Active(HTMLParser):
    """Collects what a browser would run or follow: scripts, handlers, addresses."""

    def __init__(self, page):
        super().__init__()
        self.found, self.script = [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.script = tag == "script"
        self.found += [value or "" for name, value in attributes if name in ("href", "src") or name.startswith("on")]

    def handle_endtag(self, tag):
        self.script = False

    def handle_data(self, data):
        if self.script:
            self.found.append(data)


@pytest.mark.parametrize("student, assignment", [("scripted", "lesson-05"), ("right0", "lesson-04"), ("no_json", "lesson-05")])
def test_no_script_of_a_student_is_in_the_feedback(loop, student, assignment):
    page = loop.feedback(student, assignment)
    assert not [text for text in Active(page).found if "pwned" in text]
    assert student == "no_json" or "&lt;script&gt;pwned()" in page, "what was written is shown"


def test_hidden_checks_stay_hidden(loop):
    lines = {
        line.strip() for path in Path(autograder.hidden.__file__).parent.glob("*.py") for line in path.read_text().splitlines()
    }
    lines = {html.escape(line) for line in lines if len(line) > 40}
    shown = loop.feedback("wrong00")
    assert "hidden)" in shown and "Your answer fails on inputs that are not shown." in shown
    assert not [line for line in lines if line in shown]


def test_comments_say_what_the_checks_said(loop):
    comments = of(loop, "wrong00")["comments"]
    result = loop.result(5, "wrong00")
    for name, exercise in result["exercises"].items():
        assert (
            f"Automatic checks of {name}: {points(exercise['points'])} of {points(exercise['max_points'])} points"
            in comments[name]
        )
        assert f"Automatic checks of {name}" in loop.feedback("wrong00")
    assert "What it looks like" in comments[NAMES[0]] and "Hint" in comments[NAMES[0]]
    assert "7 of 7 checks passed" in of(loop, "right0")["comments"][NAMES[0]]


def test_a_fence_cannot_be_closed_from_within():
    block = comment.fenced("x", "1 of 2 points", ["a", "`````", "``` b", ATTACK])
    assert not [text for text in Active(markdown2html(block)).found if "pwned" in text] and "<script" not in markdown2html(
        block
    )
    assert comment.merged(f"before\n\n{block}\n\nafter", "NEW") == "NEW\n\nbefore\n\nafter"
    assert comment.merged(block, None) is None and comment.merged(None, block) == block


@pytest.mark.parametrize("text", [ATTACK, "a\n\n\n# b\n\n</pre>\n\n[c](javascript:pwned())", "&lt;script&gt;", "\u202e\0"])
def test_a_written_answer_is_plain_text(text):
    page = markdown2html(plain(text))
    assert page.strip().startswith("<pre") and page.strip().endswith("</pre>")
    assert page.count("<") == 2 and html.unescape(page.partition(">")[2].rpartition("<")[0]) == safe(text)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[]", b'{"cells": {}}', b'{"cells": [1, {"metadata": {"nbgrader": 5}}]}', b"[" * 10**5],
)
def test_what_is_no_notebook_has_no_texts(content):
    assert texts_in(content) == {}


# Again


def test_the_same_results_change_nothing(loop):
    before = loop.dump()
    for lesson in (4, 5):
        assert loop.push(lesson) == 0
    assert loop.dump() == before


def test_an_interruption_leaves_the_gradebook_as_it_was(loop, undone, monkeypatch):
    path = loop.results(5) / "right0" / "result.json"
    before, copies = loop.dump(), sorted((loop.course / "autograded").rglob("*"))
    record, calls = push.record, []

    def interrupted(*arguments):
        calls.append(record(*arguments))
        if len(calls) == 20:
            raise KeyboardInterrupt
        return calls[-1]

    path.write_text(json.dumps(with_points(json.loads(path.read_text()), 0)))
    monkeypatch.setattr(push, "record", interrupted)
    assert loop.push(5) == 130 and len(calls) == 20
    assert loop.dump() == before and sorted((loop.course / "autograded").rglob("*")) == copies
    monkeypatch.undo()
    assert loop.push(5) == 0 and loop.dump() != before, "without the interruption it is written"


def with_points(result: dict, number: float) -> dict:
    """A result in which every check got `number`."""
    for exercise in result["exercises"].values():
        for check in exercise["checks"]:
            check["points"] = number
        exercise["points"] = number * len(exercise["checks"])
    return result | {"points": sum(exercise["points"] for exercise in result["exercises"].values())}


def test_what_a_person_gave_is_kept(loop, undone):
    with loop.gradebook() as gradebook:
        question = gradebook.find_grade(QUESTION, "04_kl", "lesson-04", "right0")
        question.manual_score, question.needs_manual_grade = 1.5, False
        said = gradebook.find_comment(QUESTION, "04_kl", "lesson-04", "right0")
        said.manual_comment = "Why k3?"
        on_code = gradebook.find_comment("kl_exact", "04_kl", "lesson-04", "right0")
        on_code.manual_comment += "\n\nNicely put."
        code = gradebook.find_grade("check_shape_rewards", "04_kl", "lesson-04", "right0")
        code.manual_score, code.extra_credit, code.needs_manual_grade = 2, 0.5, False
        gradebook.db.commit()
    before = loop.dump()
    assert loop.push(4) == 0
    now = of(loop, "right0", "lesson-04")
    assert now["comments"][QUESTION] == "Why k3?" and now["comments"]["kl_exact"].endswith("```\n\nNicely put.")
    assert loop.dump() == before
    assert contents(loop.course / "gradebook.db.before-push") == before
    assert float(loop.rows()["lesson-04", "right0"]["raw_score"]) == 3 + 1.5 + 2.5

    other = loop.course / "submitted" / "right0" / "lesson-04" / FILES["lesson-04"]
    nbformat.write(answered(loop.released("lesson-04"), **{QUESTION: "Another answer."}), other)
    assert loop.push(4) == 1, "it was handed in after it was graded"
    assert loop.dump() == before
    loop.grade(4)
    assert loop.push(4) == 0
    with loop.gradebook() as gradebook:
        question = gradebook.find_grade(QUESTION, "04_kl", "lesson-04", "right0")
        assert question.manual_score == 1.5 and question.needs_manual_grade, "kept, and to be looked at again"
        assert gradebook.find_grade("check_kl_exact", "04_kl", "lesson-04", "right0").auto_score == 0


def test_the_autograde_button_runs_nothing_and_gives_nothing(loop, undone):
    before, copy_of = loop.dump(), loop.course / "autograded" / "writes" / "lesson-05" / FILES["lesson-05"]
    kept = nbformat.read(copy_of, as_version=4)
    loop.nbgrader("autograde", "lesson-05", "--student=writes", "--force")
    assert not loop.ran.exists() and nbformat.read(copy_of, as_version=4) == kept
    assert loop.dump() == before


def test_what_cannot_be_put_in_is_named(loop, undone, capsys):
    shutil.rmtree(loop.course / "submitted" / "wrong01")
    (loop.course / "submitted" / "wrong02" / "lesson-05" / "timestamp.txt").write_text("soon")
    loop.lay("new", "lesson-05", loop.released("lesson-05"), ON_TIME)
    before = loop.dump()
    assert loop.push(5) == 1 and loop.dump() == before
    told = capsys.readouterr().out
    assert "wrong01: in the results, but not in submitted/" in told
    assert "wrong02: timestamp.txt holds no time" in told and "new: not graded yet" in told


def test_a_gradebook_that_cannot_be_written(loop, undone, capsys):
    before = loop.dump()
    loop.lay("new", "lesson-05", loop.released("lesson-05"), ON_TIME)
    loop.grade(5)
    with contextlib.closing(sqlite3.connect(loop.course / "gradebook.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert loop.push(5) == 1 and "database is locked" in capsys.readouterr().err
    with open(loop.course / "nbgrader_config.py", "a") as file:
        file.write("c.Autograde.create_student = False\n")
    assert loop.push(5) == 1 and "new is not in the gradebook" in capsys.readouterr().err
    assert loop.dump() == before


def test_points_that_were_changed_in_the_source_are_an_error(loop, undone):
    with loop.gradebook() as gradebook:
        gradebook.find_grade_cell(f"check_{NAMES[0]}", "05_advantages", "lesson-05").max_score = 7
        gradebook.db.commit()
    before = loop.dump()
    assert loop.push(5) == 1 and loop.dump() == before


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["nowhere", "--results", "x"], "has no nbgrader_config.py"),
        (["nowhere", "--assignment", "lesson-05"], "--assignment goes with --results"),
        (["nowhere", "--results", "x", "--lessons", "5"], "leave out --lessons"),
        (["nowhere", "--results", "x", "--course-id", "y"], "leave out --lessons, --course-id"),
        (["nowhere", "--repository", "https://github.com/a/b"], "--repository is OWNER/NAME"),
    ],
)
def test_usage(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "nbgrader", *arguments]) == 2 and said in capsys.readouterr().err


def test_an_assignment_that_there_is_not(loop, capsys):
    arguments = ["export", "nbgrader", str(loop.course), "--results", str(loop.results(5)), "--assignment"]
    assert main([*arguments, "lesson-06"]) == 2 and "lesson-04, lesson-05" in capsys.readouterr().err
    assert main([*arguments, "lesson-04"]) == 2 and "the results are of lessons 5" in capsys.readouterr().err


# The grades of formgrader, in CSV


def grades_in_csv(loop, lesson, code=0) -> dict:
    """generic.csv, by submission."""
    out, database = loop.home / "csv", loop.course / "gradebook.db"
    before = database.read_bytes()
    arguments = ["export", "csv", loop.results(lesson), "--gradebook", database, "--out", out]
    assert main(list(map(str, arguments))) == code and database.read_bytes() == before
    with open(out / "generic.csv", newline="", encoding="utf-8-sig") as file:
        return {row["submission"]: row for row in csv.DictReader(file)}


def nbgraders(loop, assignment) -> dict[str, float]:
    """The score of each submission, less the penalty, as `nbgrader export` has it."""
    with loop.gradebook() as gradebook:
        found = gradebook.assignment_submissions(assignment)
        return {each.student.id: max(0.0, each.score - each.late_submission_penalty) for each in found}


def test_the_csv_has_what_formgrader_has(loop, undone, capsys):
    with loop.gradebook() as gradebook:
        question = gradebook.find_grade(QUESTION, "04_kl", "lesson-04", "right0")
        question.manual_score, question.extra_credit, question.needs_manual_grade = 1.5, 0.25, False
        gradebook.find_comment(QUESTION, "04_kl", "lesson-04", "right0").manual_comment = "Why k3?"
        code = gradebook.find_grade("check_shape_rewards", "04_kl", "lesson-04", "right0")
        code.manual_score, code.extra_credit = 2, 0.5
        gradebook.find_grade(f"check_{NAMES[0]}", "05_advantages", "lesson-05", "empty").extra_credit = 1
        gradebook.db.commit()
    capsys.readouterr()
    of_4, of_5 = grades_in_csv(loop, 4), grades_in_csv(loop, 5)
    assert "in formgrader" not in capsys.readouterr().out and not (loop.home / "csv" / "to_mark.csv").exists()
    ours = {"lesson-04": of_4, "lesson-05": of_5}
    for assignment, table in ours.items():
        theirs = nbgraders(loop, assignment)
        graded = {name: row["total"] for name, row in table.items() if row["state"] == "graded"}
        assert graded == {name: points(theirs[name]) for name in graded}, assignment
    assert len([row for row in of_5.values() if row["state"] == "graded"]) == 27
    assert (of_5["late"]["late_penalty"], of_5["late"]["total"]) == ("11", "0")
    assert (of_5["empty"]["by_hand"], of_5["empty"]["total"]) == ("1", "1")
    assert (of_5["no_json"]["state"], of_5["no_json"]["total"], of_5["no_json"]["by_hand"]) == ("refused", "", "")
    right = of_4["right0"]
    assert [right[name] for name in (QUESTION, f"{QUESTION}_comment", "automatic_points", "by_hand", "total")] == [
        "1.75", "Why k3?", "3", "2.5", "7.25",
    ]  # fmt: skip


def test_the_csv_has_nothing_that_formgrader_has_for_other_results(loop, undone, capsys):
    with loop.gradebook() as gradebook:
        gradebook.find_grade(f"check_{NAMES[0]}", "05_advantages", "lesson-05", "wrong00").manual_score = 2
        gradebook.db.commit()
    for student in ("wrong00", "right0"):
        path = loop.results(5) / student / "result.json"
        path.write_text(json.dumps(with_points(json.loads(path.read_text()), 0.125)))
    capsys.readouterr()
    table = grades_in_csv(loop, 5, code=1)
    told = capsys.readouterr().out
    assert "not in the gradebook: right0" in told and "export nbgrader COURSE_DIR --results" in told
    assert {table[name]["total"] for name in ("right0", "wrong00")} == {""} and table["right1"]["total"] == "11"
    assert loop.push(5) == 0
    table = grades_in_csv(loop, 5)
    assert (table["right0"]["state"], float(table["right0"]["total"])) == ("graded", float(table["right0"]["automatic_points"]))
    assert (table["wrong00"]["state"], table["wrong00"]["total"]) == ("needs manual grading", ""), "a score for other points"
    assert "To be marked in formgrader: 1 answer of 1 submission." in capsys.readouterr().out
    (row,) = (row for row in grades_in_csv(loop, 4).values() if row["state"] == "needs manual grading")
    assert (row["submission"], row[QUESTION], row["total"]) == ("right0", "", ""), "nobody has marked it"


# The way back to the student


def test_feedback_comes_back(loop):
    loop.nbgrader("release_feedback", "lesson-05")
    home = loop.home / "student"
    loop.nbgrader("fetch_feedback", "lesson-05", "--student=by_command", cwd=home)
    (page,) = (home / "lesson-05" / "feedback").rglob("*.html")
    assert "(Score: 11.0 / 11.0)" in page.read_text()

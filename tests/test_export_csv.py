"""`rlhf-course export csv`: rosters in the columns that Canvas and Moodle export, and classes in which something is odd."""

import contextlib
import csv
import io
import json
import sqlite3

import pytest
from nbgrader.api import Base, Gradebook
from sqlalchemy import URL, create_engine

from autograder.export.gradebook.canvas import POINTS_POSSIBLE
from autograder.result import as_data, question_data
from rlhf_core.cli import main

FACTS = {"submission_hash": None, "course_version": "0.1.0", "seed_id": None, "isolation": None, "wall_s": 1.0}

# As GradebookExporter of canvas-lms writes it; a name that begins with = is quoted by Canvas itself.
CANVAS = '''\
Student,ID,SIS User ID,SIS Login ID,Section,Notes,Homework 1 (77),Lesson 8 (78),Assignments Current Score,Final Score
,,,,,,,Manual Posting,,
    Points Possible,,,,,,10.00,2.00,(read only),(read only)
"Doe, Jane",123,u123,jane,Group 1,,9.50,,95.00,95.00
"Roe, Ann",124,u124,ann@uni.edu,Group 1 and Group 2,,-1.00,,,
"=""=cmd|' /C calc'!A0""",125,u125,formula,Group 1,=1+1,EX,,,
"Poe, Bob",126,u126,bob,Group 1,,,EX,,
"Student, Test",999,,0f0f0f,Group 1,,,,,
'''

# As the assign module of Moodle writes it.
MOODLE = """Identifier,"Full name","Email address",Status,Grade,"Maximum grade","Grade can be changed",\
"Last modified (submission)","Last modified (grade)","Feedback comments"
"Participant 123","Jane Doe",jane@uni.edu,"Submitted for grading - ",,2.00,Yes,"Monday, 9 November 2026, 9:00 AM",-,
"Participant 124","=cmd|' /C calc'!A0",formula@uni.edu,"Submitted for grading - ",,2.00,Yes,-,-,"<p>a
b</p>"
"Participant 125","Bob Poe",bob@uni.edu,"No submission - ",,2.00,No,-,-,
"""


def result(name, earned=1.5, answered=False, state="graded", questions=True) -> dict:
    check = {"name": "t", "title": "t", "status": "failed", "points": earned, "max_points": 2.0, "visibility": "hidden"}
    check |= {"message": "", "diagnosis": "value"}
    exercise = {"lesson": 8, "state": "graded", "points": earned, "max_points": 2.0, "checks": [check]}
    asked = question_data(["best_of_n_kl"], {"stop_in_time": "text"} if answered else {}) if questions else {}
    if state == "refused":
        return as_data(name, "=not an archive", {}, **FACTS) | {"max_points": 2.0}
    data = as_data(name, None, {"best_of_n_kl": exercise}, **FACTS, questions=asked)
    return data | {"state": state, "reason": None if state == "graded" else "the disk is full"}


@pytest.fixture
def export(tmp_path, capsys):
    """Writes results, a roster and marks, runs the command, and gives its exit code and what it prints."""

    def run(results, *options, roster=None, marks=None, code=0):
        for number, data in enumerate(results):
            folder = tmp_path / "results" / f"s{number}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "result.json").write_text(json.dumps(data))
            if any(each["state"] != "missing" for each in data.get("questions", {}).values()):
                (folder / "written.json").write_text(json.dumps({"stop_in_time": "=stop when\nit is too good"}))
        words = ["export", "csv", tmp_path / "results", "--out", tmp_path / "out", *options]
        for name, content in (("roster", roster), ("marks", marks)):
            if content is not None:
                (tmp_path / f"{name}.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
                words += [f"--{name}", tmp_path / f"{name}.csv"]
        assert main(list(map(str, words))) == code
        said = capsys.readouterr()
        return said.out + said.err

    return run


def table(path, name, delimiter=",", column=None) -> list[dict] | dict:
    """The rows of a file; with `column`, its cells by the cells of the first column."""
    text = (path / "out" / f"{name}.csv").read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
    return rows if column is None else {next(iter(row.values())): row[column] for row in rows}


# Without a roster


def test_all_three_have_the_same_number(tmp_path, export):
    said = export([result("ann", 1 / 3), result("bob", 2.0)], "--assignment", "Homework 8")
    canvas, moodle, generic = (table(tmp_path, name) for name in ("canvas", "moodle", "generic"))
    assert [row["Homework 8"] for row in canvas] == ["4", "0.33", "2"]
    assert [row["Homework 8"] for row in moodle] == ["0.33", "2"]
    assert [row["total"] for row in generic] == ["0.33", "2"] and {row["max_total"] for row in generic} == {"4"}
    assert canvas[0]["Student"].strip() == POINTS_POSSIBLE and canvas[0]["ID"] == ""
    assert list(canvas[0])[:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert "2 submissions: 2 graded" in said


def test_only_files_for_excel_begin_with_a_mark(tmp_path, export):
    export([result("Zoë")])
    begins = {name: (tmp_path / "out" / f"{name}.csv").read_bytes()[:3] for name in ("canvas", "moodle", "generic")}
    assert begins == {"canvas": b"Stu", "moodle": b"\xef\xbb\xbf", "generic": b"\xef\xbb\xbf"}


def test_no_grade_is_an_empty_cell_and_never_0(tmp_path, export):
    states = [result("ann", state="refused"), result("bob", state="not_graded"), result("eve", answered=True)]
    said = export(states)
    for name in ("canvas", "moodle"):
        assert [list(row.values())[-1] for row in table(tmp_path, name)][-3:] == ["", "", ""]
    rows = {row["submission"]: row for row in table(tmp_path, "generic")}
    assert {name: row["total"] for name, row in rows.items()} == {"ann": "", "bob": "", "eve": ""}
    assert {name: row["automatic_points"] for name, row in rows.items()} == {"ann": "", "bob": "", "eve": "1.5"}
    assert [rows[name]["state"] for name in rows] == ["refused", "not graded", "needs manual grading"]
    assert rows["eve"]["stop_in_time"] == "" and rows["ann"]["reason"] == "'=not an archive"
    assert all(line in said for line in ("refused: ann", "not graded: bob", "needs manual grading: eve"))


def test_what_was_not_handed_in_has_0_of_the_points_of_a_question(tmp_path, export):
    export([result("ann")])
    (row,) = table(tmp_path, "generic")
    assert (row["stop_in_time"], row["total"], row["max_total"]) == ("0", "1.5", "4")


def test_who_handed_in_nothing_for_the_lesson_has_no_grade(tmp_path, export):
    said = export([result("ann") | {"reason": "nothing for lesson 8"}])
    (row,) = table(tmp_path, "generic")
    assert (row["state"], row["reason"], row["total"]) == ("no submission", "nothing for lesson 8", "")
    assert "no submission: ann" in said


def test_exercises_alone(tmp_path, export):
    export([result("eve", answered=True)], "--automatic-only", "--assignment", "X")
    assert table(tmp_path, "canvas", column="X") == {f"    {POINTS_POSSIBLE}": "2", "eve": "1.5"}
    assert table(tmp_path, "generic")[0]["total"] == "", "the generic file says what is missing in any case"


def test_results_without_questions(tmp_path, export):
    old = result("ann")
    del old["questions"]
    export([old])
    assert table(tmp_path, "generic")[0]["max_total"] == "2"


def test_names_run_no_formula_and_take_no_row_of_canvas(tmp_path, export):
    export([result("=1+1"), result("@a"), result("Points Possible"), result("doejane_123_456_05_advantages")])
    for name in ("canvas", "moodle", "generic"):
        for row in table(tmp_path, name):
            assert not any(cell.startswith(("=", "@")) for cell in row.values())
    rows = table(tmp_path, "canvas")
    assert sum(POINTS_POSSIBLE in row["Student"] for row in rows) == 1
    assert rows[-1]["ID"] == "123"


def test_two_submissions_of_one_student_without_a_roster(tmp_path, export):
    said = export([result("doejane_123_456_a"), result("doejane_123_457_b"), result("ann")], code=1)
    assert "2 submissions (doejane_123_456_a, doejane_123_457_b)" in said
    assert [list(row.values())[-1] for row in table(tmp_path, "canvas")] == ["4", "", "", "1.5"]
    assert [row["total"] for row in table(tmp_path, "generic")] == ["1.5"] * 3, "nothing is lost"


# Canvas


def test_the_gradebook_of_canvas_comes_back_with_the_grades(tmp_path, export):
    said = export(
        [result("doejane_LATE_123_456_answers-1"), result("ann@uni.edu", 2.0), result("x_125_458_answers", 0.5)],
        "--assignment", "Lesson 8", "--automatic-only", "--format", "canvas", roster=CANVAS,
    )  # fmt: skip
    before = list(csv.reader(io.StringIO(CANVAS, newline="")))
    after = list(csv.reader(io.StringIO((tmp_path / "out" / "canvas.csv").read_bytes().decode(), newline="")))
    column = before[0].index("Lesson 8 (78)")
    assert [row[column] for row in after[3:]] == ["1.5", "2", "0.5", "EX", ""]
    changed = [(row, place) for row in range(len(before)) for place in range(len(before[0]))
               if place != column and before[row][place] != after[row][place]]  # fmt: skip
    assert changed == [(5, 0), (5, 5)], "only what would run, which is no number"
    assert after[5][0].startswith("'=") and after[5][5] == "'=1+1" and after[5][1] == "125" and after[4][6] == "-1.00"
    assert "no submission: Student, Test" in said and "got a grade" in said
    assert "left with EX, as the roster has it: Poe, Bob" in said


def test_one_assignment_needs_no_name_and_a_wrong_name_says_which_there_are(export):
    one = CANVAS.replace("Homework 1 (77)", "Homework")
    export([result("jane")], roster=one)
    assert "names 0 of its assignments ('Homework 1 (77)', 'Lesson 8 (78)')" in export(
        [result("jane")], "--assignment", "Lesson", roster=CANVAS, code=2
    )
    assert "say by --assignment which one" in export([result("jane")], roster=CANVAS, code=2)
    export([result("jane")], "--assignment", "78", roster=CANVAS)


def test_who_is_in_no_row_is_named_and_kept(tmp_path, export):
    said = export([result("jane"), result("mallory"), result("doe_555_1_a")], "--assignment", "78", roster=CANVAS, code=1)
    assert "not in the roster: mallory" in said and "not in the roster: doe_555_1_a" in said
    rows = {row["submission"]: row for row in table(tmp_path, "generic")}
    assert rows["mallory"]["total"] == "1.5" and rows["mallory"]["id"] == ""
    assert rows["jane"]["student"] == "Doe, Jane" and rows["jane"]["id"] == "123"
    states = {row["student"]: row["state"] for row in table(tmp_path, "generic")}
    assert states["Roe, Ann"] == states["Poe, Bob"] == "no submission"


def test_neither_of_two_submissions_of_a_student_is_entered(tmp_path, export):
    said = export([result("doejane_123_456_a"), result("jane", 2.0)], "--assignment", "78", roster=CANVAS, code=1)
    assert "Doe, Jane has 2 submissions (doejane_123_456_a, jane)" in said
    assert "no submission: Doe, Jane" not in said
    assert table(tmp_path, "canvas", column="Lesson 8 (78)")["Doe, Jane"] == ""


def test_a_name_that_could_be_two_students_is_neither(tmp_path, export):
    said = export([result("doe_124_9_123_456_answers")], "--assignment", "78", roster=CANVAS, code=1)
    assert "fits several students (Doe, Jane, Roe, Ann)" in said
    assert set(table(tmp_path, "canvas", column="Lesson 8 (78)").values()) == {"Manual Posting", "2.00", "", "EX"}


def test_a_student_who_is_there_twice(export):
    twice = CANVAS + '"Doe, Jane",123,u123,jane,Group 2,,,,,\n'
    assert "jane fits several students" in export([result("jane")], "--assignment", "78", roster=twice, code=1)


def test_a_grade_that_the_roster_has_is_not_deleted(tmp_path, export):
    graded = CANVAS.replace("9.50,,95.00", "9.50,1.25,95.00")
    said = export([result("jane", state="refused")], "--assignment", "78", roster=graded)
    assert table(tmp_path, "canvas", column="Lesson 8 (78)")["Doe, Jane"] == "1.25"
    assert "left with 1.25, as the roster has it: Doe, Jane" in said
    export([result("jane", 2.0)], "--assignment", "78", roster=graded)
    assert table(tmp_path, "canvas", column="Lesson 8 (78)")["Doe, Jane"] == "2"


def test_other_points_on_the_platform_are_said(export):
    said = export([result("jane")], "--assignment", "78", roster=CANVAS)
    assert "The roster has 2 points for this assignment, and these results have 4: change it in canvas" in said
    assert "these results have" not in export([result("jane")], "--assignment", "78", "--automatic-only", roster=CANVAS)


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_the_file_is_written_as_it_was_read(tmp_path, export, bom, end, delimiter):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(csv.reader(io.StringIO(CANVAS, newline="")))
    content = bom + text.getvalue().replace("9.50", "9,50" if delimiter == ";" else "9.50").encode()
    export([result("jane", 1.5)], "--assignment", "78", "--format", "canvas", roster=content)
    written = (tmp_path / "out" / "canvas.csv").read_bytes()
    assert written.startswith(bom + b"Student") and written.count(b"\r\n") == content.count(b"\r\n")
    row = next(row for row in table(tmp_path, "canvas", delimiter) if row["ID"] == "123")
    assert row["Lesson 8 (78)"] == "1.5" and row["Homework 1 (77)"] == ("9,50" if delimiter == ";" else "9.50")


def test_names_in_two_columns(tmp_path, export):
    parted = CANVAS.replace("Student,ID", "LastName,FirstName,ID").replace('"Doe, Jane"', "Doe,Jane")
    rows = parted.splitlines()
    rows[1:] = [row if row.startswith("Doe,") else f",{row}" for row in rows[1:]]
    export([result("jane")], "--assignment", "78", roster="\n".join(rows))
    assert table(tmp_path, "canvas", column="Lesson 8 (78)")["Doe"] == "1.5"


# Moodle


def test_the_worksheet_of_moodle_comes_back_with_the_grades(tmp_path, export):
    said = export(
        [
            result("Jane Doe_123_assignsubmission_file"),
            result("formula@uni.edu", 0.5),
            result("Bob Poe_125_assignsubmission_file_"),
        ],
        "--format",
        "moodle",
        roster=MOODLE,
    )
    rows = {row["Identifier"]: row for row in table(tmp_path, "moodle")}
    assert {name: row["Grade"] for name, row in rows.items()} == {
        "Participant 123": "1.5",
        "Participant 124": "0.5",
        "Participant 125": "",
    }
    assert "left as it was, as moodle takes no grade: Bob Poe" in said, "Moodle would pass it over in silence"
    assert rows["Participant 124"]["Full name"].startswith("'=")
    assert rows["Participant 124"]["Feedback comments"] == "<p>a\nb</p>"
    assert all(row["Last modified (grade)"] == "-" for row in rows.values()), "Moodle compares it with its own"
    assert "The roster has 2 points for this assignment, and these results have 4" in said


def test_a_participant_is_not_found_by_a_number_elsewhere(export):
    said = export([result("Jane 124_assignsubmission"), result("x_124_assignsubmission_1_123_assignsubmission_file")],
                  roster=MOODLE, code=1)  # fmt: skip
    assert "not in the roster: Jane 124_assignsubmission" in said and "fits several students" in said


def test_an_anonymous_worksheet_has_no_names(tmp_path, export):
    anonymous = 'Identifier,Status,Grade,"Last modified (grade)"\n"Participant 7",x,,-\n"Participant 8",x,,-\n'
    said = export([result("Participant_7_assignsubmission_file")], roster=anonymous)
    assert table(tmp_path, "moodle", column="Grade") == {"Participant 7": "1.5", "Participant 8": ""}
    assert "no submission: 8" in said


# Rosters that are none


@pytest.mark.parametrize(
    ("roster", "said"),
    [
        ("name,grade\na,1\n", "neither a gradebook of Canvas"),
        ("", "neither a gradebook of Canvas"),
        (CANVAS.splitlines()[0] + "\n", "has no student"),
        ("Teilnehmer,Bewertung\nß,1\n".encode("latin-1"), "is not UTF-8 (byte 21)"),
        (MOODLE.encode("utf-16"), "is not UTF-8"),
    ],
)
def test_a_file_that_is_no_roster(export, roster, said):
    assert said in export([result("ann")], "--assignment", "78", roster=roster, code=2)


def test_a_roster_of_another_platform_or_in_the_place_of_the_result(tmp_path, export):
    assert "is of moodle" in export([result("ann")], "--format", "canvas", roster=MOODLE, code=2)
    assert "no-file" in export([result("ann")], "--roster", str(tmp_path / "no-file"), code=2)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "canvas.csv").write_text(CANVAS)
    taken = ("--roster", str(tmp_path / "out" / "canvas.csv"), "--assignment", "78")
    assert "would be overwritten" in export([result("jane")], *taken, code=2)
    assert (tmp_path / "out" / "canvas.csv").read_text() == CANVAS


def test_names_in_messages_are_shown_and_not_obeyed(export):
    said = export([result("mallory\x1b[31m")], roster=MOODLE, code=1)
    assert "\x1b" not in said and "mallory\\u001b[31m" in said


def test_a_result_that_cannot_be_read_is_named(tmp_path, export):
    (tmp_path / "results" / "odd").mkdir(parents=True)
    (tmp_path / "results" / "odd" / "result.json").write_text("{}")
    assert "Passed over: odd" in export([result("ann")], code=1)
    assert [row["submission"] for row in table(tmp_path, "generic")] == ["ann"]


# Marks


MARKS = "submission,question,points,comment\n"


def test_marks_are_added(tmp_path, export):
    marks = MARKS + 'eve,stop_in_time,"1,25",=good\nbob,stop_in_time,,\n'
    export([result("eve", 1 / 3, answered=True), result("bob", answered=True)], "--assignment", "X", marks=marks)
    rows = {row["submission"]: row for row in table(tmp_path, "generic")}
    assert (rows["eve"]["state"], rows["eve"]["stop_in_time"], rows["eve"]["total"]) == ("graded", "1.25", "1.58")
    assert rows["eve"]["stop_in_time_comment"] == "'=good" and rows["eve"]["automatic_points"] == "0.33"
    assert (rows["bob"]["state"], rows["bob"]["total"]) == ("needs manual grading", "")
    assert table(tmp_path, "moodle", column="X") == {"eve": "1.58", "bob": ""}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("eve,stop_in_time,3,", "row 2: '3' is not a number of points from 0 to 2"),
        ("eve,stop_in_time,-1,", "'-1' is not a number"),
        ("eve,stop_in_time,nan,", "'nan' is not a number"),
        ("eve,stop_in_time,1e0,", "'1e0' is not a number"),
        ("eve,why_one_side,1,", "'why_one_side' is no written question of eve; there are: stop_in_time"),
        ("mallory,stop_in_time,1,", "no graded submission is called 'mallory'"),
        ("carl,stop_in_time,1,", "no graded submission is called 'carl'"),
        ("eve,stop_in_time,1,\neve,stop_in_time,1,", "row 3: eve has a mark for stop_in_time already"),
    ],
)
def test_marks_that_do_not_fit(tmp_path, export, row, said):
    results = [result("eve", answered=True), result("carl", state="refused")]
    assert said in export(results, marks=MARKS + row + "\n", code=2)
    assert not (tmp_path / "out").exists(), "nothing is written"
    assert "has no columns submission, question, points" in export(results, marks="name;points\neve;1\n", code=2)


def test_the_list_to_be_filled_in_is_what_marks_reads(tmp_path, export):
    results = [result("=eve", answered=True), result("bob", answered=True), result("ann")]
    said = export(results)
    listed = table(tmp_path, "to_mark")
    assert [(row["submission"], row["points"], row["max_points"]) for row in listed] == [("'=eve", "", "2"), ("bob", "", "2")]
    assert listed[0]["answer"] == "'=stop when\nit is too good" and "2 answers of 2 submissions" in said
    filled = (tmp_path / "out" / "to_mark.csv").read_text(encoding="utf-8").replace("stop_in_time,,", "stop_in_time,2,")
    (tmp_path / "out" / "to_mark.csv").write_text(filled, encoding="utf-8")
    assert "was left as it is" in export(results)
    assert (tmp_path / "out" / "to_mark.csv").read_text(encoding="utf-8") == filled
    export(results, "--marks", str(tmp_path / "out" / "to_mark.csv"))
    assert table(tmp_path, "generic", column="total") == {"'=eve": "3.5", "bob": "3.5", "ann": "1.5"}


# The gradebook of nbgrader


NOTEBOOK, CHECK, ASKED = "08_hacking", "check_best_of_n_kl", "stop_in_time"


@pytest.fixture
def gradebook(tmp_path):
    """Adds an assignment to a gradebook in a folder with an odd name; by student what is set of the scores of CHECK, ASKED."""
    path = tmp_path / "a course?#%41 ä" / "gradebook.db"
    path.parent.mkdir()
    Base.metadata.create_all(create_engine(URL.create("sqlite", database=str(path))))  # else nbgrader calls alembic, slowly

    def fill(assignment="lesson-08", **students):
        with opened(path) as book, book.db.no_autoflush:  # it builds a submission part by part
            book.add_assignment(assignment)
            book.add_notebook(NOTEBOOK, assignment)
            for name, worth in ((CHECK, "code"), (ASKED, "markdown")):
                book.add_grade_cell(name, NOTEBOOK, assignment, max_score=2, cell_type=worth)
            book.add_solution_cell(ASKED, NOTEBOOK, assignment)
            for student, (check, question) in students.items():
                book.update_or_create_student(student)
                book.add_submission(assignment, student)
                book.db.flush()
                for name, values in ((CHECK, {"auto_score": 1.5, "needs_manual_grade": False} | check), (ASKED, question)):
                    for key, value in values.items():
                        setattr(book.find_grade(name, NOTEBOOK, assignment, student), key, value)
            book.db.commit()
        return path

    return fill


def opened(path):
    return Gradebook(URL.create("sqlite", database=str(path)), "rlhf")


MARKED = {"manual_score": 1.25, "needs_manual_grade": False}
MISSING = {"auto_score": 0.0, "needs_manual_grade": False}


def test_what_was_given_in_formgrader(tmp_path, export, gradebook):
    path = gradebook(
        ann=({"manual_score": 1, "extra_credit": 0.25}, MARKED),
        bob=({}, {}),  # to be marked
        carl=({"manual_score": 2, "needs_manual_grade": True}, MISSING),  # put up for another look
        dan=({"auto_score": 0.5}, MARKED),  # an earlier result
        eve=({}, MISSING),  # has written something since
        fay=({"extra_credit": 1}, MISSING | {"extra_credit": 0.5}),
    )
    before = path.read_bytes()
    written = {"ann", "bob", "dan", "eve"}
    results = [result(name, answered=name in written) for name in ("ann", "bob", "carl", "dan", "eve", "fay", "gus")]
    said = export(results, "--gradebook", str(path), "--assignment", "X", code=1)
    rows = {row["submission"]: row for row in table(tmp_path, "generic")}
    assert {name: row["total"] for name, row in rows.items() if row["total"]} == {"ann": "2.5", "fay": "3"}
    assert table(tmp_path, "moodle", column="X") == {name: row["total"] for name, row in rows.items()}
    assert (rows["ann"]["automatic_points"], rows["ann"]["by_hand"], rows["ann"][ASKED]) == ("1.5", "-0.25", "1.25")
    behind = [name for name, row in rows.items() if row["state"] == "not in the gradebook"]
    assert behind == ["dan", "eve", "gus"] and all(f"not in the gradebook: {name}" in said for name in behind)
    assert [rows[name]["state"] for name in ("bob", "carl")] == ["needs manual grading"] * 2
    assert "To be marked in formgrader: 2 answers of 2 submissions." in said
    assert not (tmp_path / "out" / "to_mark.csv").exists()
    assert path.read_bytes() == before and [each.name for each in path.parent.iterdir()] == ["gradebook.db"]


def test_a_penalty_takes_no_more_than_there_is(tmp_path, export, gradebook):
    path = gradebook(ann=({}, MISSING), bob=({}, MISSING))
    with opened(path) as book:
        for name, penalty in (("ann", 0.5), ("bob", 7)):
            book.find_submission_notebook(NOTEBOOK, "lesson-08", name).late_submission_penalty = penalty
        book.db.commit()
    export([result("ann"), result("bob")], "--gradebook", str(path))
    assert [(row["late_penalty"], row["total"]) for row in table(tmp_path, "generic")] == [("0.5", "1"), ("7", "0")]


def test_extra_credit_above_the_maximum_is_named(export, gradebook):
    path = gradebook(jane=({"manual_score": 2, "extra_credit": 1}, {"manual_score": 2, "needs_manual_grade": False}))
    four = CANVAS.replace("10.00,2.00", "10.00,4.00")
    said = export([result("jane", answered=True)], "--gradebook", str(path), "--assignment", "78", roster=four)
    assert "more than the 4 points of the roster: jane with 5" in said


def test_a_gradebook_in_use_is_waited_for_and_then_said(export, gradebook):
    path = gradebook(ann=({}, MARKED))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "database is locked" in export([result("ann", answered=True)], "--gradebook", str(path), code=1)
    export([result("ann", answered=True)], "--gradebook", str(path))


def test_a_lesson_in_two_assignments_is_an_error(export, gradebook):
    gradebook(ann=({}, MARKED))
    path = gradebook("again", ann=({}, MARKED))
    said = export([result("ann", answered=True)], "--gradebook", str(path), code=2)
    assert "ann has 08_hacking in two assignments of the gradebook, again and lesson-08" in said


@pytest.mark.parametrize("content, said", [(b"no database" * 100, "file is not a database"), (b"", "readonly database")])
def test_a_file_that_is_no_gradebook(tmp_path, export, content, said):
    path = tmp_path / "gradebook.db"
    assert "there is no" in export([result("ann")], "--gradebook", str(path), code=2)
    path.write_bytes(content)
    assert said in export([result("ann")], "--gradebook", str(path), code=1) and path.read_bytes() == content


@pytest.mark.parametrize("other", [["--marks", "x.csv"], ["--automatic-only"]])
def test_a_gradebook_has_the_marks(export, other):
    assert "leave --marks and --automatic-only out" in export([result("ann")], "--gradebook", "x.db", *other, code=2)

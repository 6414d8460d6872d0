"""Written questions: from the source of a lesson to the one who marks them."""

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.driver.reading import MOST_WRITTEN, Refused, all_cells, cells_of_files, written_answers
from autograder.grading.class_page import to_be_marked
from autograder.grading.results import NotOurs, read_result, read_written
from autograder.grading.student_page import student_page
from autograder.grading.table import as_csv
from autograder.result import as_data, question_data
from rlhf_core.course import WRITE_HERE, course, exercise_names, questions
from solutions.build import edition, read, solved_path, source_of, student_path

ROOT = Path(__file__).parents[1]
LESSONS = [lesson for lesson in course()["lessons"] if lesson.get("questions")]
with_questions = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson["name"])
FACTS = {"submission_hash": None, "course_version": "0.1.0", "seed_id": None, "isolation": None, "wall_s": 1.0}


# The lessons


def test_names_are_those_of_one_question_and_of_no_exercise():
    names = [name for lesson in LESSONS for name in lesson["questions"]]
    assert len(set(names)) == len(names) >= 4 and not set(names) & set(exercise_names())
    assert all(name.isidentifier() and points > 0 for lesson in LESSONS for name, points in lesson["questions"].items())


@with_questions
def test_a_question_has_its_cells_and_its_rubric(lesson):
    source = source_of(lesson).read_text(encoding="utf-8")
    assert re.findall(r'question="(\w+)"', source) == list(lesson["questions"])
    for path in (student_path(lesson), solved_path(lesson)):
        cells = read(path).cells
        assert "a written question, 2 points" in cells[0].source
        for name, points in lesson["questions"].items():
            (place,) = (place for place, cell in enumerate(cells) if cell.metadata.get("nbgrader", {}).get("grade_id") == name)
            text, answer, rubric = cells[place - 1 : place + 2]
            assert text.source.startswith("### Written question: ") and "Rubric" not in text.source
            assert f"{points} points · about" in text.source
            facts = {"grade": True, "solution": True, "locked": False, "task": False, "schema_version": 3}
            assert answer.metadata["nbgrader"] == facts | {"points": points, "grade_id": name}
            assert answer.cell_type == "markdown" and answer.source == WRITE_HERE
            assert all(f"*{word}:*" in rubric.source for word in ("2 points", "1 point", "0 points"))
            assert rubric.source.startswith("<details>") == (path == student_path(lesson))


@with_questions
def test_an_edition_shows_no_rubric_unless_it_asks_for_it(lesson):
    plain = edition(lesson, lambda name, answer: "pass", lambda answer: [], lambda title, code: [])
    assert any(cell.source == WRITE_HERE for cell in plain.cells)
    assert not any("*2 points:*" in cell.source or "model answer" in cell.source for cell in plain.cells)


# Reading


def cell(text, name="why_one_side", kind="markdown"):
    return {"cell_type": kind, "source": text, "metadata": {"nbgrader": {"grade_id": name}}}


def files(*cells) -> dict[str, bytes]:
    code = {"cell_type": "code", "source": "x = 1", "metadata": {}}
    return {"06_ppo.ipynb": json.dumps({"nbformat": 4, "metadata": {}, "cells": [code, *cells]}).encode()}


def texts(*cells) -> dict[str, str]:
    return written_answers(all_cells(files(*cells)))


def test_what_was_written_is_read():
    assert texts(cell("Because *it* gains.\r\n"), cell(["a\n", "b"], "stop_in_time")) == {
        "why_one_side": "Because *it* gains.",
        "stop_in_time": "a\nb",
    }


@pytest.mark.parametrize("text", [WRITE_HERE, f"\n{WRITE_HERE} \n", "", " \n", "YOUR ANSWER HERE"])
def test_what_is_as_it_was_handed_out_is_not_written(text):
    assert texts(cell(text)) == {} and texts() == {}
    assert texts(cell("mine"), cell(text)) == {"why_one_side": "mine"}, "a copy in which nothing is written takes no place"


def test_of_several_cells_the_last_counts():
    assert texts(cell("first"), cell("second")) == {"why_one_side": "second"}
    with_placeholder = cell(f"{WRITE_HERE}\n\nThe clip takes a reason away.")
    assert "takes a reason away" in texts(with_placeholder)["why_one_side"]


def test_a_text_that_became_code_is_a_text_and_is_not_run():
    slip = cell("import os; os._exit(3)", kind="code")
    assert texts(slip) == {"why_one_side": "import os; os._exit(3)"}
    assert [each.source for each in cells_of_files(files(slip))] == ["x = 1"]


def test_other_text_is_no_answer():
    assert texts({"cell_type": "markdown", "source": "notes", "metadata": {}}, cell("notes", "no_question")) == {}
    assert written_answers(all_cells({"answers.py": b"why_one_side = 'because'\n"})) == {}


def test_a_long_text_is_cut_and_refuses_nothing():
    assert texts(cell("ä" * 500_000)) == {"why_one_side": "ä" * MOST_WRITTEN}
    with pytest.raises(Refused, match="NUL"):
        texts(cell("\0"))


def test_the_questions_of_the_lessons_at_hand():
    found = question_data(["kl_exact", "policy_loss"], {"why_one_side": "mine", "stop_in_time": "mine"})
    assert found == {
        "which_moved_further": {"lesson": 4, "state": "missing", "points": None, "max_points": 2.0},
        "why_one_side": {"lesson": 6, "state": "needs_manual_grading", "points": None, "max_points": 2.0},
    }
    assert question_data(["masked_mean"], {}) == {}
    assert set(question_data(exercise_names(), {})) == set(questions())


# Results and pages


def result(name="ann", written=(), **changed) -> dict:
    exercise = {"lesson": 8, "state": "missing", "points": 0.0, "max_points": 2.0, "checks": []}
    asked = question_data(["best_of_n_kl"], dict.fromkeys(written, "text"))
    return as_data(name, None, {"best_of_n_kl": exercise}, **FACTS, questions=asked) | changed


def kept(folder: Path, data) -> Path:
    (folder / "result.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


def test_questions_are_read_back_and_do_not_change_the_points(tmp_path):
    data = result(written=["stop_in_time"])
    assert (data["points"], data["max_points"]) == (0.0, 2.0)
    assert read_result(kept(tmp_path, data)) == data


def test_a_result_of_before_there_were_questions_is_read(tmp_path):
    data = result()
    del data["questions"]
    assert read_result(kept(tmp_path, data))["questions"] == {}
    assert student_page(data) and b"best_of_n_kl" in as_csv([data])


@pytest.mark.parametrize(
    "forged",
    [
        [],
        {"masked_mean": {}},
        {"stop_in_time": {"lesson": 8, "state": "graded", "points": 2.0, "max_points": 2.0}},
        {"stop_in_time": {"lesson": 8, "state": "missing", "points": 2.0, "max_points": 2.0}},
        {"stop_in_time": {"lesson": 8, "state": "missing", "points": None, "max_points": float("nan")}},
    ],
)
def test_forged_questions_are_passed_over(tmp_path, forged):
    with pytest.raises(NotOurs):
        read_result(kept(tmp_path, result(questions=forged)))


@pytest.mark.parametrize(
    "forged", ["[]", '{"masked_mean": "a"}', '{"stop_in_time": 5}', '{"stop_in_time": "%s"}' % ("a" * 20_001)]
)
def test_forged_texts_are_passed_over(tmp_path, forged):
    assert read_written(tmp_path) == {}
    (tmp_path / "written.json").write_text(forged)
    with pytest.raises(NotOurs):
        read_written(tmp_path)


def test_a_student_sees_the_own_text_and_nothing_of_it_runs():
    text = "<script>alert(1)</script> \x1b[31m \u202e {{ 7 * 7 }}"
    page = student_page(result(written=["stop_in_time"]), {"stop_in_time": text}).decode()
    assert "marked by your instructor" in page and "<script" not in page and "\x1b" not in page
    assert html.escape("<script>alert(1)</script> \\u001b[31m \\u202e {{ 7 * 7 }}") in page
    assert "Written question, stop in time:\nnot handed in" in student_page(result()).decode()


def test_the_class_page_counts_what_is_to_be_marked():
    refused = as_data("carl", "not an archive", {}, **FACTS)
    found = to_be_marked([result("ann", ["stop_in_time"]), result("bob"), result("eve", ["stop_in_time"]), refused])
    assert found == {"stop_in_time": {"lesson": 8, "max_points": 2, "waiting": ["ann", "eve"], "missing": 1}}


def test_the_table_has_a_state_and_no_number_before_it_is_marked():
    header, ann, bob = as_csv([result("ann", ["stop_in_time"]), result("bob")]).decode("utf-8-sig").splitlines()
    assert header.endswith('"stop_in_time","stop_in_time_state"')
    assert ann.endswith('"","needs_manual_grading"') and bob.endswith('0.0,"missing"')


# The whole way


def run(*words):
    command = [sys.executable, "-m", "rlhf_core.cli", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False, env=os.environ)


def test_a_class_is_graded_reported_and_gone_on_with(tmp_path):
    (tmp_path / "in").mkdir()
    lesson = json.loads(student_path(LESSONS[-1]).read_text(encoding="utf-8"))
    unchanged = json.dumps(lesson)
    place = next(cell for cell in lesson["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == "stop_in_time")
    place["source"] = "Stop at <b>twice</b> the best of 64."
    (tmp_path / "in" / "ann.ipynb").write_text(json.dumps(lesson))
    (tmp_path / "in" / "bob.ipynb").write_text(unchanged)
    (tmp_path / "in" / "eve.py").write_text("def best_of_n_kl(n):\n    return 0.0\n")
    command = ("grade", tmp_path / "in", "--out", tmp_path / "out", "--lesson", 8, "--seed", "words", "--jobs", 1)
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    read_back = {name: read_result(tmp_path / "out" / name) for name in ("ann", "bob", "eve")}
    assert {name: each["questions"]["stop_in_time"]["state"] for name, each in read_back.items()} == {
        "ann": "needs_manual_grading",
        "bob": "missing",
        "eve": "missing",
    }
    assert read_back["ann"]["max_points"] == 4 and read_back["ann"]["state"] == "graded"
    assert read_written(tmp_path / "out" / "ann") == {"stop_in_time": "Stop at <b>twice</b> the best of 64."}
    assert read_written(tmp_path / "out" / "bob") == {}
    again = run(*command, "--json")
    assert again.stdout.splitlines()[-1].count('"known": 3') == 1, again.stdout + again.stderr

    assert run("report", tmp_path / "out").returncode == 0
    assert "Stop at &lt;b&gt;twice&lt;/b&gt;" in (tmp_path / "out" / "ann" / "feedback.html").read_text(encoding="utf-8")
    assert "To be marked by a person" in (tmp_path / "out" / "class.html").read_text(encoding="utf-8")

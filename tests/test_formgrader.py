"""Formgrader in a real browser: what an instructor sees of a graded class, and that no student's script runs there.

With RLHF_COURSE_SCREENSHOTS=docs the pictures of docs/nbgrader.md are made again.
"""

import os
from pathlib import Path

import pytest
from nbgrader.utils import is_solution

from tests.test_nbgrader import ATTACK, FILES, ON_TIME, QUESTION, Loop, answered, right, scripted

browser = pytest.importorskip("tests.browser", reason="the extra `browser` is not installed")  # tests/browser.py
pytestmark = pytest.mark.skipif(browser.CHROMIUM is None, reason="no Chromium here; Debian's package is called chromium")

EXCHANGED = """@kl_exact.implement
def kl_exact(logits, ref_logits):
    p, q = ref_logits.log_softmax(-1), logits.log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1)
"""
UNMASKED = """@shape_rewards.implement
def shape_rewards(scores, logprobs, ref_logprobs, mask, kl_coef):
    rewards = -kl_coef * (logprobs - ref_logprobs)
    rewards[:, -1] += scores
    return rewards
"""
WRITTEN = (
    "Run A, as far as one can tell. k3 less k1 is the mean of the ratio less 1, which should be 0 and is for A. For B it is "
    "-0.22: a fifth of the reference's mass lies where B hardly ever samples, so its k3 misses it.\n\n"
    "I would compute the exact KL over the vocabulary on B's own tokens."
)


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Both lessons, six students, graded and pushed."""
    loop = Loop(tmp_path_factory.mktemp("formgrader"))
    assert loop.make() == 0
    for assignment in FILES:
        loop.release(assignment)
    of_4, of_5 = loop.released("lesson-04"), loop.released("lesson-05")
    names = [cell.metadata.nbgrader.grade_id for cell in of_4.cells if is_solution(cell) and cell.cell_type == "code"]
    answers = {name: right(name) for name in names}
    students = {
        "ada": answered(of_4, **answers, **{QUESTION: WRITTEN}),
        "ben": answered(of_4, **answers | {"kl_exact": EXCHANGED, "shape_rewards": UNMASKED}, **{QUESTION: WRITTEN}),
        "cleo": answered(of_4, shape_rewards=UNMASKED, **{QUESTION: ATTACK}),
        "dan": of_4,
    }
    for student, notebook in students.items():
        loop.lay(student, "lesson-04", notebook, ON_TIME)
    loop.lay("eve", "lesson-05", scripted(of_5), ON_TIME)
    loop.lay("fay", "lesson-05", b"{", ON_TIME)
    for lesson, assignment in ((4, "lesson-04"), (5, "lesson-05")):
        loop.grade(lesson)
        assert loop.push(lesson) == 0
        loop.nbgrader("generate_feedback", assignment)
    return loop


@pytest.fixture(scope="module")
def page(graded):
    """A page on a Jupyter server in the folder of the course; `window.ran` is set once a student's script runs."""
    home = graded.course / ".jupyter"
    home.mkdir()
    (home / "nbgrader_config.py").write_bytes((graded.course / "nbgrader_config.py").read_bytes())
    with browser.jupyterlab(graded.course) as address, browser.chromium_page(760) as page:
        page.address = f"{address.removesuffix('/lab/tree')}/formgrader"
        page.add_init_script("window.pwned = () => { window.ran = true }")
        page.goto(f"{page.address}?token={browser.TOKEN}")
        yield page


@pytest.fixture
def seen(tmp_path):
    """Where the pictures go: RLHF_COURSE_SCREENSHOTS, if somebody wants to look at them."""
    folder = Path(os.environ.get("RLHF_COURSE_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def open_submission(graded, page, student, assignment):
    with graded.gradebook() as gradebook:
        found = gradebook.find_submission_notebook(FILES[assignment].removesuffix(".ipynb"), assignment, student).id
    page.goto(f"{page.address}/submissions/{found}/")
    page.locator(".comment").first.wait_for()
    page.wait_for_load_state("networkidle")


def row(page, text):
    """The cells of a row of formgrader's table."""
    line = page.locator("tr", has=page.get_by_role("link", name=text, exact=True))
    line.wait_for()
    return [cell.strip() for cell in line.locator("td").all_inner_texts()]


def test_the_assignments(page):
    page.goto(f"{page.address}/manage_assignments")
    assert row(page, "lesson-04")[2] == row(page, "lesson-05")[2] == "released"
    assert "4" in row(page, "lesson-04") and "2" in row(page, "lesson-05")


def test_the_submissions(graded, page, seen):
    page.goto(f"{page.address}/gradebook/lesson-04/04_kl")
    page.get_by_text("Submission #4").wait_for()
    page.get_by_role("button", name="Show All Names").click()
    page.get_by_role("link", name="ada").wait_for()
    scores = {texts[2] for texts in (line.locator("td").all_inner_texts() for line in page.locator("tbody tr").all())}
    students = ("ada", "ben", "cleo", "dan")
    assert scores == {f"{round(graded.result(4, student)['points'], 2):g} / 17" for student in students}
    page.screenshot(path=seen / "nbgrader-submissions.png", clip={"x": 0, "y": 0, "width": 1280, "height": 480})


def test_a_person_marks_a_written_answer_and_the_mark_stays(graded, page, seen):
    open_submission(graded, page, "ben", "lesson-04")
    told = page.locator("#kl_exact-comment")
    assert told.input_value().startswith("```\nAutomatic checks of kl_exact: 0 of 3 points\nWhat it looks like: ")
    page.locator(".nbgrader_cell", has=told).evaluate("cell => { cell.scrollIntoView(); window.scrollBy(0, -70) }")
    page.screenshot(path=seen / "nbgrader-comment.png")
    mark, said = page.locator(f"#{QUESTION}"), page.locator(f"#{QUESTION}-comment")
    assert "needs_manual_grade" in mark.get_attribute("class")
    assert page.locator(".nbgrader_cell", has=mark).locator("pre").inner_text() == WRITTEN
    for place, words in ((said, "Yes. Which samples would show it?"), (told, told.input_value() + "\n\nSee me about this.")):
        place.fill(words)
        with page.expect_response(lambda answer: "/api/comment/" in answer.url and answer.request.method == "PUT"):
            place.blur()
    mark.fill("1.5")
    with page.expect_response(lambda answer: "/api/grade/" in answer.url and answer.request.method == "PUT"):
        mark.blur()
    assert "needs_manual_grade" not in mark.get_attribute("class")

    assert graded.push(4) == 0
    open_submission(graded, page, "ben", "lesson-04")
    assert mark.input_value() == "1.5" and "needs_manual_grade" not in mark.get_attribute("class")
    assert said.input_value() == "Yes. Which samples would show it?" and told.input_value().endswith("See me about this.")
    graded.nbgrader("generate_feedback", "lesson-04", "--force")
    page.goto((graded.course / "feedback" / "ben" / "lesson-04" / "04_kl.html").as_uri())
    assert page.get_by_text("See me about this.").is_visible() and page.get_by_text("What it looks like").first.is_visible()
    page.get_by_text("See me about this.").evaluate("words => words.scrollIntoView({block: 'end'})")
    page.screenshot(path=seen / "nbgrader-feedback.png")


@pytest.mark.parametrize("student, assignment", [("cleo", "lesson-04"), ("eve", "lesson-05"), ("fay", "lesson-05")])
def test_no_script_of_a_student_runs(graded, page, student, assignment):
    open_submission(graded, page, student, assignment)
    assert not page.evaluate("window.ran")
    feedback = graded.course / "feedback" / student / assignment / FILES[assignment]
    page.goto(feedback.with_suffix(".html").as_uri())
    page.wait_for_load_state("networkidle")
    assert not page.evaluate("window.ran")
    assert page.locator("a[href^='javascript:']").count() == 0
    page.evaluate("words => document.body.innerHTML += words", ATTACK)
    page.wait_for_function("window.ran")  # the trap works: what these pages show would run if it were not escaped

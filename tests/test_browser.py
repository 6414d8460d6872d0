"""Lesson 3 as a learner does it: JupyterLab in a real browser, answers typed, checks turning green, widgets clicked."""

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from rlhf_core.course import course, exercise_names, notebook_name
from solutions.build import BEGIN, END, answer_of, read, student_path

browser = pytest.importorskip("tests.browser", reason="the extra `browser` is not installed")  # tests/browser.py
pytestmark = pytest.mark.skipif(browser.CHROMIUM is None, reason="no Chromium here; Debian's package is called chromium")

LESSON = next(lesson for lesson in course()["lessons"] if lesson["name"] == "preferences")
GREEN = "rgb(26, 127, 55)"


def answer(name) -> str:
    return "\n".join(line for line in answer_of(name).splitlines() if line not in (BEGIN, END))


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Where the pictures go: RLHF_COURSE_SCREENSHOTS, if somebody wants to look at them."""
    folder = Path(os.environ.get("RLHF_COURSE_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_a_lesson_is_done_in_a_browser(tmp_path, seen):
    shutil.copy(student_path(LESSON), tmp_path)
    cells = read(student_path(LESSON)).cells
    code = [number for number, cell in enumerate(cells) if cell.cell_type == "code"]
    role = {number: (cells[number].metadata.get("nbgrader") or {}).get("grade_id") for number in code}
    clicks = tmp_path / "my-clicks.jsonl"

    with browser.jupyterlab(tmp_path) as address, browser.chromium_page() as page:
        notebook = browser.Notebook(page, address, notebook_name(LESSON))
        page.screenshot(path=seen / "1-opened.png")
        for number in code:
            if role[number] in LESSON["exercises"]:
                name = role[number]
                notebook.run(number)
                notebook.run(number + 1)
                assert "is still the stub" in notebook.output(number + 1).inner_text()
                notebook.type_into(number, answer(name).replace("-F.logsigmoid", "F.logsigmoid"))
            notebook.run(number)
            if role[number] == "check_bradley_terry_loss":
                told = notebook.output(number)
                assert "0 of 3 points" in told.inner_text() and "What it looks like" in told.inner_text()
                told.screenshot(path=seen / "2-wrong-sign.png")
                notebook.type_into(number - 1, answer("bradley_terry_loss"))
                notebook.run(number - 1)
                notebook.run(number)
            if role[number] and role[number].startswith("check_"):
                points = cells[number].metadata["nbgrader"]["points"]
                told = notebook.output(number)
                assert f"{points} of {points} points" in told.inner_text()
                badges = told.locator(".badge")
                colours = [badges.nth(i).evaluate("x => getComputedStyle(x).backgroundColor") for i in range(badges.count())]
                assert colours and set(colours) == {GREEN}
                told.screenshot(path=seen / f"3-{role[number]}.png")
            if cells[number].source.endswith("\ncollector"):
                click_some_preferences(notebook, number, clicks, seen)
            if cells[number].source.endswith("VBox([collector, verdict])"):
                told = notebook.output(number)
                assert "5 clicks" in told.inner_text()
                told.locator(".text").first.click()
                told.get_by_text(re.compile("6 clicks, .* the model is right on [0-9]+% of new pairs")).wait_for()
                told.screenshot(path=seen / "5-trained-on-the-spot.png")
        assert "✓ bradley_terry_loss" in notebook.output(code[-1]).inner_text()
        assert f"3 of {len(exercise_names())} exercises are done" in notebook.output(code[-1]).inner_text()
        notebook.output(code[-2]).screenshot(path=seen / "6-end.png")
        notebook.output(code[-1]).screenshot(path=seen / "7-map.png")
        assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']").count() == 0


def click_some_preferences(notebook, number, clicks, seen):
    """Two clicks, four keys of which one takes back, and the file after each."""
    page, widget = notebook.page, notebook.output(number).locator(".rlhf-preferences")
    widget.get_by_text("Pair 1 of 40").wait_for()
    shown = []
    for pair, press in enumerate((0, 1, "1", "ArrowRight", "2"), start=1):
        shown.append([widget.locator(".text").nth(side).inner_text() for side in (0, 1)])
        if isinstance(press, int):
            widget.locator(".text").nth(press).click()
        else:
            page.keyboard.press(press)
        widget.get_by_text(f"Pair {pair + 1} of 40").wait_for()
    page.keyboard.press("u")
    widget.get_by_text("Pair 5 of 40").wait_for()
    widget.locator(".text").first.click()
    widget.get_by_text("Pair 6 of 40").wait_for()
    widget.screenshot(path=seen / "4-preferences.png")
    for _ in range(50):
        rows = [json.loads(line) for line in clicks.read_text().splitlines()] if clicks.exists() else []
        if len(rows) == 5:
            break
        time.sleep(0.1)
    expected = [[pair[side], pair[1 - side]] for pair, side in zip(shown, (0, 1, 0, 1, 0), strict=True)]
    assert [[row["chosen"], row["rejected"]] for row in rows] == expected

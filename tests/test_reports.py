"""Feedback, the report of a class and its table: `rlhf-course report` on results of the engine and on hostile ones."""

import base64
import copy
import csv
import functools
import hashlib
import html.parser
import inspect
import io
import itertools
import json
import random
import re
import textwrap
import unicodedata
from pathlib import Path
from urllib.parse import unquote

import pytest

import rlhf_core
from autograder import example_answers
from autograder.bank import right_answers, wrong_answers
from autograder.driver.likeness import LONGEST, answers_of
from autograder.driver.loading import Problem
from autograder.driver.reading import Cell
from autograder.engine import not_runnable, run_exercise
from autograder.grading.similar import alike, known_windows, windows_of
from autograder.grading.student_page import parted, student_page
from autograder.grading.summary import KINDS, brief, histogram, summary
from autograder.grading.table import as_csv, inert
from autograder.report import exercise_data, message
from autograder.result import as_data
from rlhf_core.cli import main
from rlhf_core.course import exercise_names, lesson_of
from rlhf_core.exercise import reference_answers

ROOT = Path(__file__).parent.parent
EXERCISES = ("kl_estimate", "kl_exact", "shape_rewards", "masked_mean", "compute_gae", "policy_loss", "best_of_n_kl")
HOSTILE = {  # by folder, the name of a submission
    "tag": "<script>alert(1)</script>",
    "formula": "=cmd|' /C calc'!A0",
    "override": "ab\u202egnp.exe",
    "ansi": "\x1b[31mred",
    "100% #1?a=b": "100% #1?a=b",
    "javascript:alert(1)": "javascript:alert(1)",
    "שירה לוי": "שירה לוי",
    "quotes": "a\"b'c&d",
}
FACTS = {"submission_hash": "ab" * 32, "course_version": "0.1.0", "seed_id": "0f0f0f0f.1", "isolation": "A", "wall_s": 1.5}


# Answers: the text, and the normal form

GAE = '''
import torch
import torch.nn.functional as F

def compute_gae(rewards, values, mask, gamma, lam):
    """Backwards in time."""
    keep = mask.to(rewards.dtype)  # 0 on padding
    batch, length = rewards.shape
    collected = []
    carried = rewards.new_zeros(batch)
    following = rewards.new_zeros(batch)
    position = length - 1
    while position >= 0:
        now = keep[:, position]
        surprise = now * (rewards[:, position] + gamma * following - values[:, position].detach())
        carried = surprise + gamma * lam * carried * now
        following = torch.where(now > 0, values[:, position].detach(), following * 0)
        collected.insert(0, carried * now)
        position -= 1
    stacked = torch.stack(collected, dim=1)
    return F.relu(stacked), (stacked + values.detach()) * keep
'''
NAMES = {"keep": "m", "collected": "outs", "carried": "acc", "following": "nxt", "position": "t", "surprise": "delta",
         "stacked": "adv", "now": "here", "batch": "b", "length": "n"}  # fmt: skip


def renamed(text: str) -> str:
    return re.sub(r"\b\w+\b", lambda word: NAMES.get(word[0], word[0]), text)


def answers(*texts: str) -> dict:
    return answers_of([Cell(f"cell {n} of lesson.ipynb", text, notebook=True) for n, text in enumerate(texts, 1)])


def normal(text: str, exercise: str = "compute_gae") -> str:
    return answers(text)[exercise]["normal"]


@pytest.mark.parametrize(
    "change",
    [
        renamed,
        lambda text: text.replace("    # 0", "# nothing").replace("    collected = []", "\n    # a list\n    collected = [ ]"),
        lambda text: text.replace('"""Backwards in time."""', "'''Said otherwise.'''"),
        lambda text: text.replace("values, mask", "values: torch.Tensor, mask: 'bool (B, T)'").replace(
            "lam):", "lam) -> tuple:"
        ),
        lambda text: text.replace("carried = rewards", "carried: torch.Tensor = rewards"),
        lambda text: text.replace(
            "import torch\nimport torch.nn.functional as F", "import torch.nn.functional as F\nimport torch"
        ),
        lambda text: text.replace("as F", "as functional").replace("F.relu", "functional.relu"),
        lambda text: text.replace("import torch.nn.functional as F\n", "").replace("F.relu", "torch.nn.functional.relu"),
        lambda text: text.replace("insert(0,", "insert(0x0,").replace("dim=1", "dim=0b1"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("def compute_gae", "@compute_gae.implement\ndef compute_gae"),
        lambda text: text.replace("def compute_gae", "@compute_gae.implement\ndef mine"),
    ],
)
def test_the_normal_form_does_not_change_with(change):
    changed = change(GAE)
    assert changed != GAE
    assert normal(changed) == normal(GAE)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("following * 0", "following * 2"),
        lambda text: text.replace("torch.where", "torch.lerp"),
        lambda text: text.replace("F.relu", "F.gelu"),
        lambda text: text.replace("gamma * lam * carried", "gamma * lam * following"),
        lambda text: text.replace("dim=1", "axis=1"),
    ],
)
def test_the_normal_form_changes_with(change):
    assert normal(change(GAE)) != normal(GAE)


def test_attributes_and_methods_of_a_class_are_names_too():
    text = '''
        class AdaptiveKLController:
            def __init__(self, init_kl_coef, target, horizon):
                self.value, self.goal = init_kl_coef, target
                self.horizon = horizon

            def _error(self, kl):
                return kl / self.goal - 1

            def update(self, kl, n_steps):
                self.value *= 1 + self._error(kl) * n_steps / self.horizon
    '''  # fmt: skip
    text = textwrap.dedent(text)
    changed = text.replace("goal", "aim").replace("_error", "off_by").replace("self", "me")
    assert normal(changed, "AdaptiveKLController") == normal(text, "AdaptiveKLController")
    other = text.replace("self.goal - 1", "self.horizon - 1")
    assert normal(other, "AdaptiveKLController") != normal(text, "AdaptiveKLController")


def test_what_an_answer_uses_belongs_to_it():
    text = "SCALE = 2.0\n\ndef half(x, by=1):\n    return x / SCALE\n\ndef unused(x):\n    return x\n\n\n"
    text += "def kl_exact(logits, ref_logits):\n    return half(logits - ref_logits, by=2) + masked_mean(logits, None)\n\n"
    text += "def masked_mean(x, mask, dim=None):\n    return x\n"
    found = answers(text)["kl_exact"]
    assert found["source"].startswith("def kl_exact") and "def half" in found["source"] and "SCALE = 2.0" in found["source"]
    assert "unused" not in found["source"] and "def masked_mean" not in found["source"]
    changed = text.replace("half", "divided").replace("SCALE", "TWO").replace("by", "extra").replace("2.0", "2.")
    assert normal(changed, "kl_exact") == found["normal"]


def test_the_definition_that_counts_is_the_one_that_is_checked():
    first = "def masked_mean(x, mask, dim=None):\n    return x.sum()\n"
    second = "def masked_mean(x, mask, dim=None):\n    return x.mean()\n"
    stub = "def masked_mean(x, mask, dim=None):\n    raise NotImplementedError\n"

    def source(*cells):
        return answers_of(cells).get("masked_mean", {}).get("source", "")

    def cell(text, grade_id=None, number=1):
        return Cell(f"cell {number} of lesson.ipynb", text, notebook=True, grade_id=grade_id)

    assert "mean()" in source(cell(first), cell(second))
    assert "sum()" in source(cell(first), cell(stub)) and source(cell(stub)) == ""
    assert "sum()" in source(cell(first, "masked_mean"), cell(second))  # the second is a scratch cell
    assert "mean()" in source(cell(first), cell(second, "masked_mean"))
    assert "mean()" in source(cell("if True:\n    try:\n" + textwrap.indent(second, " " * 8) + "    finally:\n        pass"))
    assert "sum()" in source(cell(first), cell("masked_mean = masked_mean(scores, mask)"))
    assert "mean()" in source(cell("mine = lambda x, mask, dim=None: x.mean()\nmasked_mean = mine"))
    assert "mean()" in source(cell("def mine(x, mask, dim=None):\n    return x.mean()\nmasked_mean.implement(mine)"))


SURVIVED = "def masked_mean(x, mask, dim=None):\n    return x.mean()\n"


@pytest.mark.parametrize(
    "body",
    [
        "return (",
        "return " + "(" * 500,
        "return " + "-" * 50_000 + "1",
        "return " + "+".join("a" * 3000),
        "return x" + ".a" * 20_000,
        "return " + "[" * 90 + "]" * 90,
        "if x: pass\n" + "    elif x: pass\n" * 3000,
        "\n".join(" " * 4 * n + "if x:" for n in range(1, 99)) + " pass",
        "return 0x" + "f" * 20_000,
        "return '\\ud800' f'{x}\\ud800'",
        "return '\ud800'",
        "return '\0'",
        "return 1e999, -1e999, 1e308, 1j, ...",
        "return f'{x!r:>{y}}' f\"{'a' if x else {}}\"",
        "return '\\d'",
        "match x:\n        case {'a': 1, **rest}: pass\n        case [a, *_] | a: return rest",
        "global g\n    def inner():\n        nonlocal x\n    import os, sys",
    ],
)  # fmt: skip
def test_whatever_the_text_the_other_answers_are_found(body, recwarn):
    found = answers(f"def kl_exact(logits, ref_logits):\n    {body}\n", SURVIVED)
    assert "x.mean()" in found["masked_mean"]["source"]
    json.dumps(found, ensure_ascii=False).encode("utf-8")
    assert not recwarn.list


def test_long_answers_are_cut():
    long = "def kl_exact(logits, ref_logits):\n" + "    logits = logits * 'é' + 1\n" * 2000
    found = answers(long + "    return logits\n")["kl_exact"]
    assert all(LONGEST - 4 < len(text.encode()) <= LONGEST for text in found.values())


# Answers that are alike


def forms(**texts: str) -> dict:
    return {student: {"compute_gae": normal(text)} for student, text in texts.items()}


def others(number: int) -> dict:
    """Students who wrote what the bank knows."""
    members = [*right_answers("compute_gae"), *(mistake.forms[0] for mistake in wrong_answers("compute_gae"))]
    return {f"other {n}": forms_of_member("compute_gae", members[n % len(members)]) for n in range(number)}


@functools.cache
def module_source(module) -> str:
    return inspect.getsource(module)


@functools.cache
def answer_of_member(exercise, member) -> dict:
    text = f"{module_source(inspect.getmodule(member))}\n{exercise} = {member.__name__}\n"
    return answers_of([Cell("answers.py", text, notebook=False)])[exercise]


def forms_of_member(exercise, member) -> dict:
    return {exercise: answer_of_member(exercise, member)["normal"]}


def test_a_copy_with_other_names_is_found():
    pairs = alike(forms(ann=GAE, bob=renamed(GAE)) | others(20))
    assert [pair.students for pair in pairs] == [("ann", "bob")]
    assert pairs[0].total == pairs[0].tokens["compute_gae"] > 60


def test_a_copy_with_a_line_more_and_a_line_changed_is_found():
    changed = renamed(GAE).replace("    b, n =", "    assert mask.any()\n    b, n =").replace("t -= 1", "t = t - 1")
    assert [pair.students for pair in alike(forms(ann=GAE, bob=changed) | others(20))] == [("ann", "bob")]


def test_what_many_have_is_nobodys_own():
    assert not alike(forms(**{f"student {n}": GAE for n in range(12)}) | others(40))
    some = alike(forms(**{f"student {n}": GAE for n in range(3)}) | others(40), lambda exercise: set())
    two = alike(forms(**{f"student {n}": GAE for n in range(2)}) | others(40), lambda exercise: set())
    assert some[0].total < two[0].total  # the more have it, the less it says


def test_the_courses_own_answers_and_known_mistakes_accuse_nobody():
    own = {}
    for name in exercise_names():
        module = inspect.getmodule(getattr(reference_answers(), name))
        own[name] = answers_of([Cell("answers.py", module_source(module), notebook=False)])[name]["normal"]
    assert len(own) == len(exercise_names())
    assert not alike({"ann": own, "bob": own})
    for member in (right_answers("compute_gae")[0], *(mistake.forms[0] for mistake in wrong_answers("compute_gae"))):
        same = forms_of_member("compute_gae", member)
        assert not alike({"ann": same, "bob": same}), member


def test_answers_that_were_written_apart_are_not_alike():
    """Also where nothing is known to be common: variants of the bank and the reference answers, two at a time."""
    students = {}
    for name in exercise_names():
        for n, member in enumerate(right_answers(name)):
            students.setdefault(f"variant {n}", {}).update(forms_of_member(name, member))
    assert len(students) > 4
    assert not alike(students, lambda exercise: set())


def test_short_answers_alone_accuse_nobody():
    short = {name: "def v0(v1):\n    return v1.sum() / v1.amax(0) - v1.std() * torch.pi" for name in ("win_rate", "kl_exact")}
    assert not alike({"ann": short, "bob": short}, lambda exercise: set())


def test_windows_see_the_use_of_a_name_and_not_its_number():
    assert windows_of("v1 = v2 + v1 * v3 ;") == windows_of("v7 = v9 + v7 * v4 ;") != windows_of("v1 = v2 + v2 * v3 ;")
    assert known_windows("best_of_n_kl")


# A class


@functools.cache
def outcome_text(exercise: str, kind: str) -> str:
    """A result of the engine: of the first right answer, of a mistake, or of nothing at all."""
    if kind == "missing":
        missing = f"{exercise} was not handed in: nothing by this name is defined. Write it, and check again."
        result = not_runnable(exercise, Problem("missing", missing), hidden=True)
    elif kind == "hostile":
        result = run_exercise(exercise, hostile, hidden=True)
    elif kind == "example":
        result = run_exercise(exercise, getattr(example_answers, exercise), hidden=True)
    else:
        result = run_exercise(exercise, form(exercise, kind), hidden=True)
    return json.dumps(exercise_data(result))


def outcome(exercise: str, kind: str) -> dict:
    return json.loads(outcome_text(exercise, kind))


def form(exercise, kind):
    mistakes = {mistake.name: mistake.forms[0] for mistake in wrong_answers(exercise)}
    return mistakes.get(kind) or right_answers(exercise)[0]


def hostile(x, mask, dim=None):
    raise RuntimeError("<img src=x onerror=alert(1)> \u202egnp \x1b[31m\nHint: \nRead again: ]]>")


def put(out: Path, folder: str, result, found=None):
    (out / folder).mkdir()
    (out / folder / "result.json").write_text(result if isinstance(result, str) else json.dumps(result), encoding="utf-8")
    if found is not None:
        (out / folder / "answers.json").write_text(json.dumps(found), encoding="utf-8")


MISTAKES = {name: [mistake.name for mistake in wrong_answers(name)[:2]] for name in EXERCISES}


def student(name: str, kinds: dict, **facts) -> dict:
    return as_data(
        name, None, {exercise: outcome(exercise, kinds.get(exercise, "right")) for exercise in EXERCISES}, **FACTS | facts
    )


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A results folder as `grade` leaves it: 50 submissions, some of them with hostile names."""
    out, draw = tmp_path_factory.mktemp("results"), random.Random(0)
    (out / ".journal").mkdir()
    (out / ".journal" / "result.json").write_text("{}")
    with rlhf_core.use("reference"):
        for n, (folder, name) in enumerate([*((f"student {n}", f"student {n}") for n in range(39)), *HOSTILE.items()]):
            kinds = {exercise: draw.choice(["right", "right", *MISTAKES[exercise], "missing"]) for exercise in EXERCISES}
            kinds |= {"kl_estimate": "example", "compute_gae": "example", "policy_loss": "example"} if n % 5 == 0 else {}
            kinds |= {"masked_mean": "hostile"} if folder in HOSTILE else {}
            found = {
                e: answer_of_member(e, form(e, kinds[e]))
                for e in EXERCISES
                if kinds[e] not in ("missing", "hostile", "example")
            }
            if n in (3, 4):
                found |= answers(GAE if n == 3 else renamed(GAE))
            put(out, folder, student(name, kinds, wall_s=round(draw.uniform(1, 9), 3)), found)
        put(out, "refused", as_data("refused", "it is <b>no</b> archive.", {}, **FACTS) | {"max_points": 26.0}, {})
        put(
            out,
            "no result",
            as_data("no result", None, {}, **FACTS) | {"state": "not_graded", "reason": "the disk is full"},
            {},
        )
        partly = student("in part", {})
        check = partly["exercises"]["kl_exact"]["checks"][0]
        check |= {"status": "not_graded", "points": 0.0, "message": "This check broke down.", "diagnosis": None}
        exercise = partly["exercises"]["kl_exact"]
        exercise |= {"state": "not_graded", "points": sum(c["points"] for c in exercise["checks"])}
        put(out, "in part", as_data("in part", None, partly["exercises"], **FACTS), {})
    return out


@pytest.fixture(scope="module")
def reported(graded):
    assert main(["report", str(graded)]) == 0
    return graded


def page(out: Path, folder: str = "") -> str:
    return (out / folder / ("feedback.html" if folder else "class.html")).read_text(encoding="utf-8")


class Seen(html.parser.HTMLParser):
    """The elements of a page, and the text in it; raises AssertionError where they are not nested as they should be."""

    VOID = ("meta",)

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text = [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def pages(out: Path):
    return {folder: page(out, folder) for folder in ("", *(path.parent.name for path in out.glob("*/feedback.html")))}


def test_every_submission_has_a_page_that_the_class_page_leads_to(reported):
    seen = Seen(page(reported))
    links = {attributes["href"] for attributes in seen.of("a") if not attributes["href"].startswith("#")}
    assert all(link.startswith("./") for link in links)
    assert {(reported / unquote(link)).resolve() for link in links} == set(reported.resolve().glob("*/feedback.html"))
    assert len(links) == 50
    anchors = {attributes["href"][1:] for attributes in seen.of("a") if attributes["href"].startswith("#")}
    assert anchors <= {attributes.get("id") for _, attributes in seen.elements}


def test_pages_hold_nothing_that_runs_or_comes_from_elsewhere(reported):
    allowed = {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "strong", "b", "small", "span"}
    allowed |= {"bdi", "code", "pre", "div", "ul", "li", "a", "table", "caption", "thead", "tbody", "tr", "th", "td"}
    allowed |= {"details", "summary", "svg", "rect", "text", "line"}
    for text in pages(reported).values():
        seen = Seen(text)
        assert {tag for tag, _ in seen.elements} <= allowed
        names = {name for _, attributes in seen.elements for name in attributes}
        assert not any(name.startswith("on") or name in ("style", "src") for name in names)
        policy = next(a["content"] for a in seen.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
        style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        assert "url(" not in style and "@import" not in style


def test_pages_show_what_a_submission_holds_as_text(reported):
    for text in pages(reported).values():
        odd = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\n"}
        assert not odd
    shown = {folder: Seen(page(reported, folder)).text for folder in HOSTILE}
    assert "Feedback for <script>alert(1)</script>" in shown["tag"]
    assert "ab\\u202egnp.exe" in shown["override"] and "\\u001b[31mred" in shown["ansi"]
    assert "<img src=x onerror=alert(1)> \\u202egnp \\u001b[31m" in shown["quotes"]  # what its code raised
    assert "it is <b>no</b> archive" in Seen(page(reported, "refused")).text


def test_pages_can_be_read_without_seeing_them(reported):
    for text in pages(reported).values():
        seen = Seen(text)
        levels = [int(tag[1]) for tag, _ in seen.elements if re.fullmatch(r"h\d", tag)]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
        assert len(seen.of("caption")) == len(seen.of("table"))
        assert all(attributes.get("scope") in ("row", "col") for attributes in seen.of("th"))
        assert all(attributes["aria-labelledby"] == "figure-title" for attributes in seen.of("svg"))
        for badge in re.findall(r'<span class="badge \w+">(.*?)</span>', text):
            assert re.search(r"[a-z]{4}", badge)  # a word, not a colour alone


def told(out, folder, exercise) -> str:
    """What a page says about an exercise."""
    text = page(out, folder)
    start = text.index(f"<h3><code>{exercise}</code>")
    following = [place for place in (text.find("<h3>", start + 4), text.find("<h2 ", start)) if place > 0]
    return " ".join(Seen(text[start : min(following, default=text.index("<p><small>"))]).text.split())


def test_a_student_learns_what_is_wrong_and_where_to_read(tmp_path):
    mistake = next(m for m in wrong_answers("compute_gae") if m.name == "bootstraps_past_eos")
    put(tmp_path, "ann", student("ann", {"compute_gae": mistake.name, "kl_exact": "missing"}))
    assert main(["report", str(tmp_path)]) == 0
    said = told(tmp_path, "ann", "compute_gae")
    words = " ".join(mistake.explanation.replace("`", "").split())
    assert words in said and mistake.hint in said
    assert said.count(words) == 1  # once, not with every check
    assert 'Read again: lesson 5, "The end of an episode".' in said
    assert "passed" in said and "failed" in said and "(hidden)" in said
    assert "<p>Not handed in: <code>kl_exact</code> (0 of 3 points).</p>" in page(tmp_path, "ann")
    assert told(tmp_path, "ann", "masked_mean").startswith("masked_mean: 2 of 2 points All checks passed")
    assert "Isolation tier A" in page(tmp_path, "ann") and "Seed 0f0f0f0f.1." in page(tmp_path, "ann")


def test_of_hidden_checks_a_student_gets_title_points_and_diagnosis_alone():
    result = student("ann", {"compute_gae": "bootstraps_past_eos"})
    for check in result["exercises"]["compute_gae"]["checks"]:
        if check["visibility"] == "hidden" and check["status"] == "failed":
            said, told = parted(check["message"])
            check["message"] = "\n".join([f"{said} SECRET", told[0], f"Hint: {told[1]}", f"Read again: {told[2]}.", "SECRET"])
    text = student_page(result).decode()
    assert "SECRET" not in text
    assert result["exercises"]["compute_gae"]["checks"][-1]["title"].split(",")[0].replace("`", "") in Seen(text).text


def test_a_message_comes_apart_as_report_put_it_together():
    for kind in MISTAKES["compute_gae"]:
        result = run_exercise("compute_gae", form("compute_gae", kind))
        result.note = "A note."
        failed = next(check for check in result.checks if check.findings)
        said, told = parted(message(result, failed))
        assert told[:2] == (result.diagnosis.explanation, result.diagnosis.hint) and told[2].startswith("lesson 5")
        assert said.endswith("\nA note.") and "Hint:" not in said
    assert parted("One line.") == ("One line.", None)


def test_not_graded_is_never_shown_as_zero(reported):
    text = Seen(page(reported, "in part")).text
    points = sum(lesson_of(name)["exercises"][name] for name in EXERCISES) - 3
    assert f"{points} of {points} points; 3 more are not graded yet" in text
    assert told(reported, "in part", "kl_exact").startswith("kl_exact: not graded yet (3 points)")
    nothing = Seen(page(reported, "no result")).text
    assert "Not graded yet" in nothing and not re.search(r"\b0\b( of|</)", nothing)
    assert "refused" in Seen(page(reported, "refused")).text and "0 of" not in Seen(page(reported, "refused")).text
    assert "none yet" in page(reported)


# The class


def test_the_class_is_counted_as_its_results_are(reported):
    found = json.loads((reported / "class.json").read_text())
    results = [json.loads(path.read_text()) for path in reported.glob("*/result.json") if path.parent.name != ".journal"]
    assert (found["submissions"], found["graded"], found["refused"], found["not_graded"]) == (50, 47, 1, 2)
    points = [result["points"] for result in results if result["state"] == "graded"]
    assert found["points"]["mean"] == pytest.approx(sum(points) / len(points), abs=1e-4)
    assert sum(bar["count"] for bar in found["histogram"]) == len(points)
    for name in EXERCISES:
        states = [result["exercises"][name]["state"] for result in results if name in result["exercises"]]
        exercise = found["exercises"][name]
        counts = (exercise["handed_in"], exercise["missing"], exercise["not_graded"])
        assert counts == tuple(states.count(state) for state in ("graded", "missing", "not_graded"))
        assert sum(mistake["count"] for mistake in exercise["mistakes"]) + exercise["full_marks"] == exercise["handed_in"]
    slowest = [row["wall_s"] for row in found["slowest"]]
    assert slowest == sorted((result["wall_s"] for result in results), reverse=True)[:10]
    assert found["reasons"]["refused"][0]["reason"] == "it is <b>no</b> archive."
    assert {"submission": "in part", "reason": None, "exercises": ["kl_exact"]} in found["reasons"]["not_graded"]


def test_common_mistakes_are_told_in_words(reported):
    exercise = json.loads((reported / "class.json").read_text())["exercises"]["kl_estimate"]
    mistake = next(mistake for mistake in exercise["mistakes"] if mistake["diagnosis"] == MISTAKES["kl_estimate"][0])
    assert mistake["explanation"] == wrong_answers("kl_estimate")[0].explanation
    text = Seen(page(reported)).text
    first = exercise["mistakes"][0]
    assert f"{first['count']} of {exercise['handed_in']} who handed it in: {first['explanation'].replace('`', '')}" in text
    assert "raises an exception" in text


def test_pairs_stand_side_by_side_with_their_source(reported):
    assert [pair["submissions"] for pair in json.loads((reported / "class.json").read_text())["alike"]] == [
        ["student 3", "student 4"]
    ]
    text = Seen(page(reported)).text
    assert "collected.insert(0, carried * now)" in text and "outs.insert(0, acc * here)" in text
    assert "no judgement" in text and not re.search(r"cheat|plagiar|guilty|stole", text)


def test_a_class_without_a_single_result_has_a_page_too(tmp_path, capsys):
    put(tmp_path, "refused", as_data("refused", None, {}, **FACTS) | {"state": "refused"})
    assert main(["report", str(tmp_path)]) == 0
    assert "No submission is graded in full." in page(tmp_path)
    assert summary([])["points"] is None and histogram([], 0.0) == []


def test_who_handed_in_nothing_is_named_and_pulls_no_mean_down(tmp_path, capsys):
    reason = "nothing for lesson 4, only notebooks of other lessons"
    exercises = {name: outcome(name, "missing") for name in EXERCISES}
    put(tmp_path, "right", student("right", {}))
    put(tmp_path, "absent", as_data("absent", None, exercises, **FACTS) | {"reason": reason})
    put(tmp_path, "blank", as_data("blank", None, exercises, **FACTS))
    assert main(["report", str(tmp_path), "--markdown", str(tmp_path / "page.md")]) == 0
    assert "3 submissions: 2 graded, 0 refused, 0 not graded, 1 with nothing handed in.\n" in capsys.readouterr().out
    found, most = json.loads((tmp_path / "class.json").read_text()), student("right", {})["max_points"]
    assert (found["graded"], found["no_submission"], found["points"]["mean"]) == (2, 1, most / 2)
    assert found["reasons"]["no_submission"] == [{"submission": "absent", "reason": reason, "exercises": []}]
    assert sum(bar["count"] for bar in found["histogram"]) == 2
    assert {(each["handed_in"], each["missing"]) for each in found["exercises"].values()} == {(1, 2)}
    seen = Seen(page(tmp_path))
    assert "1 with nothing handed in" in seen.text and f"absent: {reason}" in seen.text
    badges = [each["class"] for each in seen.of("span") if each.get("class", "").startswith("badge")]
    assert badges == ["badge no_submission", "badge graded", "badge graded"]
    assert f"In what you handed in there is {reason}." in Seen(page(tmp_path, "absent")).text
    assert "No submission" not in Seen(page(tmp_path, "blank")).text
    absent, blank, _ = table((tmp_path / "results.csv").read_bytes())
    assert (absent["state"], absent["reason"], float(absent["points"])) == ("no_submission", reason, 0.0)
    assert (blank["state"], absent["kl_exact_state"]) == ("graded", "missing")
    assert "| `absent` | no submission | 0 of" in (tmp_path / "page.md").read_text()


def test_full_points_are_in_the_last_bar_and_none_in_the_first():
    assert [bar["count"] for bar in histogram([0.0, 9.9, 100.0], 100.0)] == [2, *[0] * 8, 1]


def test_every_kind_of_finding_has_a_phrase():
    folder = ROOT / "autograder"
    sources = [path.read_text(encoding="utf-8") for path in folder.rglob("*.py") if not {"wrong", "right"} & set(path.parts)]
    pattern = r'(?:\bkind=|[.\s]report\(\s*|_unusable\(\s*|Finding\(\s*|Problem\(\s*|WorkerLost\(\s*)"([a-z_]+)"'
    kinds = {kind for source in sources for kind in re.findall(pattern, source)}
    assert {"value", "raises", "time_out", "syntax_error", "wrong_shape"} <= kinds
    assert kinds - {"missing", "trial"} <= set(KINDS)  # those two are never what a graded answer is filed under


# The table


def table(data: bytes) -> list[dict]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_the_table_keeps_the_states_apart(reported):
    rows = {row["submission"]: row for row in table((reported / "results.csv").read_bytes())}
    assert len(rows) == 50
    assert rows["refused"]["points"] == "" and rows["refused"]["state"] == "refused"
    assert rows["refused"]["kl_exact"] == rows["refused"]["kl_exact_state"] == ""
    assert rows["no result"]["points"] == "" and rows["no result"]["reason"] == "the disk is full"
    assert (rows["in part"]["kl_exact"], rows["in part"]["kl_exact_state"], rows["in part"]["points"]) == ("", "not_graded", "")
    missing = next(row for row in rows.values() if row["compute_gae_state"] == "missing")
    assert float(missing["compute_gae"]) == 0
    results = [json.loads(path.read_text()) for path in reported.glob("*/result.json") if path.parent.name != ".journal"]
    for result in (result for result in results if result["state"] == "graded"):
        row = rows[inert(result["submission"])]
        assert float(row["points"]) == result["points"]
        assert all(float(row[name]) == result["exercises"][name]["points"] for name in EXERCISES)


def test_the_table_is_for_a_spreadsheet(reported):
    data = (reported / "results.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf") and "שירה לוי".encode() in data
    for row in csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)
    assert b"\"'=cmd|" in data
    assert re.search(rb'"student 1","graded","",[\d.]+,[\d.]+,', data)  # numbers without quotes


@pytest.mark.parametrize("name", ["=1", "+1", "-1", "@a", "\t=1", "\r1", "\n1", " =1", "\uff1d1", "\u00a0=1", "\0=1"])
def test_cells_that_would_run_are_inert(name):
    assert inert(name).startswith("'")


def test_names_that_no_encoding_knows_are_written(tmp_path):
    result = student("lone \udcff", {})
    assert table(as_csv([brief(result)]))[0]["submission"] == "lone \\udcff"
    assert inert("O'Neil - 1") == "O'Neil - 1"


# The command


def changed(change) -> str:
    result = copy.deepcopy(student("ann", {}))
    change(result)
    return json.dumps(result)


def set_deep(*path, value):
    def change(result):
        for key in path[:-1]:
            result = result[key]
        result[path[-1]] = value

    return change


BROKEN = {
    "empty": lambda: "",
    "cut off": lambda: changed(lambda result: None)[:-50],
    "a list": lambda: "[]",
    "of another program": lambda: '{"name": "ann", "grade": 3}',
    "nested": lambda: "[" * 100_000,
    "another schema": lambda: changed(set_deep("schema", value=2)),
    "a schema that is long": lambda: changed(set_deep("schema", value="2" * 10_000)),
    "an unknown state": lambda: changed(set_deep("state", value="excellent")),
    "a state of another type": lambda: changed(set_deep("state", value=["graded"])),
    "points as text": lambda: changed(set_deep("points", value="26")),
    "points that are no number": lambda: changed(set_deep("points", value=float("nan"))),
    "points beyond any float": lambda: changed(set_deep("points", value=10**400)),
    "negative points": lambda: changed(set_deep("exercises", "kl_exact", "points", value=-1.0)),
    "a sum made by hand": lambda: changed(set_deep("points", value=27.0)),
    "points of an exercise made by hand": lambda: changed(set_deep("exercises", "kl_exact", "points", value=2.0)),
    "an exercise of another course": lambda: changed(lambda r: r["exercises"].update(sorting=r["exercises"].pop("kl_exact"))),
    "an exercise in another lesson": lambda: changed(set_deep("exercises", "kl_exact", "lesson", value=5)),
    "an exercise that is text": lambda: changed(set_deep("exercises", "kl_exact", value="done")),
    "a check without a title": lambda: changed(lambda result: result["exercises"]["kl_exact"]["checks"][0].pop("title")),
    "no name": lambda: changed(lambda result: result.pop("submission")),
    "a name twice": lambda: changed(set_deep("submission", value="good")),
    "too large": lambda: " " * (8 * 2**20 + 1),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_result_is_named_and_passed_over(kind, tmp_path, capsys):
    put(tmp_path, "good", student("good", {}))
    put(tmp_path, "zed \x1b[2J", BROKEN[kind]())
    assert main(["report", str(tmp_path)]) == 1
    warning = capsys.readouterr().err
    assert "zed \\u001b[2J is passed over: " in warning and warning.count("\n") == 1 and len(warning) < 400
    assert json.loads((tmp_path / "class.json").read_text())["submissions"] == 1
    assert not (tmp_path / "zed \x1b[2J" / "feedback.html").exists() and (tmp_path / "good" / "feedback.html").exists()


@pytest.mark.parametrize(
    "found",
    ["[]", "{", '{"kl_exact": 1}', '{"other": {"source": "", "normal": ""}}', '{"kl_exact": {"source": 1, "normal": ""}}'],
)
def test_broken_answers_are_noticed_and_cost_nobody_the_result(found, tmp_path, capsys):
    put(tmp_path, "ann", student("ann", {}))
    (tmp_path / "ann" / "answers.json").write_text(found)
    assert main(["report", str(tmp_path)]) == 0
    assert "the answers of ann are compared with nobody's: answers.json" in capsys.readouterr().err
    assert (tmp_path / "ann" / "feedback.html").exists()


def test_a_folder_without_results_is_a_usage_error(tmp_path, capsys):
    assert main(["report", str(tmp_path / "none")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["report", str(tmp_path)]) == 2
    assert "holds no results" in capsys.readouterr().err


def test_json_prints_what_class_json_holds(reported, capsys):
    assert main(["report", str(reported), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((reported / "class.json").read_text())


def test_a_second_report_changes_nothing_and_leaves_nothing_behind(reported):
    before = {path: path.read_bytes() for path in reported.rglob("*") if path.is_file()}
    assert main(["report", str(reported)]) == 0
    assert before == {path: path.read_bytes() for path in reported.rglob("*") if path.is_file()}

"""`rlhf-course export actions`: the steps of the workflow, run here as they stand, on repositories of three students.

Ours are: `uses:` steps (a clone; nothing for Python; a copy of the artifact), `sudo`, which installs nothing, as bubblewrap is
here, and `python`: its pip builds and installs the course into an environment of its own, without its dependencies. What grades
is the course of this environment.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from autograder.grading import tiers
from autograder.grading.markdown import LARGEST, as_markdown

ROOT = Path(__file__).parents[1]
OURS = "# Written by: rlhf-course export actions."


def cli(*arguments, **options):
    command = [sys.executable, "-m", "rlhf_core.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False, **options)


def exported(folder: Path, *arguments) -> dict:
    """The workflow, parsed."""
    run = cli("export", "actions", "--out", folder, *arguments)
    assert run.returncode == 0, run.stderr
    return yaml.safe_load((folder / ".github" / "workflows" / "grade.yml").read_text())


MODES = {"all": ["--checks", "all", "--lesson", "5"], "visible": ["--checks", "visible", "--lesson", "5"], "class": ["--class"]}


# The file


@pytest.mark.parametrize("mode", MODES)
def test_a_workflow_may_read_and_no_more_and_ends(mode, tmp_path):
    workflow = exported(tmp_path, *MODES[mode])
    job = workflow["jobs"]["grade"]
    assert workflow["permissions"] == {"contents": "read"} and "permissions" not in job
    assert workflow["concurrency"]["cancel-in-progress"] is True and job["timeout-minutes"] < 360
    assert set(workflow[True]) == ({"workflow_dispatch"} if mode == "class" else {"push", "workflow_dispatch"})  # YAML's `on`
    for step in job["steps"]:
        assert "${{" not in step.get("run", ""), "what stands in a script could be a student's"
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/x@v1"))
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False
    secrets = set(re.findall(r"secrets\.(\w+)", (tmp_path / ".github" / "workflows" / "grade.yml").read_text()))
    assert (
        secrets
        == {
            "all": {"COURSE_SEED", "COURSE_TOKEN"},
            "visible": set(),
            "class": {"COURSE_SEED", "COURSE_TOKEN", "STUDENTS_TOKEN"},
        }[mode]
    )


@pytest.mark.skipif(shutil.which("jactionlint") is None, reason="a linter of workflows: pip install jactionlint")
@pytest.mark.parametrize("mode", MODES)
def test_a_linter_finds_nothing(mode, tmp_path):
    exported(tmp_path, *MODES[mode])
    path = tmp_path / ".github" / "workflows" / "grade.yml"
    said = subprocess.run(["jactionlint", str(path)], capture_output=True, text=True, check=False).stdout
    found = [line for line in said.splitlines() if line.startswith(str(path))]
    assert all("[unpinned-uses]" in line for line in found), said  # major versions of GitHub's own actions


def test_what_somebody_else_wrote_is_not_replaced(tmp_path):
    exported(tmp_path)
    exported(tmp_path, "--checks", "visible")  # its own it replaces
    path = tmp_path / ".github" / "workflows" / "grade.yml"
    path.write_text("name: mine\n")
    run = cli("export", "actions", "--out", tmp_path)
    assert run.returncode == 2 and "--force" in run.stderr and path.read_text() == "name: mine\n"
    exported(tmp_path, "--force")
    assert path.read_text().startswith(OURS)


def test_where_the_course_comes_from(tmp_path):
    where = ["--repository", "me/course", "--ref", "v1.0", "--torch-index", "https://example.org/whl/cpu"]
    job = exported(tmp_path, *where)["jobs"]["grade"]
    course = next(step["with"] for step in job["steps"] if step.get("with", {}).get("path") == "course")
    assert (course["repository"], course["ref"]) == ("me/course", "v1.0")
    assert job["env"] == {"PIP_EXTRA_INDEX_URL": "https://example.org/whl/cpu"}
    student = exported(tmp_path, "--checks", "visible")["jobs"]["grade"]["steps"]
    assert next(step["with"]["ref"] for step in student if step.get("with", {}).get("path") == "course") == "student"


def test_what_students_need_no_secret_for_holds_none(tmp_path):
    bare, visible = exported(tmp_path / "bare"), exported(tmp_path / "visible", "--checks", "visible")
    assert bare == exported(tmp_path / "all", "--checks", "all")
    assert "secrets." in json.dumps(bare) and "secrets." not in json.dumps(visible)


@pytest.mark.parametrize("mode", MODES)
def test_it_says_which_kind_was_made_and_names_the_others(mode, tmp_path):
    said = cli("export", "actions", "--out", tmp_path, *MODES[mode]).stdout.splitlines()
    begins = {
        "visible": "Feedback (--checks visible): ",
        "class": "Marks (--class): ",
        "all": "All checks (--checks all, ",
    }
    assert len(said) == 2 and said[1].startswith(begins[mode])
    assert all(option in said[1] for option in ("--checks visible", "--checks all", "--class"))
    assert ("COURSE_SEED" in said[0]) == (mode != "visible")


def test_the_guide_knows_the_kinds():
    opening = (ROOT / "docs" / "actions.md").read_text().partition("\n## ")[0]
    assert opening.index("--checks visible`") < opening.index("--class`") < opening.index("--checks all`")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lesson", "42"], "lesson 42"),
        (["--repository", "me/course\n  evil: 1"], "OWNER/NAME"),
        (["--ref", "$(id)"], "no name of a branch"),
        (["--class", "--checks", "visible"], "not allowed with"),
    ],
)
def test_bad_usage_says_what_and_exits_with_2(arguments, said, tmp_path):
    run = cli("export", "actions", "--out", tmp_path, *arguments)
    assert run.returncode == 2 and said in run.stderr and "Traceback" not in run.stderr and not list(tmp_path.iterdir())


# The page of the job


def spoken(markdown: str) -> tuple[str, set[str]]:
    """What a renderer shows outside of code, and the kinds of markup that it finds."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown)
    inner = [child for token in tokens for child in (token.children or [])]
    shown = " ".join(token.content for token in inner if token.type == "text")
    return shown, {token.type for token in tokens + inner}


HOSTILE = [
    "<img src=x onerror=alert(1)> <!-- </code></pre> <script>MARK</script>",
    "```\n# MARK\n```\n[MARK](https://example.org) ![MARK](https://example.org/x.png)",
    "````text\nMARK @everyone #1\n````\n\n- MARK\n\n---\n",
    "`` MARK | MARK ``` | **MARK** ~~~\nMARK\n~~~",
    "\r\n\r\n<details>MARK\x1b[2J\u202e\u2028# MARK",
    "    MARK\n\n\n<b>MARK",
]


def a_result(message="", name="student", **facts):
    check = {"name": "t", "title": "A check", "status": "failed", "points": 0.0, "max_points": 2.0, "visibility": "visible",
             "message": message, "diagnosis": "value"}  # fmt: skip
    exercise = {"lesson": 5, "state": "graded", "points": 0.0, "max_points": 2.0, "checks": [check]}
    result = {"submission": name, "state": "graded", "reason": None, "points": 0.0, "max_points": 2.0, "questions": {}}
    return result | {"exercises": {"masked_mean": exercise}} | facts


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_student_wrote_is_code_and_nothing_else(text):
    alone = as_markdown([a_result(text)])
    refused = as_markdown([a_result(name=text, state="refused", reason=text)])
    several = as_markdown([a_result(name=text), a_result(name=text, state="refused", reason=text)])
    for page in (alone, refused, several):
        assert "MARK" in page
        shown, kinds = spoken(page)
        assert "MARK" not in shown and "alert" not in shown
        assert not kinds & {"html_block", "html_inline", "link_open", "image", "hr", "strong_open"}
        assert "MARK" not in page.split("\n")[0]
    assert {"table_open", "fence", "code_inline"} <= spoken(several)[1]


def test_a_table_keeps_its_columns_whatever_a_name_holds():
    tokens = MarkdownIt("commonmark").enable("table").parse(as_markdown([a_result(name="a | b"), a_result(name="c")]))
    assert [token.type for token in tokens].count("td_open") == 6


def test_a_page_stays_under_the_limit_of_a_step():
    checks = [a_result("long " * 1600)["exercises"]["masked_mean"]["checks"][0] | {"title": str(n)} for n in range(250)]
    whole = a_result()
    exercise = whole["exercises"]["masked_mean"] | {
        "checks": [check | {"message": check["message"] + check["title"]} for check in checks]
    }
    page = as_markdown([whole | {"exercises": {"masked_mean": exercise}}])
    assert len(page.encode()) < LARGEST + 1000 < 2**20 and "feedback.html" in page and page.startswith("# 0 of 2 points\n")


def test_of_one_student_all_is_told_and_of_a_class_a_row():
    alone = as_markdown([a_result("Wrong sign.")])
    assert "Wrong sign." in alone and "1 of 1 checks failed" in alone
    several = as_markdown([a_result("Wrong sign."), a_result(name="b", state="not_graded", reason="the disk")])
    assert several.startswith("# 2 submissions: 1 graded, 0 refused, 1 not graded\n") and "Wrong sign." not in several
    assert "| `b` | not graded | none yet |" in several and "b: the disk" in several


# The steps

RIGHT = (ROOT / "solutions" / "answers" / "advantages.py").read_text()
PARTIAL = """
import torch

def masked_mean(x, mask, dim=None):
    x, count = torch.where(mask, x, 0.0), mask.to(x.dtype)
    total = x.sum() if dim is None else x.sum(dim)
    return total / (count.sum() if dim is None else count.sum(dim)).clamp(min=1)
"""
FORGED = (
    PARTIAL
    + '''

def masked_whiten(x, mask, shift_mean=True, eps=1e-8):
    raise RuntimeError("""```
::error::MARK
::stop-commands::MARK
<img src=x onerror=alert(1)> @everyone [MARK](https://example.org)""")
'''
)
STUDENTS = {"ann": {"answers.py": RIGHT}, "bob": {"week 5/hw.py": PARTIAL}, "carl": {"answers.py": FORGED}}


def repository(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    for command in (["init", "--quiet"], ["add", "--force", "."], ["commit", "--quiet", "--message", "$(touch MARK)"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    return folder


class Runner:
    """Runs the steps of a job in a folder, as GitHub's runner does."""

    def __init__(self, folder: Path, host: Path, secrets: dict[str, str]):
        self.work, self.temp, self.host, self.secrets = folder / "work", folder / "temp", host, secrets
        self.summary, self.artifact, self.outcome, self.log = folder / "summary.md", folder / "artifact", {}, ""
        stubs = folder / "stubs"
        for place in (self.work, self.temp, stubs):
            place.mkdir(parents=True)
        self.python = folder / "python"
        for name, script in (("sudo", ""), ("python", f'exec {self.python}/bin/python "$@" --no-deps')):
            (stubs / name).write_text(f"#!/bin/sh\n{script}\n")
            (stubs / name).chmod(0o755)
        keep = {name: os.environ[name] for name in ("HOME", "LANG", "SSL_CERT_FILE") if name in os.environ}
        self.environment = keep | {
            "PATH": f"{stubs}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_SERVER_URL": f"file://{host}",
            "RUNNER_TEMP": str(self.temp),
            "OMP_NUM_THREADS": "1",
        }

    def value(self, text: str, name: str) -> str:
        """With `${{ ... }}` filled in."""
        known = {
            "github.event.repository.name": name,
            "secrets.COURSE_TOKEN || github.token": "token",
            **{f"secrets.{each}": self.secrets.get(each, "") for each in ("COURSE_SEED", "STUDENTS_TOKEN")},
        }
        return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: known[found[1]], str(text))

    def run(self, job: dict, name: str) -> bool:
        """Whether the job has succeeded.  name: of the repository that it belongs to."""
        fine = True
        for step in job["steps"]:
            condition = step.get("if", "success()")
            assert condition in ("success()", "${{ !cancelled() && steps.grade.outcome != 'skipped' }}")
            skipped = not fine if condition == "success()" else self.outcome.get("grade") == "skipped"
            done = skipped or (self.use(step, name) if "uses" in step else self.script(step, name))
            self.outcome[step.get("id")] = "skipped" if skipped else "success" if done else "failure"
            fine = fine and done
        return fine

    def use(self, step, name) -> bool:
        given = {key: self.value(value, name) for key, value in step.get("with", {}).items()}
        if step["uses"].startswith("actions/checkout"):
            source = self.host / given.get("repository", f"class/{name}")
            subprocess.run(["git", "clone", "--quiet", f"file://{source}", self.work / given["path"]], check=True)
        elif step["uses"].startswith("actions/upload-artifact"):
            for pattern in given["path"].split():
                for path in self.work.glob(pattern):
                    target = self.artifact / path.relative_to(self.work / "results")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, target)
        else:
            assert (self.work / given["cache-dependency-path"]).exists()
            subprocess.run([sys.executable, "-m", "venv", self.python], check=True)
        return True

    def script(self, step, name) -> bool:
        path = self.temp / "step.sh"
        path.write_text(step["run"])
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(path)]
        environment = self.environment | {key: self.value(value, name) for key, value in step.get("env", {}).items()}
        run = subprocess.run(command, cwd=self.work, env=environment, capture_output=True, text=True, timeout=400, check=False)
        self.log += run.stdout + run.stderr
        return run.returncode == 0


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """Where repositories are: the course's (as it stands here, without its models) and those of a class."""
    if tiers.best()[0] == "C":
        pytest.skip("the workflow grades with real isolation only")
    folder = tmp_path_factory.mktemp("host")
    course = folder / "rlhf-course" / "rlhf-course"
    left_out = shutil.ignore_patterns("embedded", "__pycache__", "notebooks")
    for name in ("rlhf_core", "autograder", "solutions"):
        shutil.copytree(ROOT / name, course / name, ignore=left_out)
    files = {
        name: (ROOT / name).read_text() for name in ("pyproject.toml", "README.md", "LICENSE", "course.toml", "constraints.txt")
    }
    repository(course, files)
    subprocess.run(["git", "branch", "--quiet", "student"], cwd=course, check=True)
    for name, answers in STUDENTS.items():
        repository(folder / "class" / name, answers)
    listed = "class/ann\r\nclass/bob\n# a comment\nclass/carl\nclass/nobody\n../../etc\n$(id)/x\n"
    repository(folder / "class" / "grading", {"students.txt": listed})
    return folder


@pytest.fixture(scope="module")
def expected(host, tmp_path_factory):
    """Points by student, of `rlhf-course grade` with the same seed: of lesson 5, and of all."""
    submissions, found = tmp_path_factory.mktemp("class"), {}
    for name in STUDENTS:
        shutil.copytree(host / "class" / name, submissions / name)
    for key, scope in (("lesson 5", ["--lesson", 5]), ("all", [])):
        out = tmp_path_factory.mktemp("graded")
        assert cli("grade", submissions, "--out", out, "--seed", "words", "--official", *scope).returncode == 0
        found[key] = {name: points_in(out, name) for name in STUDENTS}
    assert found["lesson 5"]["ann"] == (11.0, 11.0) and found["lesson 5"]["bob"] == found["lesson 5"]["carl"] == (2.0, 11.0)
    return found


def points_in(folder: Path, name: str) -> tuple[float, float]:
    result = json.loads((folder / name / "result.json").read_text())
    return result["points"], result["max_points"]


def installed(job: dict) -> dict:
    """The job without its step that installs the course, which takes the longest: one student's does it for all."""
    return job | {"steps": [step for step in job["steps"] if "pip install" not in step.get("run", "")]}


@pytest.fixture(scope="module")
def jobs(host, tmp_path_factory):
    """Of each student, the runner of a job in their repository."""
    job = exported(tmp_path_factory.mktemp("workflow"), *MODES["all"])["jobs"]["grade"]
    runners = {name: Runner(tmp_path_factory.mktemp(name), host, {"COURSE_SEED": "words"}) for name in STUDENTS}
    for name, runner in runners.items():
        assert runner.run(job if name == "ann" else installed(job), name), runner.log
    return runners


def test_three_students_get_what_grade_gives(jobs, expected):
    for name, runner in jobs.items():
        got, most = expected["lesson 5"][name]
        assert points_in(runner.artifact, name) == (got, most)
        assert runner.summary.read_text().startswith(f"# {got:g} of {most:g} points\n")
        assert f"::notice title=Points:: {got:g} of {most:g} points\n" in runner.log


def test_what_is_kept_is_results_and_feedback(jobs):
    for name, runner in jobs.items():
        kept = {path.relative_to(runner.artifact).as_posix() for path in runner.artifact.rglob("*") if path.is_file()}
        assert kept == {f"{name}/result.json", f"{name}/feedback.html"}
        assert (runner.work / "results" / ".journal" / "seed").exists()


def test_the_course_is_installed_as_the_step_says(jobs):
    packages = next((jobs["ann"].python / "lib").glob("python3*")) / "site-packages"
    assert (packages / "autograder" / "hidden").is_dir() and (packages / "rlhf_core" / "course.toml").exists()


def test_a_student_cannot_speak_to_the_runner_or_the_page(jobs):
    runner = jobs["carl"]
    assert "MARK" in runner.summary.read_text() and "MARK" not in runner.log
    shown, kinds = spoken(runner.summary.read_text())
    assert "MARK" not in shown and not kinds & {"html_block", "html_inline", "link_open", "image"}
    assert [line for line in runner.log.splitlines() if line.startswith("::")] == ["::notice title=Points:: 2 of 11 points"]
    assert not list(runner.work.rglob("MARK"))  # the message of a commit is no command


def test_without_a_seed_the_job_fails_and_gives_no_points(host, tmp_path):
    job = exported(tmp_path / "workflow", *MODES["all"])["jobs"]["grade"]
    runner = Runner(tmp_path / "job", host, {})
    assert not runner.run(installed(job), "bob")
    assert "::error::This repository has no secret COURSE_SEED" in runner.log
    assert not runner.summary.exists() and not runner.artifact.exists()


def test_a_class_is_graded_from_a_repository_of_its_own(host, expected, tmp_path):
    job = exported(tmp_path / "workflow", *MODES["class"])["jobs"]["grade"]
    runner = Runner(tmp_path / "job", host, {"COURSE_SEED": "words", "STUDENTS_TOKEN": "t"})
    assert runner.run(installed(job), "grading"), runner.log
    assert {name: points_in(runner.artifact, f"class-{name}") for name in STUDENTS} == expected["all"]
    assert "# 3 submissions: 3 graded" in runner.summary.read_text() and (runner.artifact / "results.csv").exists()
    assert "::warning title=Not fetched, and without a result::class/nobody" in runner.log
    assert sorted(path.name for path in (runner.work / "submissions").iterdir()) == ["class-ann", "class-bob", "class-carl"]


def test_visible_checks_need_no_secret(host, tmp_path):
    job = exported(tmp_path / "workflow", *MODES["visible"])["jobs"]["grade"]
    for name in ("ann", "carl"):
        runner = Runner(tmp_path / name, host, {})
        assert runner.run(installed(job), name), runner.log
        told = json.loads(cli("check", host / "class" / name, "--lesson", 5, "--json").stdout)
        page = runner.summary.read_text()
        assert page.startswith(f"# {told['points']:g} of {told['max_points']:g} points in the visible checks.\n")
        shown, kinds = spoken(page)
        assert "MARK" not in shown + runner.log and not kinds & {"html_block", "html_inline", "link_open", "image"}
    assert "MARK" in page

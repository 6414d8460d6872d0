"""`rlhf-course export actions`: a workflow that grades in GitHub Actions."""

import argparse
import re
from pathlib import Path

import jinja2

from rlhf_core.course import course, exercise_names
from rlhf_core.errors import CourseError, UsageError

from .bundle import add_torch_index

TEMPLATES = Path(__file__).parent / "templates"
MARK = "# Written by: rlhf-course export actions."
ABOUT = {
    "visible": "Checks each push with the visible checks. Needs no secret.",
    "class": "Grades the repositories in students.txt. Secrets: COURSE_SEED, STUDENTS_TOKEN, and COURSE_TOKEN where needed.",
    "all": "Grades each push with all checks. Secrets: COURSE_SEED, and COURSE_TOKEN where the course is private.",
}
MEANS = {
    "visible": "Feedback (--checks visible): students' repositories get no secret, no hidden check, no answer; what they show "
    "is no mark. For marks: --class; for all checks in students' repositories, where they can be read: --checks all.",
    "class": "Marks (--class): for a private repository of yours, which no student can read or change. For feedback in "
    "students' repositories: --checks visible, or --checks all, where students can read the hidden checks.",
    "all": "All checks (--checks all, the default): each student can read the seed, the hidden checks and the answers, and "
    "write any number of points. Without that: --checks visible for feedback, --class for marks.",
}


def add(platforms):
    parser = platforms.add_parser(
        "actions",
        help="a GitHub Actions workflow that grades each push, or a class",
        description="Write DIR/.github/workflows/grade.yml. Points and messages go to the page of the job. In a student's own "
        "repository that student can read every secret and change the workflow: feedback without a secret comes from --checks "
        "visible, points that count from --class, in a repository of yours. Exit codes: 0 done, 1 it failed, 2 usage.",
        epilog="example: rlhf-course export actions --checks visible --out template-repository",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="the repository's folder; default: this one")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--checks",
        choices=("all", "visible"),
        default="all",
        help="all (default): students can read the hidden checks, too; visible: of the student edition, without secrets",
    )
    where.add_argument(
        "--class", action="store_true", dest="whole_class", help="for your own repository: grades those listed in students.txt"
    )
    parser.add_argument(
        "--repository", type=name_of_repository, metavar="OWNER/NAME", help="where the course is; default: that of course.toml"
    )
    parser.add_argument(
        "--ref", type=name_of_ref, metavar="BRANCH", help="its branch or tag; default: student for visible, else the main one"
    )
    parser.add_argument("--lesson", type=int, metavar="N", help="only the exercises of lesson N")
    add_torch_index(parser)
    parser.add_argument("--force", action="store_true", help="replace a grade.yml that this command did not write")
    parser.set_defaults(execute=execute)


def name_of_repository(text: str) -> str:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not OWNER/NAME")
    return text


def name_of_ref(text: str) -> str:
    if not re.fullmatch(r"\w[\w./-]*", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a branch or tag")
    return text


def execute(args) -> int:
    if not exercise_names(args.lesson):
        raise UsageError(f"lesson {args.lesson} has no exercises to grade; lessons 1 to 9 have")
    path = args.out / ".github" / "workflows" / "grade.yml"
    try:
        if path.exists() and not args.force and not path.read_text(encoding="utf-8").startswith(MARK):
            raise UsageError(f"{str(path)!r} is there and not from this command: move it, or add --force to replace it")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(workflow(args), encoding="utf-8")
    except OSError as error:
        raise CourseError(f"{str(path)!r} could not be written: {error.strerror}") from error
    print(f"{path} is written. {ABOUT[mode_of(args)]}")
    print(MEANS[mode_of(args)])
    return 0


def mode_of(args) -> str:
    return "class" if args.whole_class else args.checks


def workflow(args) -> str:
    mode = mode_of(args)
    return (
        environment()
        .get_template("grade.yml.j2")
        .render(
            mode=mode,
            about=ABOUT[mode],
            repository=args.repository or course()["repository"],
            ref=args.ref or ("student" if mode == "visible" else ""),
            scope="" if args.lesson is None else f" --lesson {args.lesson}",
            torch_index=args.torch_index,
        )
    )


def environment() -> jinja2.Environment:
    """With signs of its own: `{{` is of GitHub's."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True, block_start_string="<%", block_end_string="%>", variable_start_string="<<",
        variable_end_string=">>", comment_start_string="<#", comment_end_string="#>",
    )  # fmt: skip

"""From results, a roster and marks to the files."""

from autograder.export.nbgrader import must_be_installed
from autograder.show import safe
from rlhf_core.errors import UsageError

from .canvas import CANVAS
from .generic import generic
from .grades import BEHIND, Given, default_title, grade_of, highest, read_results
from .marks import list_what_is_to_be_marked, read_marks, waiting_in_formgrader
from .matching import Match, by_names_alone, match
from .moodle import MOODLE
from .roster import Roster, read_roster
from .summary import told
from .table import write


def export(args) -> int:
    if args.gradebook and (args.marks or args.automatic_only):
        raise UsageError("--gradebook brings the marks of the written questions: leave --marks and --automatic-only out")
    out = args.out or args.results
    results, unread = read_results(args.results)
    given = given_to(args, results)
    grades = [grade_of(result, given.get(result["submission"], Given()), args.automatic_only) for result in results]
    roster = read_roster(args.roster, args.assignment) if args.roster else None
    if roster and args.format not in (roster.platform.name, "generic", "all"):
        raise UsageError(f"{args.roster.name} is of {roster.platform.name}, and --format {args.format} is another platform")
    found = match(roster, grades) if roster else by_names_alone(grades)

    files = all_files(grades, roster, found, args.assignment or default_title(results), args.gradebook is not None)
    files = {f"{name}.csv": content for name, content in files.items() if args.format in (name, "all")}
    for source in filter(None, (args.roster, args.marks)):
        if source.resolve() in {(out / name).resolve() for name in files}:
            raise UsageError(f"{str(source)!r} would be overwritten: name another folder with --out")
    write(out, files)
    print(told(grades, roster, found))
    print(f"Written: {', '.join(str(out / name) for name in files)}")
    if args.gradebook:
        waiting_in_formgrader(grades)
    else:
        list_what_is_to_be_marked(out, grades)
    for folder, why in unread.items():
        print(f"Passed over: {safe(folder)}, as {safe(why)}")
    behind = any(grade.state == BEHIND for grade in grades)
    return 1 if unread or behind or found.unknown or found.several else 0


def given_to(args, results: list[dict]) -> dict[str, Given | None]:
    """What a person gave, by submission; None of one that is not in the gradebook."""
    if args.gradebook:
        must_be_installed()
        from .formgrader import read_gradebook

        return read_gradebook(args.gradebook, results)
    return read_marks(args.marks, results) if args.marks else {}


def all_files(grades: list, roster: Roster | None, found: Match, title: str, gradebook: bool) -> dict[str, bytes]:
    """By format, the content of its file."""
    certain = [(grade.submission, "" if grade.submission in found.doubted else grade.entered) for grade in grades]
    files = {platform.name: platform.new(certain, title, highest(grades)) for platform in (CANVAS, MOODLE)}
    if roster:
        files[roster.platform.name] = roster.filled_in(found.rows)
    return files | {"generic": generic(grades, roster, found, gradebook)}

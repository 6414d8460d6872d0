"""The command `rlhf-course grade`."""

import argparse
import contextlib
import functools
import json
import os
import re
import shutil
import sys
from pathlib import Path

from rlhf_core.course import exercise_names
from rlhf_core.errors import CourseError, UsageError

NAMED = 20  # submissions without points, in the summary


def grade(subparsers):
    parser = subparsers.add_parser(
        "grade",
        help="grade the submissions of a class: all checks, in a sandbox",
        description="Grade submissions with all checks, visible and hidden, each in a sandbox. A PATH is a submission (a "
        "notebook, a .py file, an archive) or a folder of them. Results go to DIR/<submission>/result.json; what is there is "
        "not graded again. Then: rlhf-course report DIR. Exit codes: 0 every submission has its result, 1 some could not be "
        "graded, 2 usage.",
        epilog="example: rlhf-course grade submissions/ --out results/ --official",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a submission, or a folder of submissions")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where results go")
    parser.add_argument("--official", action="store_true", help="for marks that count: only with real isolation (tier A or B)")
    parser.add_argument("--lesson", type=int, metavar="N", help="only the exercises of lesson N")
    parser.add_argument("--engine", default="local", metavar="ENGINE", help="local, dask (a cluster here), or dask:ADDRESS")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="at once; as many as there are cores"
    )
    parser.add_argument(
        "--shard", type=shard, metavar="I/N", help="only part I of N, for a job array; run each into the same DIR"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in DIR; without PATH, with its paths")
    parser.add_argument("--isolation", choices="ABC", help="force a tier of isolation; without it, the best there is")
    parser.add_argument(
        "--accept-c", action="store_true", help="with --official: accept tier C, which strangers' code can leave"
    )
    parser.add_argument("--seed", metavar="WORDS", help="the secret that all inputs follow from; without it, one of yours")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a line: each submission as it is ready, then the sum"
    )
    parser.set_defaults(execute=execute_grade)


def shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N with I from 1 to N, such as 2/8")
    return int(found[1]), int(found[2])


def execute_grade(args) -> int:
    from .intake import submissions
    from .journal import Journal
    from .limits import Limits
    from .run import Run, in_shard, settings_for
    from .sandbox import stage

    if args.jobs < 1:
        raise UsageError(f"--jobs {args.jobs}: at least one is needed")
    if not exercise_names(args.lesson):
        raise UsageError(f"lesson {args.lesson} has no exercises to grade; lessons 1 to 9 have")
    if not args.paths and not args.resume:
        raise UsageError(
            "name the submissions to grade, or a folder of them; with --resume those of the run in --out are taken"
        )
    apart_from(args.out, args.paths)
    entries = submissions(args.paths) if args.paths else None
    journal = Journal(args.out)
    entries = submissions(journal.paths()) if entries is None else entries
    lesson = journal.keep_scope(args.paths, args.lesson, args.resume)
    entries = [entry for entry in entries if args.shard is None or in_shard(entry, args.shard)]
    tier = tier_for(args.isolation, args.official, args.accept_c)
    part = "all" if args.shard is None else f"{args.shard[0]}-of-{args.shard[1]}"
    with journal.locked(part):
        place = journal.make_stage()
        try:
            secret, limits = journal.secret(args.seed), Limits.of_the_course()
            settings = settings_for(tier, secret, exercise_names(lesson), limits, str(stage(place)))
            print(f"grading {len(entries)} submissions at tier {tier}, {args.jobs} at a time", file=sys.stderr, flush=True)
            results = Run(journal, settings).results(entries, engine(args.engine, settings, args.jobs))
            code = tell(results, len(entries), args)
            if args.shard is None and not args.json and (rest := journal.others({entry.folder for entry in entries})):
                print(f"There, too, of submissions that are not among these: {', '.join(rest[:10])}. To leave them out of the")
                print("report, delete their folders.")
            return code
        except OSError as error:
            raise CourseError(
                f"the run stopped ({error}): mend that, and go on with --resume; nothing graded is lost"
            ) from error
        finally:
            shutil.rmtree(place, ignore_errors=True)


def apart_from(out: Path, paths):
    """Raises UsageError where results would lie among submissions."""
    for path in paths:
        if out.resolve() == path.resolve() or path.resolve() in out.resolve().parents:
            raise UsageError(f"--out {str(out)!r} lies in {str(path)!r}, among the submissions: name another folder")


def tier_for(forced: str | None, official: bool, accept_c: bool) -> str:
    """The tier to grade at. Raises CourseError where this machine does not give it, or where it is too weak for marks."""
    from .tiers import TIERS, best, probe

    if forced is None:
        tier, found = best()
    else:
        tier, found = forced, {forced: probe(forced)}
        if found[forced] is not None:
            raise CourseError(f"tier {forced} ({TIERS[forced]}) cannot be had here: {found[forced]}")
    if official and tier == "C" and not accept_c:
        why = "; ".join(f"{tier}: {reason}" for tier, reason in found.items() if reason)
        raise CourseError(
            "tier C does not hold back code that means harm, so that --official refuses it"
            + (f" ({why})" if why else "")
            + ": mend that (rlhf-course doctor says how), or add --accept-c"
        )
    return tier


def engine(name: str, settings, jobs):
    """A function from tasks to results. Raises UsageError for an engine that there is not."""
    if name == "local":
        from .local import results

        return functools.partial(results, settings=settings, jobs=jobs)
    kind, _, address = name.partition(":")
    if kind == "dask":
        from .cluster import results

        return functools.partial(results, settings=settings, jobs=jobs, address=address or None)
    raise UsageError(f"there is no engine {name!r}: local, dask, or dask:ADDRESS such as dask:tls://scheduler:8786")


def tell(results, total, args) -> int:
    """Print each result as it is ready, and the sum; the exit code."""
    from tqdm import tqdm

    from .results import STANDINGS, standing

    counts = dict.fromkeys(STANDINGS, 0)
    known, odd = 0, []
    with contextlib.closing(results), tqdm(total=total, desc="grading", disable=args.json or not sys.stderr.isatty()) as bar:
        for result, was_there in results:
            counts[standing(result)] += 1
            known += was_there
            bar.update()
            if standing(result) != "graded":
                odd.append(result)
            if args.json:
                row = {name: result[name] for name in ("submission", "state", "reason", "points", "max_points", "wall_s")}
                print(json.dumps(row | {"known": was_there}), flush=True)
    if args.json:
        print(json.dumps({"submissions": total} | counts | {"known": known, "out": str(args.out)}), flush=True)
    else:
        print(summary(counts, known, odd, args.out))
    return 1 if counts["not_graded"] else 0


def summary(counts, known, odd, out) -> str:
    """counts: by standing.  odd: the results without points."""
    from autograder.show import safe

    from .results import STANDINGS, in_words, standing

    lines = [f"{in_words(counts)}."]
    if known:
        lines.append(f"Known already, and not graded again: {known}.")
    odd = sorted(odd, key=lambda result: STANDINGS.index(standing(result)))
    for result in odd[:NAMED]:
        lines.append(f"  {standing(result).replace('_', ' ')}: {safe(result['submission'])}: {safe(str(result['reason']))}")
    if odd[NAMED:]:
        lines.append(f"  and {len(odd) - NAMED} more: the report names them all")
    if counts["not_graded"]:
        lines.append("Grade again with --resume when that is mended: what has its result is not graded twice.")
    lines.append(f"Feedback and the report of the class: rlhf-course report {out}")
    return "\n".join(lines)

"""The page for the one who teaches: how the points are distributed, which mistakes are common, what needs a look."""

from rlhf_core.course import course, questions

from .page import link, render
from .results import standing
from .similar import Pair

PAIRS_SHOWN = 50
MISTAKES_SHOWN = 5  # of an exercise


def class_page(summary: dict, results: list[dict], folders: dict[str, str], pairs: list[Pair], sources) -> bytes:
    """Returns a page of HTML.

    summary: `summary.summary`.  results: `summary.brief` ones.  folders: by submission, the name of its folder.
    sources: a function from submission and exercise to the source of the answer.
    """
    shown = summary["exercises"]
    lessons = [(lesson, [name for name in lesson["exercises"] if name in shown]) for lesson in course()["lessons"]]
    return render(
        "class.html.j2",
        summary=summary,
        results=results,
        lessons=[(lesson, names) for lesson, names in lessons if names],
        questions=to_be_marked(results),
        links={name: link(folder, "feedback.html") for name, folder in folders.items()},
        pairs=pairs[:PAIRS_SHOWN],
        left_off=len(pairs[PAIRS_SHOWN:]),
        source=sources,
        bars=bars(summary["histogram"]),
        standing=standing,
        mistakes_shown=MISTAKES_SHOWN,
    )


def to_be_marked(results) -> dict[str, dict]:
    """By written question: the lesson, the points, the submissions with an answer to it, and how many have none."""
    found = {}
    for name, lesson in questions().items():
        answers = [(result, result.get("questions", {}).get(name)) for result in results if result["state"] != "refused"]
        waiting = [result["submission"] for result, question in answers if question and question["state"] != "missing"]
        missing = sum(question is not None and question["state"] == "missing" for _, question in answers)
        if waiting or missing:
            points = lesson["questions"][name]
            found[name] = {"lesson": lesson["number"], "max_points": points, "waiting": waiting, "missing": missing}
    return found


WIDTH, HEIGHT, BELOW, ABOVE = 640, 160, 22, 18  # of the histogram, in its own units


def bars(histogram: list[dict]) -> list[dict]:
    """The bars of the histogram with their place: x, y, width, height."""
    tallest = max((bar["count"] for bar in histogram), default=0) or 1
    width = WIDTH / max(len(histogram), 1)
    placed = []
    for number, bar in enumerate(histogram):
        height = HEIGHT * bar["count"] / tallest
        place = {"x": round(number * width + 2, 1), "y": round(ABOVE + HEIGHT - height, 1)}
        placed.append(bar | place | {"width": round(width - 4, 1), "height": round(height, 1)})
    return placed

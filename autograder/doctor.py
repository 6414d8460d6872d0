"""The command `rlhf-course doctor`: what is here, what is missing, and what to do about each."""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass

NEEDED = ("torch", "transformers", "datasets", "matplotlib", "scikit-learn", "pytest")
OPTIONAL = {  # what for, and the extra that brings it
    "ipywidgets": ("sliders and buttons in the lessons", "notebook"),
    "trl": ("lesson 9", "notebook"),
    "jupyterlab": ("opening the lessons here", "lab"),
    "nbgrader": ("its gradebook", "test"),
    "distributed": ("grading on a Dask cluster", "cluster"),
}
FREE_GIB = 2  # for a run of the preset gpt2-imdb
SECONDS = 3  # to wait for the hub


@dataclass
class Found:
    what: str
    ok: bool
    state: str
    advice: str = ""


def doctor(subparsers):
    parser = subparsers.add_parser(
        "doctor",
        help="what is installed, how well submissions can be isolated, GPU, hub, disk",
        description="Look at this machine: versions, isolation for grading, GPU, model hub, disk; and what to do about each. "
        "Exit codes: 0 everything that is needed is here, 1 something is missing, 2 usage.",
        epilog="example: rlhf-course doctor",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(execute=execute_doctor)


def execute_doctor(args) -> int:
    from .grading.tiers import TIERS, probe

    isolation = {tier: probe(tier) for tier in TIERS}
    found = [python(), *map(package, NEEDED), *map(option, OPTIONAL), gpu(), hub(), disk()]
    best = next((tier for tier, why in isolation.items() if why is None), None)
    ok = all(each.ok for each in found if each.what in ("Python", *NEEDED))
    if args.json:
        tiers = {tier: {"given": why is None, "reason": why, "what": TIERS[tier]} for tier, why in isolation.items()}
        print(json.dumps({"ok": ok, "isolation": best, "tiers": tiers, "found": [asdict(each) for each in found]}))
    else:
        for each in found:
            print(f"{'✓' if each.ok else '·'} {each.what}: {each.state}" + (f". {each.advice}" if each.advice else ""))
        print("\nIsolation of submissions, for `rlhf-course grade`:")
        for tier, why in isolation.items():
            print(f"{'✓' if why is None else '·'} tier {tier} ({TIERS[tier]}): {why or 'this machine gives it'}")
        official = best in ("A", "B")
        print(f"  grading takes tier {best}" + ("" if official else "; --official refuses it, as it does not hold back harm"))
    return 0 if ok else 1


def python() -> Found:
    version = platform.python_version()
    ok = (3, 10) <= sys.version_info[:2] < (3, 14)
    return Found("Python", ok, f"{version} on {platform.system()} {platform.machine()}", "" if ok else "3.10 to 3.13 is needed")


def package(name) -> Found:
    try:
        return Found(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Found(name, False, "not installed", "pip install --constraint constraints.txt --editable .")


def option(name) -> Found:
    purpose, extra = OPTIONAL[name]
    found = package(name)
    found.advice = "" if found.ok else f"Only for {purpose}: pip install --constraint constraints.txt --editable '.[{extra}]'"
    return found


def gpu() -> Found:
    if importlib.util.find_spec("torch") is None:
        return Found("GPU", False, "unknown without torch")
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Found("GPU", True, f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        return Found("GPU", True, "Apple, by MPS")
    return Found("GPU", False, "none", "Not needed: the lessons and the preset tiny run without; gpt2-imdb wants one")


def hub() -> Found:
    import urllib.request

    from huggingface_hub import constants

    try:
        urllib.request.urlopen(constants.ENDPOINT, timeout=SECONDS).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Found(
            "model hub", False, f"not reached ({reason})", "Not needed: models and reviews for the lessons are embedded"
        )
    return Found("model hub", True, "reached")


def disk() -> Found:
    free = shutil.disk_usage(os.getcwd()).free / 2**30
    advice = "" if free >= FREE_GIB else f"A run of gpt2-imdb wants {FREE_GIB} GiB: free some, or choose another --out"
    return Found("disk", free >= FREE_GIB, f"{free:.0f} GiB free here", advice)

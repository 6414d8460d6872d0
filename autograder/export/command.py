"""The command `rlhf-course export`: a platform each."""

import argparse

from . import actions, gradebook, gradescope, nbgrader


def export(subparsers):
    parser = subparsers.add_parser(
        "export",
        help="what nbgrader, Gradescope, GitHub Actions, Canvas and Moodle take",
        description="Write what the platform of an instructor takes. Each has its own --help.",
        epilog="example: rlhf-course export csv results/",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    platforms = parser.add_subparsers(title="platforms", metavar="PLATFORM", required=True)
    for platform in (nbgrader, gradescope, actions, gradebook):
        platform.add(platforms)

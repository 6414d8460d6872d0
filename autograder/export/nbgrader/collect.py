"""Collecting without links: nbgrader's own copies whatever file of the instructor's a student's link leads to."""

import contextlib
from pathlib import Path

from nbgrader.exchange.default import ExchangeCollect


class Collect(ExchangeCollect):
    def do_copy(self, src, dest, log=None):
        """`nbgrader submit` makes no links: a submission with one was made by hand, and is not collected."""
        links = [path for path in (Path(src), *Path(src).rglob("*")) if path.is_symlink()]
        if not links:
            return super().do_copy(src, dest, log)
        self.log.error("not collected: %s is a symbolic link", links[0])
        with contextlib.suppress(OSError):  # the student's folder, made for this submission; not empty where there are others
            Path(dest).parent.rmdir()

"""Pages that need nothing from outside, run nothing, and show whatever a student wrote as text."""

import base64
import hashlib
import re
from pathlib import Path
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from autograder.result import points
from autograder.show import MARKS, WORDS, safe

TEMPLATES = Path(__file__).parent / "templates"
STYLE = (TEMPLATES / "style.css").read_text(encoding="utf-8")


def render(template: str, **values) -> bytes:
    """A page as UTF-8. The policy of the page allows the one style sheet in it and nothing else."""
    style = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'"
    return environment().get_template(template).render(style=Markup(STYLE), policy=policy, **values).encode("utf-8")


def environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
        autoescape=True, finalize=visible,
    )  # fmt: skip
    made.globals |= {"words": WORDS, "marks": MARKS}
    made.filters |= {"points": points, "code": code}
    return made


def visible(value):
    """Every text that a template shows goes through here: control and direction-changing characters are spelled out."""
    return safe(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def code(text: str) -> Markup:
    """The text with what stands between backticks as code."""
    parts = re.split(r"`([^`\n]+)`", safe(text))
    return Markup("").join(Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts))


def link(*names: str) -> str:
    """A relative address of a file: whatever its name holds, it leads nowhere else."""
    return "./" + "/".join(quote(name.encode("utf-8", "surrogateescape"), safe="") for name in names)

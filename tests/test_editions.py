"""The editions: no answer in the one for students, which works alone; and branches, badges, folders.

What is looked for is answers, oracles, known mistakes, valid variants and hidden checks: in every file, cell, metadata, output,
attachment and archive of the student edition, and in every object that its branch reaches; by the text of their lines, by the
shape of their code, and by what the code of the edition earns when it is handed in. What is planted there is found.
"""

import ast
import base64
import binascii
import builtins
import contextlib
import fcntl
import functools
import hashlib
import inspect
import io
import itertools
import json
import os
import random
import re
import subprocess
import sys
import sysconfig
import tarfile
import textwrap
import warnings
import zipfile
from pathlib import Path

import pytest
import torch

from autograder import oracles, recorded
from autograder.bank import wrong_answers
from autograder.driver.likeness import DEFINITIONS, imported, normal_form
from autograder.engine import run_exercise
from rlhf_core.cli import main
from rlhf_core.course import course, exercise_names, notebook_name
from rlhf_core.errors import CourseError
from rlhf_core.source import is_stub
from solutions.build import answer_of
from solutions.publish import branches, editions, folders, records
from solutions.publish.command import released
from solutions.publish.editions import File

from .test_pipeline import SHORT

ROOT = Path(__file__).parent.parent
REPOSITORY = "some-one/a.course"
SECRET = ("solutions/answers", "autograder/oracles", "autograder/wrong", "autograder/right", "autograder/hidden")


# Everything that can be read in an edition


def pieces(name: str, content: bytes):
    """(where, text) of everything in a file: as it stands, in a notebook each string, in an archive each member, unpacked."""
    if zipfile.is_zipfile(io.BytesIO(content)) and content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                yield f"{name}!", member.filename
                yield from pieces(f"{name}!{member.filename}", archive.read(member))
        return
    with contextlib.suppress(tarfile.TarError, EOFError, OSError):
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in filter(tarfile.TarInfo.isfile, archive):
                yield from pieces(f"{name}!{member.name}", archive.extractfile(member).read())
        return
    text = content.decode("utf-8", "replace")
    yield name, text
    if name.endswith((".ipynb", ".json")):
        yield from strings(name, json.loads(text))


def strings(where: str, value):
    """Every string in nested data, and what is in it where it is base64."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = "".join(value)
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield where, str(key)
            yield from strings(f"{where}/{key}", item)
    elif isinstance(value, str):
        yield where, value
        for packed in re.findall(r"[A-Za-z0-9+/\n]{200,}={0,2}", value):
            with contextlib.suppress(binascii.Error):
                yield from pieces(f"{where}/base64", base64.b64decode(packed))


def everything(files: dict[str, File]):
    for name, file in files.items():
        yield name, name
        yield from pieces(name, file.content)


# What must not be there: by its text


def sources():
    return [path for folder in SECRET for path in sorted((ROOT / folder).glob("*.py"))]


def code_lines(path) -> set[str]:
    """The lines of code of a file that say something: long ones, without comments, docstrings, imports and signatures."""
    source = path.read_text(encoding="utf-8")
    skipped = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            skipped.update(range(node.lineno, node.end_lineno + 1))
        if isinstance(node, DEFINITIONS):
            first = min(mark.lineno for mark in (node, *node.decorator_list))
            skipped.update(range(first, node.body[0].lineno))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.update(range(node.lineno, node.end_lineno + 1))
    lines = (bare(line) for n, line in enumerate(source.split("\n"), 1) if n not in skipped and line.strip()[:1] != "#")
    return {line for line in lines if len(line) >= 45 and not re.fullmatch(r"[\w\", ]+", line)}


def bare(line: str) -> str:
    """Without what stands around a line of code when it is commented, quoted or cited."""
    return line.partition("  # ")[0].strip(" \t#>\"',")


# Lines of answers, mistakes or variants that say nothing: they use what everybody is given.
HARMLESS = {
    "model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator",
    "input_ids, attention_mask = join(prompt_ids, prompt_mask, tokens, mask)",
    "controller = AdaptiveKLController(config.init_kl_coef, config.target_kl, config.kl_horizon)",
    "decoder = Decoder(model, prompt_ids, attention_mask, max_new_tokens)",
    "torch.nn.utils.clip_grad_norm_(policy.parameters(), config.max_grad_norm)",
    "return torch.ones_like(tokens, dtype=torch.bool)",  # of the recipe whose bugs are hunted in lesson 8
}


@functools.cache
def secret_lines() -> dict[str, str]:
    """Line -> where it stands."""
    visible = [path.read_text(encoding="utf-8") for path in (ROOT / "autograder/visible").glob("test_*.py")]
    found = {line: path.relative_to(ROOT).as_posix() for path in sources() for line in code_lines(path)}
    shared = {line for line, place in found.items() if "/hidden/" in place and any(line in text for text in visible)}
    checks = {name for path in (ROOT / "autograder/hidden").glob("*.py") for name in re.findall(r"test_\w+", path.read_text())}
    names = {name for name in checks if len(name) > 12 and not any(name in text for text in visible)}
    found = {line: place for line, place in found.items() if line not in HARMLESS | shared}
    return found | dict.fromkeys(names, "the name of a hidden check") | {"### BEGIN SOLUTION": "a marker"}


def by_text(found):
    """(where, line) of secret lines in what `everything` yields."""
    secret = secret_lines()
    for where, text in found:
        for line in re.split(r"[\n\r\0]|\\n", text):
            for part in (line, *re.split(r"[\"'`(: ]", line)):
                if bare(part) in secret:
                    yield where, bare(part)


# What must not be there: by the shape of its code

MODULES = {"torch": "torch", "F": "torch.nn.functional", "math": "math", "np": "numpy", "nn": "torch.nn"}
SMALLEST = 40  # characters of code that says something
# Shapes of mistakes that the lessons and the machinery may show.
SHOWN = {
    "autograder/wrong/bradley_terry_loss.py: unstable_log",  # lesson 3 shows how it overflows
    "autograder/wrong/bradley_terry_loss.py: clipped_probability",
    "autograder/wrong/response_mask.py: keeps_everything_after",  # in the recipe of lesson 8; a mask of ones in lesson 5
    "autograder/wrong/kl_exact.py: _",  # p log(p / q) of log-probabilities, in the bug hunt
    "autograder/wrong/ppo_step.py: fixed_seed",  # calls of something else, with many arguments
    "autograder/wrong/sample_response.py: temperature_forgotten",
}


def trees(found):
    """(where, tree) of all Python in what `everything` yields: whole texts, and what stands in texts and docstrings."""
    for where, text in found:
        if len(text) >= SMALLEST and "(" in text:
            yield from ((where, tree) for tree in trees_in(text, where.endswith(".py") or where.count("/") > 1))


def trees_in(text: str, code: bool):
    """The text as Python, and that in its strings, where it is Python; else each definition and each piece of code in it."""
    tree = parsed(text) if code else None
    if tree is not None:
        yield tree
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value:
                yield from trees_in(node.value, code=False)
        return
    inline = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]{20,})`", text)
    yield from filter(None, map(parsed, dict.fromkeys(inline + definitions_in(text))))


def definitions_in(text: str) -> list[str]:
    """What begins like a definition or a return, to where the indentation ends."""
    lines, found = text.split("\n"), []
    for number, line in enumerate(lines):
        begins = re.match(r"([ \t]*)(def|class|return) ", line)
        if begins:
            inside = itertools.takewhile(lambda x: not x.strip() or re.match(begins[1] + r"[ \t]", x), lines[number + 1 :])  # noqa: B023
            found.append("\n".join([line, *inside]))
    return found


def parsed(text: str):
    with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(textwrap.dedent(text))


def shapes(tree):
    """The shape of each definition, of the whole, and of each long expression."""
    imports = MODULES | imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, (*DEFINITIONS, ast.Module)) and node.body and not is_stub(node):
            with contextlib.suppress(SyntaxError):  # a lone `return`
                yield shape(node.body, imports)
        elif isinstance(node, ast.Call | ast.BinOp | ast.UnaryOp | ast.Compare | ast.Subscript):
            with contextlib.suppress(SyntaxError):  # a slice of a target
                yield shape([ast.Return(node)], imports)


def shape(body, imports) -> str:
    """The normal form of statements as the body of a function of the names that they read, in this order."""
    written = ast.unparse(ast.fix_missing_locations(ast.Module(body, [])))
    if len(written) < SMALLEST:
        return ""
    function = ast.parse("def f(): pass").body[0]
    function.body = ast.parse(written).body
    names = [node.id for node in ast.walk(function) if isinstance(node, ast.Name)]
    free = [name for name in dict.fromkeys(names) if name not in imports and not hasattr(builtins, name)]
    function.args.args = [ast.arg(name) for name in free]
    if isinstance(function.body[-1], ast.Expr):
        function.body[-1] = ast.Return(function.body[-1].value)
    return normal_form([ast.fix_missing_locations(function)], imports).partition("\n")[2]


@functools.cache
def secret_shapes() -> dict[str, str]:
    """Shape -> whose: of everything in answers, oracles and variants, and of each form of a mistake."""
    found = {}
    for path in sources():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports, place = MODULES | imported(tree), path.relative_to(ROOT).as_posix()
        for node in ast.walk(tree):
            if not isinstance(node, DEFINITIONS) or is_stub(node) or "/hidden/" in place:
                continue
            if "/wrong/" in place and not node.decorator_list:
                continue  # a helper
            form = shape(node.body, imports)
            if len(form) >= SMALLEST and f"{place}: {node.name}" not in SHOWN:
                found[form] = f"{place}: {node.name}"
    return found


def by_shape(found):
    """(where, whose) of code with the shape of an answer, an oracle, a variant or a mistake."""
    secret = secret_shapes()
    for where, tree in trees(found):
        for form in shapes(tree):
            if form in secret:
                yield where, secret[form]


# The editions that are looked at


@pytest.fixture(scope="module")
def student() -> dict[str, File]:
    """The files of the student edition. Two processes of a test run make its records once."""
    records.CACHE.mkdir(exist_ok=True)
    with open(records.CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return editions.student(REPOSITORY)


@pytest.fixture(scope="module")
def solutions_edition() -> dict[str, File]:
    return editions.solutions(REPOSITORY)


def install(folder: Path, site: Path):
    """Build the wheel of an edition and install it, alone, into a folder."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(site), str(folder)], check=True)
    (wheel,) = site.glob("*.whl")
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)], check=True)
    return wheel


@pytest.fixture(scope="module")
def site(student, tmp_path_factory) -> Path:
    """Where the student edition is installed; beside it the folder and the wheel."""
    below = tmp_path_factory.mktemp("editions")
    folders.write_folder(student, below / "student")
    install(below / "student", below / "site")
    return below / "site"


def alone(site: Path, *words, folder: Path, **more):
    """Run Python where the course is that of `site` and nothing of this repository can be imported."""
    packages = sysconfig.get_path("purelib")  # its .pth files, which lead here, are not read from PYTHONPATH
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment |= {"PYTHONPATH": f"{site}{os.pathsep}{packages}", "RLHF_COURSE_ANSWERS": os.devnull}
    environment |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"} | more
    command = [getattr(sys, "_base_executable", sys.executable), *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)


# What runs in the edition alone: the source of these functions is handed to its Python.


def hand_in_everything(lessons: str):
    """Print what each function and class of the edition earns, handed in as the answer to each exercise, where it earns more
    than a stub: [exercise, where it stands, share of the weights]."""
    import ast
    import contextlib
    import importlib
    import inspect
    import json
    import pkgutil
    import re
    import warnings
    from pathlib import Path

    import torch

    import autograder
    import rlhf_core
    from autograder.answer import Answer
    from autograder.driver.call import observe
    from autograder.engine import checks_of
    from rlhf_core.exercise import Exercise, exercises

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")

    def of_modules():
        for package in (rlhf_core, autograder):
            for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
                module = importlib.import_module(info.name)
                for name, thing in vars(module).items():
                    if getattr(thing, "__module__", None) == info.name:
                        yield f"{info.name}.{name}", thing
                        yield from ((f"{info.name}.{name}.{n}", f) for n, f in vars(thing).items() if inspect.isclass(thing))

    def of_lessons():
        for path in sorted(Path(lessons).glob("*.ipynb")):
            around = {}
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
                text = "".join(cell["source"])
                for block in [text] if cell["cell_type"] == "code" else re.findall(r"```python\n(.*?)```", text, re.DOTALL):
                    with contextlib.suppress(SyntaxError):
                        yield from definitions(ast.parse(block), path.name, around)

    def definitions(tree, file, around):
        for statement in tree.body:
            a_definition = isinstance(statement, ast.FunctionDef | ast.ClassDef)
            if a_definition:
                statement.decorator_list = [m for m in statement.decorator_list if "implement" not in ast.unparse(m)]
            if a_definition or isinstance(statement, ast.Import | ast.ImportFrom | ast.Assign):
                code = compile(ast.Module([statement], []), file, "exec")
                observe(lambda code=code: exec(code, around), {}, 2.0)
            if a_definition and statement.name in around:
                yield f"{file}: {statement.name}", around[statement.name]

    def takes(thing, n):
        try:
            inspect.signature(thing).bind(*range(n))
        except (TypeError, ValueError):
            return False
        return True

    def share(name, implementation):
        checks = checks_of(name)
        earned = 0
        for check in checks:
            answer = Answer(name, implementation, seconds=0.5)
            with contextlib.suppress(Exception):
                check.ask(answer)
                earned += 0 if answer.findings else check.weight
        return earned / sum(check.weight for check in checks)

    def by_place(thing):
        return thing if inspect.isclass(thing) else lambda *args, **kwargs: thing(*args, *kwargs.values())

    everything = [*of_modules(), *of_lessons()]
    candidates = [pair for pair in everything if inspect.isfunction(pair[1]) or inspect.isclass(pair[1])]
    candidates = [pair for pair in candidates if not isinstance(pair[1], Exercise)]
    stubs = [lambda *args, **kwargs: 0, lambda *args, **kwargs: None, lambda *args, **kwargs: (*args, *kwargs.values())[0]]
    found, tried = [], 0
    for name, declared in exercises().items():
        a_class = declared.kind == "class"
        least = 0 if a_class else max(share(name, stub) for stub in stubs)
        for where, thing in candidates:
            if inspect.isclass(thing) == a_class and takes(thing, len(declared.signature.parameters)):
                tried += 1
                earned = share(name, by_place(thing))
                if earned > least:
                    found.append([name, where, earned])
    print(json.dumps({"candidates": len(candidates), "tried": tried, "found": found}))


def judge_mistakes(right: str, wrong: str, drawn: list):
    """Print the verdicts, the points and the diagnosis of the first form of each mistake, [exercise, mistake] in `drawn`; the
    answers in the folder `right` are those that the learner has written besides."""
    import importlib.util
    import json
    import sys
    import types
    from pathlib import Path

    import torch

    from autograder.bank import wrong_answers
    from autograder.driver.loading import read_submission
    from autograder.engine import run_exercise
    from rlhf_core.exercise import exercises

    torch.set_num_threads(1)
    for name in exercises():
        assert wrong_answers(name), name  # those of the edition, before the bank of the repository can be seen
    for name, implementation in read_submission(right).implementations.items():
        exercises()[name].mine = implementation
    sys.modules["autograder.wrong"] = types.ModuleType("autograder.wrong")
    told = []
    for name, mistake in drawn:
        spec = importlib.util.spec_from_file_location(f"autograder.wrong.{name}", Path(wrong, f"{name}.py"))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        form = next(thing for thing in vars(module).values() if getattr(thing, "name", None) == mistake).forms[0]
        result = run_exercise(name, form)
        called = result.diagnosis and result.diagnosis.name
        told.append([[check.status for check in result.checks], round(result.points, 6), called])
    print(json.dumps(told))


def script(function, *arguments) -> str:
    return f"{inspect.getsource(function)}\n\n{function.__name__}(*{list(arguments)!r})"


# No answer is in the student edition


def test_a_record_holds_numbers_as_they_are(tmp_path):
    """What float32 has no room for stays finite: an answer that ends in nan_to_num gives it."""
    data = {"a": (torch.tensor([1.5, -1.7976931348623157e308], dtype=torch.float64), [torch.tensor(float("-inf"))])}
    data |= {"b": torch.tensor([True, False]), "c": torch.arange(3), "d": torch.zeros(0, 2)}
    recorded.save(tmp_path / "x.npz", data)
    found = recorded.load(tmp_path / "x.npz")
    torch.testing.assert_close([found["a"][0], *found["a"][1]], [data["a"][0], *data["a"][1]], rtol=0, atol=0)
    for name in "bcd":
        torch.testing.assert_close(found[name], data[name], rtol=0, atol=0)


def test_no_text_of_an_answer(student):
    assert list(by_text(everything(student))) == []


def test_no_code_of_an_answer(student):
    assert list(by_shape(everything(student))) == []


def test_no_answer_in_the_wheel(site):
    (wheel,) = site.glob("*.whl")
    found = list(everything({wheel.name: File(wheel.read_bytes())}))
    assert any("/rlhf_core/loop.py" in where or "!rlhf_core/loop.py" in where for where, _ in found)
    assert list(by_text(found)) == [] and list(by_shape(found)) == []


def test_only_what_students_get(student):
    roots = {name.partition("/")[0] for name in student}
    assert roots == {
        "CITATION.cff", "LICENSE", "README.md", "autograder", "constraints.txt", "course.toml", "docs", "environment.yml",
        "lessons", "pyproject.toml", "rlhf_core",
    }  # fmt: skip
    below = {name.split("/")[1] for name in student if name.startswith("autograder/")}
    assert not below & {"hidden", "wrong", "right", "grading", "export", "matrix.py", "example_answers.py", "doctor.py"}
    for name in student:
        assert not name.startswith("autograder/oracles/") or name == "autograder/oracles/__init__.py"
    shipped = sum(len(file.content) for name, file in student.items() if name.startswith("autograder/record/"))
    assert 100_000 < shipped < 6 * 2**20


def test_its_pages_name_no_file_that_it_lacks(student):
    parents = {parent.as_posix() for name in editions.tracked() for parent in Path(name).parents} - {"."}
    missing = {*editions.tracked(), *parents} - {*student} - {p.as_posix() for name in student for p in Path(name).parents}
    named = set()
    for page in (name for name in student if name.endswith(".md")):
        for path, left_out in re.findall(r"`([\w/.-]+?)/?`( \(not in this edition\))?", student[page].content.decode()):
            named.add(path)
            assert path not in missing or left_out, (page, path)
    assert {"rlhf_core", "solutions/pipeline"} <= named


def test_its_lessons_have_no_solutions(student):
    for lesson in course()["lessons"]:
        cells = json.loads(student[f"lessons/{notebook_name(lesson)}"].content)["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells)
        assert "<summary>The solution" not in text and "<summary>The mended" not in text and "BEGIN SOLUTION" not in text
        assert text.count("<summary>Hint") == 3 * len(lesson["exercises"])
        for name in lesson["exercises"]:
            assert f"@{name}.implement" in text and f'raise NotImplementedError("{name} is exercise' in text
        assert all(set(cell["metadata"]) <= {"nbgrader"} for cell in cells if lesson["number"])
        assert all(not cell.get("outputs") for cell in cells if lesson["number"])
    tour = json.loads(student["lessons/00_tour.ipynb"].content)
    assert "here to be read" in "".join(tour["cells"][0]["source"])
    assert any(cell.get("outputs") for cell in tour["cells"])
    assert "+ 0.5 * (after" not in json.dumps(tour)


# What earns points among all that is in it, and is meant to be there: (exercise, what): the share of the weights.
EARNS = {
    ("last_token_index", "03_preferences.ipynb: last_place"): 1 / 8,  # what goes wrong on one side of the padding
    ("last_token_index", "03_preferences.ipynb: count"): 1 / 8,
    ("AdaptiveKLController", "04_kl.ipynb: WithoutClip"): 2 / 9,  # lesson 4 compares the learner's controller with it
}


def earning(site, lessons, folder):
    done = alone(site, "-c", script(hand_in_everything, str(lessons)), folder=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["candidates"] > 400 and told["tried"] > 4_000
    return {(exercise, what): share for exercise, what, share in told["found"]}


def test_nothing_in_it_earns_more_than_a_stub(site, student, tmp_path):
    """Every function and class is handed in as the answer to every exercise; and so is one that was planted in a lesson."""
    planted = tmp_path / "lessons"
    planted.mkdir()
    for name, file in student.items():
        if name.startswith("lessons/"):
            (planted / Path(name).name).write_bytes(file.content)
    cell = "def rate(these, those):\n    return (these.gt(those) * 2.0 + these.eq(those)).sum() / (2 * those.numel())"
    notebook = json.loads((planted / "05_advantages.ipynb").read_text())
    notebook["cells"].append({"cell_type": "code", "source": cell, "metadata": {}, "outputs": [], "execution_count": None})
    (planted / "05_advantages.ipynb").write_text(json.dumps(notebook))
    found = earning(site, planted, tmp_path)
    assert found.pop(("win_rate", "05_advantages.ipynb: rate")) == 1
    assert found.pop(("pairwise_accuracy", "05_advantages.ipynb: rate")) == 1
    assert {key: pytest.approx(share) for key, share in found.items()} == {key: EARNS.get(key) for key in found}


# And what is planted is found

RENAMED = """
def helper(a, b, c, g, l):
    out = torch.zeros_like(b)
    after = gain = torch.zeros_like(b[:, 0])
    for i in reversed(range(b.shape[1])):
        step = a[:, i] + g * after - b[:, i]
        gain = torch.where(c[:, i], step + g * l * gain, torch.zeros_like(step))
        after = torch.where(c[:, i], b[:, i], torch.zeros_like(step))
        out[:, i] = gain
    return out, torch.where(c, out + b, torch.zeros_like(b))
"""


def notebook_with(**parts) -> File:
    cell = {"cell_type": "markdown", "source": "nothing", "metadata": {}} | parts
    return File(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode())


def packed(name: str, content: bytes) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return memory.getvalue()


def in_a_tar(name: str, content: bytes) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return memory.getvalue()


DOCSTRING = f'def f():\n    """Some words.\n{textwrap.indent(RENAMED, "    ")}\n    """\n'
PLANTED = {
    "renamed": {"rlhf_core/a.py": File(RENAMED.encode())},
    "in a class": {"rlhf_core/a.py": File(f"class A:\n{textwrap.indent(RENAMED, '    ')}".encode())},
    "in a docstring": {"rlhf_core/a.py": File(DOCSTRING.encode())},
    "in markdown": {"docs/a.md": File(f"words\n\n```python\n{RENAMED}```\n".encode())},
    "in metadata": {"lessons/a.ipynb": notebook_with(metadata={"nbgrader": {"points": 1, "comment": RENAMED}})},
    "in a hint": {"lessons/a.ipynb": notebook_with(source=["<details>\n", "\n", f"```python\n{RENAMED}```\n", "</details>"])},
    "in an attachment": {
        "lessons/a.ipynb": notebook_with(attachments={"a.png": {"image/png": base64.b64encode(RENAMED.encode()).decode()}})
    },
    "in an archive in an archive": {"data.npz": File(packed("a.tar.gz", in_a_tar("b/c.py", RENAMED.encode())))},
}


@pytest.mark.parametrize("files", PLANTED.values(), ids=PLANTED)
def test_a_planted_answer_is_found_by_its_shape(files):
    assert "solutions/answers/advantages.py: compute_gae" in [whose for _, whose in by_shape(everything(files))]


def test_a_planted_line_is_found_by_its_text():
    line = next(line for line, place in secret_lines().items() if place == "solutions/answers/advantages.py")
    for files in (
        {"a.md": File(f"> 1. see `{line}`\n> {line}\n".encode())},
        {"a.ipynb": notebook_with(metadata={"x": f"first\n    {line}  # so"})},
        {"a.zip": File(packed("b.zip", packed("c.txt", line.encode())))},
    ):
        assert line in [found for _, found in by_text(everything(files))], files
    assert list(by_text([("a.py", "def test_hidden_gae_ragged():"), ("a.py", "x = 1")])) == []
    hidden = next(name for name, place in secret_lines().items() if place == "the name of a hidden check")
    assert list(by_text([("a.json", f'{{"name": "{hidden}"}}')]))


# It works alone

DRAWS = "torch.multinomial(logits.softmax(-1), 1, generator=generator)"
DRAWS_OTHERWISE = "logits.shape[-1] - 1 - torch.multinomial(logits.softmax(-1).flip(-1), 1, generator=generator)"


def right_answers_in(folder: Path, otherwise=False) -> Path:
    """The reference answers as files. otherwise: with a sampler that draws other tokens than any that was recorded."""
    folder.mkdir()
    for path in (ROOT / "solutions/answers").glob("[a-z]*.py"):
        text = path.read_text(encoding="utf-8")
        assert path.name != "policy.py" or DRAWS in text
        (folder / path.name).write_text(text.replace(DRAWS, DRAWS_OTHERWISE) if otherwise else text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("otherwise", [False, True])
def test_right_answers_get_full_marks(site, tmp_path, otherwise):
    """Also where no table can know the tokens that are drawn: then the learner's own answers are compared with each other."""
    right_answers_in(tmp_path / "right", otherwise)
    done = alone(site, "-c", "import solutions", folder=tmp_path)
    assert "No module named 'solutions'" in done.stderr
    done = alone(site, "-m", "rlhf_core.cli", "check", "right", "--json", folder=tmp_path)
    told = json.loads(done.stdout)
    assert list(told["exercises"]) == exercise_names()
    assert {name: each["points"] for name, each in told["exercises"].items() if each["points"] != each["max_points"]} == {}
    assert done.returncode == 0


def test_it_has_the_commands_it_names(site, tmp_path):
    done = alone(site, "-m", "rlhf_core.cli", "--help", folder=tmp_path)
    assert done.returncode == 0 and re.findall(r"^    (\w+)  ", done.stdout, re.MULTILINE) == ["check"]


def test_released_lessons_have_their_answers_and_no_others(student, tmp_path):
    files = editions.student(REPOSITORY, lessons=[0, 1, 2], released=[1])
    chosen = [name for name in student if name.startswith(("lessons/00", "lessons/01", "lessons/02"))]
    assert [name for name in files if name.startswith("lessons/")] == chosen
    assert {name for name in files if name.startswith("solutions/")} == {
        "solutions/__init__.py", "solutions/answers/__init__.py", "solutions/answers/policy.py",
    }  # fmt: skip
    folded = {name: "The solution</summary>" in file.content.decode() for name, file in files.items() if name[:7] == "lessons"}
    assert list(folded.values()) == [False, True, False]
    others = {name: file for name, file in files.items() if not name.startswith(("solutions/", "lessons/01"))}
    assert list(by_text(everything(others))) == []
    folders.write_folder(files, tmp_path / "student")
    install(tmp_path / "student", tmp_path / "site")

    sampler = right_answers_in(tmp_path / "right", otherwise=True) / "policy.py"
    text = re.sub(r"(?ms)^def (gather_logprobs|response_logprobs|response_mask)\(.*?(?=^(?:def|@)|\Z)", "", sampler.read_text())
    assert text.count("def ") == 1
    (tmp_path / "mine.py").write_text(text)
    words = ("check", "mine.py", "--exercise", "sample_response", "--json")
    told = json.loads(alone(tmp_path / "site", "-m", "rlhf_core.cli", *words, folder=tmp_path).stdout)
    assert told["points"] == told["max_points"]  # response_logprobs is borrowed
    borrowed = alone(tmp_path / "site", "-c", BORROWS, folder=tmp_path)
    assert "tensor([[ True,  True, False]])" in borrowed.stdout, borrowed.stderr
    assert "The reference answer to win_rate is not part of this edition" in borrowed.stderr


def test_single_exercises_are_released():
    files = editions.student(REPOSITORY, lessons=[2, 4], released=[1, "kl_exact"])
    assert [name for name in files if name.startswith("solutions/answers/")] == [
        f"solutions/answers/{name}.py" for name in ("__init__", "kl", "policy")
    ]
    released = ast.parse(files["solutions/answers/kl.py"].content).body
    assert [node.name for node in released if isinstance(node, DEFINITIONS)] == ["kl_exact"]
    assert '__all__ = ["gather_logprobs", "kl_exact", ' in files["solutions/answers/__init__.py"].content.decode()
    first, second = (json.loads(files[f"lessons/{name}.ipynb"].content)["cells"] for name in ("02_reward", "04_kl"))
    folded = [cell for cell in second if "<summary>The solution" in "".join(cell["source"])]
    assert len(folded) == 1 and "@kl_exact.implement" in "".join(folded[0]["source"])
    borrows = [any("run where you have written none" in "".join(cell["source"]) for cell in cells) for cells in (first, second)]
    assert borrows == [False, True]
    others = {name: file for name, file in files.items() if not name.startswith("solutions/")}
    others["lessons/04_kl.ipynb"] = File(json.dumps([cell for cell in second if cell not in folded]).encode())
    assert list(by_text(everything(others))) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("1,kl_exat", "did you mean kl_exact?"),
        ("everything", "'everything' is no exercise"),
        ("1,12", "from 0 to 10"),
        ("1,", "''"),
    ],
)
def test_what_is_released_has_to_be_there(words, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["publish", "--release", words])
    assert stopped.value.code == 2 and said in capsys.readouterr().err


def half_a_day() -> tuple[list, dict[int, list[str]]]:
    """The plan of docs/workshop.md: what is released, and by lesson what attendees write."""
    page = (ROOT / "docs/workshop.md").read_text(encoding="utf-8")
    plan = page.partition("half a day (")[2].partition("\n## ")[0]
    written = {int(n): re.findall(r"`(\w+)`", names) for n, names in re.findall(r"\| lesson (\d+): ([^|]*`)", plan)}
    return released(re.search(r"--release (\S+)", plan)[1]), written


def run_lessons(folder: str):
    """Run the notebooks of a folder from top to bottom, and print what was raised: [file, first line of the cell, error]."""
    import json
    from pathlib import Path

    import nbformat
    from nbclient import NotebookClient

    raised = []
    for path in sorted(Path(folder).glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=600, allow_errors=True, resources={"metadata": {"path": folder}}).execute()
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                if output.output_type == "error":
                    raised.append([path.name, cell.source.partition("\n")[0], f"{output.ename}: {output.evalue}"])
    print(json.dumps(raised))


def attend(plan, folder: Path) -> list:
    """What is raised in the lessons of a workshop's plan, run where everybody writes what the plan says, and nothing else."""
    given, written = plan
    files = editions.student(REPOSITORY, lessons=written, released=given)
    for name in [name for name in files if name.startswith("lessons/")]:
        notebook = json.loads(files[name].content)
        for cell in notebook["cells"]:
            exercise = re.match(r"@(\w+)\.implement", "".join(cell["source"]))
            if exercise and exercise[1] in itertools.chain(*written.values()):
                cell["source"] = answer_of(exercise[1])
        files[name] = File(json.dumps(notebook).encode())
    folders.write_folder(files, folder / "student")
    install(folder / "student", folder / "site")
    runs = script(run_lessons, str(folder / "student/lessons"))
    done = alone(folder / "site", "-c", runs, folder=folder, RLHF_COURSE_ANSWERS=str(folder / "answers"))
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_half_day_of_the_workshop_runs(tmp_path):
    """Its lessons, with what attendees write and the release list of the page."""
    given, written = half_a_day()
    assert list(written) == [2, 4, 6] and all(written.values())
    assert attend((given, written), tmp_path) == []
    kept = "\n".join(path.read_text() for path in (tmp_path / "answers").rglob("*.py"))
    for name in itertools.chain(*written.values()):
        assert re.search(rf"^(def|class) {name}\b", kept, re.MULTILINE), f"{name} did not pass its checks"


def test_recording_says_how_long_it_takes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(records, "CACHE", tmp_path / "cache")
    first = records.records(["win_rate"])
    assert re.search(r"Recording what the checks compare with, 1 of 1: about .* minutes", capsys.readouterr().err)
    assert records.records(["win_rate"]) == first
    assert capsys.readouterr().err == ""


BORROWS = """
import rlhf_core, torch
from rlhf_core.evaluate import win_rate
from rlhf_core.policy import response_mask
rlhf_core.use("reference")
print(response_mask(torch.tensor([[1, 0, 0]]), 0))
win_rate(torch.ones(1), torch.ones(1))
"""


def test_what_compares_with_another_exercise_asks_for_it(site, tmp_path):
    """The sampler's log-probabilities are compared with the learner's own `response_logprobs`, where that is there."""
    policy = (right_answers_in(tmp_path / "right", otherwise=True) / "policy.py").read_text(encoding="utf-8")
    nodes = [node for node in ast.parse(policy).body if isinstance(node, ast.FunctionDef)]
    parts = {node.name: ast.get_source_segment(policy, node) for node in nodes}
    names = ("sample_response", "gather_logprobs", "response_mask")
    sampler = "\n\n\n".join([policy.partition("\n\n\n")[0], "@torch.no_grad()", *(parts[name] for name in names)])
    sampler = sampler.replace("@torch.no_grad()\n\n\n", "@torch.no_grad()\n")

    def checked(text):
        (tmp_path / "mine.py").write_text(text)
        words = ("check", "mine.py", "--exercise", "sample_response", "--json")
        done = alone(site, "-m", "rlhf_core.cli", *words, folder=tmp_path)
        return json.loads(done.stdout)["exercises"]["sample_response"]

    told = checked(sampler)
    failed = [check for check in told["checks"] if check["status"] != "passed"]
    assert [check["status"] for check in failed] == ["failed"], failed
    assert "This check compares with your response_logprobs: write that first (lesson 1)." in failed[0]["message"]
    told = checked(f"{sampler}\n\n{parts['response_logprobs']}\n")
    assert told["points"] == told["max_points"]


def test_mistakes_get_the_verdict_and_the_name_that_they_get_here(site, tmp_path):
    """One form of each of 40 mistakes: the same checks fail, the same points, the same diagnosis."""
    known = [(name, mistake.name) for name in exercise_names() for mistake in wrong_answers(name)]
    drawn = random.Random(3).sample(known, 40)
    right = right_answers_in(tmp_path / "right")
    done = alone(site, "-c", script(judge_mistakes, str(right), str(ROOT / "autograder/wrong"), drawn), folder=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    there = json.loads(done.stdout.splitlines()[-1])
    for (name, mistake), told in zip(drawn, there, strict=True):
        form = next(known.forms[0] for known in wrong_answers(name) if known.name == mistake)
        result = run_exercise(name, form)
        called = result.diagnosis and result.diagnosis.name
        assert [[check.status for check in result.checks], round(result.points, 6), called] == told, (name, mistake)


def test_the_stand_in_knows_every_oracle(site, tmp_path):
    names = f"from autograder import oracles; [getattr(oracles, name) for name in {oracles.__all__}]"
    done = alone(site, "-c", names, folder=tmp_path)
    assert done.returncode == 0, done.stderr


# Badges, folders, archives, branches


@pytest.mark.parametrize("branch", ["student", "solutions"])
def test_badges_and_first_cells_lead_to_the_edition(student, solutions_edition, branch):
    files = student if branch == "student" else solutions_edition
    assert f'repository = "{REPOSITORY}"\nbranch = "{branch}"' in files["course.toml"].content.decode()
    for lesson in course()["lessons"]:
        name = notebook_name(lesson)
        for path in [f"lessons/{name}"] + [f"solutions/notebooks/{name}"] * (branch == "solutions"):
            first, second = ("".join(cell["source"]) for cell in json.loads(files[path].content)["cells"][:2])
            assert f"https://colab.research.google.com/github/{REPOSITORY}/blob/{branch}/lessons/{name}" in first
            assert f'"--branch", "{branch}", "https://github.com/{REPOSITORY}"' in second
            assert f"begin({lesson['number']})" in second


def blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with a commit and a changed file, in which the command is run."""
    folder = tmp_path / "repository"
    folder.mkdir()
    for name, value in (("AUTHOR", "A"), ("COMMITTER", "A")):
        monkeypatch.setenv(f"GIT_{name}_NAME", value)
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@b")
    branches.git(folder, "init", "--quiet", "--initial-branch", "main")
    (folder / "answers.py").write_text("the secret of main")
    branches.git(folder, "add", ".")
    branches.git(folder, "commit", "--quiet", "-m", "main")
    (folder / "answers.py").write_text("changed")
    (folder / "new.txt").write_text("not added")
    monkeypatch.chdir(folder)
    return folder


def reachable(folder, branch) -> set[str]:
    """The blobs that a branch reaches, in all of its history."""
    objects = branches.git(folder, "rev-list", "--objects", branch, "--").split("\n")
    kinds = branches.git(folder, "cat-file", "--batch-check", given="".join(f"{line[:40]}\n" for line in objects if line))
    return {line.split()[0] for line in kinds.splitlines() if " blob " in line}


def test_branches_have_a_history_of_their_own(student, solutions_edition, repository, monkeypatch, capsys):
    monkeypatch.setattr(editions, "student", lambda *chosen: student)
    monkeypatch.setattr(editions, "solutions", lambda repository: solutions_edition)
    before = [branches.git(repository, *words.split()) for words in ("status --porcelain", "rev-parse HEAD", "ls-files -s")]
    assert main(["publish", "--branches", "--repository", REPOSITORY]) == 0
    after = [branches.git(repository, *words.split()) for words in ("status --porcelain", "rev-parse HEAD", "ls-files -s")]
    assert after == before and "?? new.txt" in after[0]
    first = branches.git(repository, "rev-parse", "student").strip()
    assert reachable(repository, "student") == {blob(file.content) for file in student.values()}

    assert main(["publish", "--branches", "--repository", REPOSITORY]) == 0
    assert branches.git(repository, "rev-parse", "student").strip() == first and "as it was" in capsys.readouterr().out

    monkeypatch.setattr(editions, "student", lambda *chosen: student | {"README.md": File(b"new")})
    assert main(["publish", "--branches", "--repository", REPOSITORY]) == 0
    assert branches.git(repository, "rev-list", "student").split()[1:] == [first]
    assert reachable(repository, "student") == {blob(file.content) for file in student.values()} | {blob(b"new")}

    # What was in the history once is found, though the branch no longer shows it; and publish does not go on from there.
    planted = student | {"README.md": File(RENAMED.encode())}
    monkeypatch.setattr(branches, "TRAILER", "By: somebody else")
    branches.git(repository, "update-ref", "refs/heads/other", "student")
    tree = branches.tree_of(repository, planted)
    other = branches.git(repository, "commit-tree", tree, "-p", "student", "-m", "planted").strip()
    other = branches.git(repository, "commit-tree", "student^{tree}", "-p", other, "-m", "taken back").strip()
    branches.git(repository, "update-ref", "refs/heads/student", other)
    assert blob(RENAMED.encode()) in reachable(repository, "student") - {blob(file.content) for file in student.values()}
    monkeypatch.undo()
    monkeypatch.chdir(repository)
    with pytest.raises(CourseError, match="commits that publish did not make"):
        branches.commit(repository, "student", student, "again")


def test_a_branch_that_is_checked_out_is_left_alone(repository):
    branches.git(repository, "checkout", "--quiet", "--orphan", "student")
    branches.git(repository, "commit", "--quiet", "--allow-empty", "-m", "mine")
    with pytest.raises(CourseError, match="student is checked out here"):
        branches.commit(repository, "student", {"a": File(b"a")}, "publish")


def test_only_what_is_asked_for_is_pushed(repository, tmp_path, monkeypatch, capsys):
    tiny = {"a.txt": File(b"a"), "run": File(b"#!/bin/sh", executable=True)}
    for name in ("student", "solutions"):
        monkeypatch.setattr(editions, name, lambda *chosen: tiny)
    branches.git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    branches.git(tmp_path, "init", "--quiet", "--bare", "staff.git")
    branches.git(repository, "remote", "add", "origin", str(tmp_path / "remote.git"))

    def pushed(*words):
        assert main(["publish", "--branches", *words]) == 0
        return [branches.git(tmp_path / name, "branch", "--list").split() for name in ("remote.git", "staff.git")]

    assert pushed() == [[], []]
    assert pushed("--push") == [["student"], []]
    assert pushed("--push", "origin", "--push-solutions", str(tmp_path / "staff.git")) == [["student"], ["solutions"]]
    assert branches.git(repository, "ls-tree", "student", "run").startswith("100755")


def test_folders_and_archives(tmp_path, monkeypatch, capsys):
    files = {"a/b.txt": File(b"one"), "run": File(b"#!/bin/sh", executable=True)}
    for name in ("student", "solutions"):
        monkeypatch.setattr(editions, name, lambda *chosen: files)
    command = ["publish", "--to", str(tmp_path / "out"), "--zip", "--repository", REPOSITORY]
    assert main(command) == 0
    archive = (tmp_path / "out/student.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.namelist() == ["a.course-student/a/b.txt", "a.course-student/run"]
    assert os.access(tmp_path / "out/student/run", os.X_OK)
    (tmp_path / "out/student/__pycache__").mkdir()
    (tmp_path / "out/student/__pycache__/b.pyc").write_text("")
    files["a/b.txt"] = File(b"two")
    assert main(command) == 0 and (tmp_path / "out/student/a/b.txt").read_bytes() == b"two"
    assert (tmp_path / "out/student.zip").read_bytes() != archive
    files["a/b.txt"] = File(b"one")
    assert main(command) == 0 and (tmp_path / "out/student.zip").read_bytes() == archive, "the same bytes each time"

    (tmp_path / "out/student/notes.txt").write_text("mine")
    assert main(command) == 1 and (tmp_path / "out/student/notes.txt").read_text() == "mine"
    assert "notes.txt was not written by publish, or was changed since" in capsys.readouterr().err
    (tmp_path / "out/student/notes.txt").unlink()
    (tmp_path / "out/solutions.zip").write_text("mine")
    assert main(command) == 1 and "solutions.zip is there already and was not made by publish" in capsys.readouterr().err
    (tmp_path / "other/student").mkdir(parents=True)
    assert main(["publish", "--to", str(tmp_path / "other")]) == 1
    assert "other/student is there already and was not made by publish" in capsys.readouterr().err


def test_ctrl_c_leaves_what_was_there(tmp_path, monkeypatch):
    folders.write_folder({"a": File(b"old"), "b": File(b"old")}, tmp_path / "student")
    rename = Path.rename

    def stop(path, target):
        if path.name == "fresh":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stop)
    with pytest.raises(KeyboardInterrupt):
        folders.write_folder({"a": File(b"new")}, tmp_path / "student")
    assert (tmp_path / "student/b").read_bytes() == b"old" and [path.name for path in tmp_path.iterdir()] == ["student"]


@pytest.mark.parametrize("name", ["nobody", "a/b/c", "a b/c", "https://github.com/a/b", "-a/b", "a/", '"/x'])
def test_a_repository_has_an_owner_and_a_name(name, capsys):
    assert main(["publish", f"--repository={name}"]) == 2
    assert "OWNER/NAME" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--zip", "--branches"], ["--push"], ["--push-solutions", "x"], ["--to", "x", "--branches"]])
def test_what_does_not_go_together(words, capsys):
    with contextlib.suppress(SystemExit):
        assert main(["publish", *words]) == 2
    assert "--branches" in capsys.readouterr().err


def test_without_a_clone_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(editions, "ROOT", tmp_path)
    with pytest.raises(CourseError, match=r"git clone https://github\.com/.* then pip install --editable"):
        editions.student(REPOSITORY)


def test_the_solutions_edition_runs_the_pipeline(solutions_edition, repository, tmp_path):
    branches.commit(repository, "solutions", solutions_edition, "solutions")
    branches.git(tmp_path, "clone", "--quiet", "--branch", "solutions", str(repository), "clone")
    install(tmp_path / "clone", tmp_path / "site")
    settings = [part for setting in SHORT for part in ("--set", setting)]
    done = alone(tmp_path / "site", "-m", "rlhf_core.cli", "run", "--preset", "tiny", *settings, folder=tmp_path / "clone")
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "clone/runs/tiny-001/report.json").is_file()

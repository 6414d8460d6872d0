"""Takes a learner's answers out of a notebook, a .py file, or a folder or archive of them.

Cells and statements are run one by one, so that a syntax error or an exception in one costs what it holds and nothing else.  Of
a notebook only what the answers need is run: a cell that trains for an hour or draws a picture is left alone.

Of several definitions of an exercise the last one counts; but in a notebook that has it in its answer cell (the `grade_id` of
that cell is the exercise's name) what other cells of the notebook define under the name does not count.
"""

import ast
import difflib
import inspect
import io
import linecache
import re
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path

from rlhf_core.exercise import Exercise, SignatureMismatch, exercises
from rlhf_core.source import is_stub, names_from_around

from .call import is_interrupt, quiet, raised
from .limit import TimeIsUp, time_limit
from .reading import NOT_PYTHON, Cell, Refused, read_cells, require

SECONDS = 20.0  # to run all statements


@dataclass
class Problem:
    """Why an exercise cannot be checked."""

    kind: str  # missing, stub, syntax_error, wrong_signature, raises, time_out
    message: str


@dataclass
class Submission:
    """What was handed in: implementations by exercise, and what stood in the way of the others."""

    name: str
    implementations: dict[str, object] = field(default_factory=dict)
    problems: dict[str, Problem] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)  # an exercise that was written twice
    files: tuple[str, ...] = ()
    refused: str | None = None

    def problem(self, exercise: str) -> Problem | None:
        """None where there is an implementation to check."""
        if exercise in self.implementations:
            return None
        missing = f"{exercise} was not handed in: nothing by this name is defined. Write it, and check again."
        if self.refused is not None:
            missing = f"{exercise} could not be checked: {self.refused}."
        return self.problems.get(exercise, Problem("missing", missing))


def read_submission(path) -> Submission:
    """Load the answers in `path`. A file that cannot be read as answers gives a refused submission.

    Raises UsageError where there is nothing at that path.
    """
    path = Path(path)
    require(path)
    name = path.resolve().stem
    try:
        cells = read_cells(path)
    except Refused as refusal:
        return Submission(name, refused=str(refusal))
    return Loader(path, cells, SECONDS).load()


class Loader:
    """Runs the statements of a submission, and notes what became of each exercise.

    Each notebook has a module of its own, as it has a kernel of its own; .py files share one.
    """

    def __init__(self, path: Path, cells: list[Cell], seconds: float):
        self.path, self.cells, self.seconds = path, cells, seconds
        self.exercises = exercises()
        self.submission = Submission(path.resolve().stem, files=tuple(dict.fromkeys(cell.name for cell in cells)))
        self.modules: dict[str, types.ModuleType] = {}
        self.places: dict[str, list[str]] = {}  # where each exercise is written
        self.answered: set[tuple[str, str]] = set()  # (notebook, exercise) that its answer cell defines
        self.failed_imports: dict[str, str] = {}  # the name that is missing -> why
        self.definitions: list[str] = []  # the names of all functions and classes
        self.trouble: list[tuple[str, str]] = []  # (names of exercises it may have cost, sentence)

    def load(self) -> Submission:
        before = {exercise: exercise.mine for exercise in self.exercises.values()}
        folder = str(self.path if self.path.is_dir() else self.path.parent)
        for exercise in before:
            exercise.mine = None
        sys.path.insert(0, folder)
        try:
            with quiet(io.StringIO()), time_limit(self.seconds):
                self._run_statements()
        except TimeIsUp:
            for name in self.exercises:
                said = f"the file had not been read after {self.seconds:g} s: take what trains or loads out of it"
                self.submission.problems.setdefault(name, Problem("time_out", f"{name} was not reached: {said}."))
        finally:
            sys.path.remove(folder)
            for exercise, mine in before.items():
                exercise.mine = mine
        self._explain_what_is_missing()
        return self.submission

    def _run_statements(self):
        statements = []
        for cell in self.cells:
            lines = [f"{line}\n" for line in cell.source.split("\n")]
            linecache.cache[cell.name] = (len(cell.source), None, lines, cell.name)
            try:
                statements += [(cell, statement) for statement in ast.parse(cell.source).body]
            except NOT_PYTHON as error:
                self._note_syntax_error(cell, error)
        self.definitions = [s.name for _, s in statements if isinstance(s, ast.FunctionDef | ast.ClassDef)]
        needed: set = set()
        for notebook in dict.fromkeys(cell.file for cell in self.cells if cell.notebook):
            needed |= self._needed([statement for cell, statement in statements if cell.notebook and cell.file == notebook])
        for cell, statement in statements:
            if not cell.notebook or statement in needed:
                self.module = self._module_of(cell)
                try:
                    self._run(cell, statement)
                except RecursionError as error:  # it is nested so deep that it cannot even be looked at
                    self._note_syntax_error(cell, error)

    def _module_of(self, cell) -> types.ModuleType:
        file = cell.file if cell.notebook else ""
        if file not in self.modules:
            module = types.ModuleType(f"submission_{len(self.modules)}" if file else "submission")
            module.__file__ = str(self.path)
            self.modules[file] = sys.modules[module.__name__] = module
        return self.modules[file]

    def _run(self, cell, statement):
        before = {name: exercise.mine for name, exercise in self.exercises.items()}
        place = place_of(cell, statement)
        try:
            code = compile(ast.Module([statement], []), cell.name, "exec", dont_inherit=True)
            exec(code, vars(self.module))
        except SignatureMismatch as error:
            name = getattr(statement, "name", None) or str(error).split()[0].partition(".")[0]
            self._refuse(name, error, place)
        except BaseException as error:
            if is_interrupt(error) or isinstance(error, TimeIsUp):
                raise
            seen = raised(error, self.submission.files, self.seconds)
            reason = f"{seen.type}: {seen.message} ({seen.where or place})"
            names = [getattr(statement, "name", ""), *(n.id for n in ast.walk(statement) if isinstance(n, ast.Name))]
            if isinstance(statement, ast.Import | ast.ImportFrom):
                self.failed_imports |= dict.fromkeys(defined(statement), reason)
            elif isinstance(error, NameError):
                reason = self.failed_imports.get(error.name, reason)
            self.trouble.append((" ".join(names), reason))
        for name, exercise in self.exercises.items():
            if exercise.mine is not before[name]:
                self._take(name, exercise.mine, cell, statement)
            elif not isinstance(statement, ast.Import | ast.ImportFrom):
                self._take_plain(name, exercise, cell, statement)

    def _take_plain(self, name, exercise, cell, statement):
        """A plain definition under an exercise's name is an answer, too; calls of it go through the exercise from now on."""
        place = place_of(cell, statement)
        thing = vars(self.module).get(name)
        if thing is None or isinstance(thing, Exercise) or self.submission.implementations.get(name) is thing:
            return
        if not callable(thing):  # such as win_rate = win_rate(after, before): a result under the name of the function
            if name not in self.submission.implementations and name in defined(statement):
                message = f"{name} has to be a {exercise.kind}, but yours is of type {type(thing).__name__} ({place})."
                self.submission.problems[name] = Problem("wrong_signature", message)
            return
        try:
            exercise.implement(thing)
        except SignatureMismatch as error:
            self._refuse(name, error, place)
            return
        if not inspect.isclass(thing):
            vars(self.module)[name] = exercise
        self._take(name, thing, cell, statement)

    def _refuse(self, name, error, place):
        """A definition with another signature; an earlier one stays in force, as it does in the notebook."""
        message = f"{error} ({place}){by_names(error)}"
        if name in self.submission.implementations:
            self.submission.notes[name] = f"{message} An earlier definition of {name} was checked instead."
        else:
            self.submission.problems[name] = Problem("wrong_signature", message)

    def _take(self, name, implementation, cell, statement):
        place, stub, in_answer_cell = place_of(cell, statement), is_stub(statement), cell.grade_id == name
        overruled = (cell.file, name) in self.answered and not in_answer_cell
        if name in self.submission.implementations and (stub or overruled):
            self._pass_over(name, f"{'the stub' if stub else 'a definition'} of {name} ({place})")
            return
        if in_answer_cell and not stub:
            self.answered.add((cell.file, name))
        self.places.setdefault(name, []).append(place)
        self.submission.problems.pop(name, None)
        self.submission.implementations[name] = implementation
        if stub:
            self.submission.implementations.pop(name)
            message = f"{name} is still the stub ({place}): write its body."
            self.submission.problems[name] = Problem("stub", message)
        if len(self.places[name]) > 1:
            where = " and ".join(self.places[name])
            self.submission.notes[name] = f"{name} is written {len(self.places[name])} times ({where}): the last one counts."

    def _pass_over(self, name, what):
        """Put the definition that counts back in its place."""
        counts = self.submission.implementations[name]
        self.exercises[name].mine = counts
        vars(self.module)[name] = counts if inspect.isclass(counts) else self.exercises[name]
        self.submission.notes[name] = f"{what} does not count: the one that does is {self.places[name][-1]}."

    def _note_syntax_error(self, cell, error):
        line = getattr(error, "lineno", None)
        text = (getattr(error, "text", None) or "").strip()
        where = f"line {line} of {cell.name}" if line else cell.name
        reason = f"{where} is not Python ({getattr(error, 'msg', error)}{f', in `{text}`' if text else ''})"
        for name in self.exercises:
            if re.search(rf"\b(def|class)\s+{name}\b|\b{name}\.implement\b", cell.source):
                message = f"{name} could not be read: {reason}. Mend that line."
                self.submission.problems[name] = Problem("syntax_error", message)
        self.trouble.append((cell.source, reason))

    def _explain_what_is_missing(self):
        """An exercise without an implementation may owe it to a statement that raised; one with it may miss an import."""
        if self.failed_imports:
            failed = "; ".join(dict.fromkeys(self.failed_imports.values()))
            for name in self.submission.implementations:
                self.submission.notes.setdefault(name, f"An import of this file failed: {failed}.")
        for name in self.exercises:
            if name in self.submission.implementations or name in self.submission.problems:
                continue
            reasons = [reason for names, reason in self.trouble if re.search(rf"\b{name}\b", names)]
            alike = self._named_alike(name)
            if alike and not reasons:
                message = f"{name} was not handed in, but there is a {alike}: if that is it, give it the name {name}."
                self.submission.problems[name] = Problem("missing", message)
            if reasons:
                message = f"{name} could not be loaded: {reasons[-1]}. Mend that line."
                self.submission.problems[name] = Problem("raises", message)

    def _named_alike(self, name) -> str | None:
        """A function or class of the submission under nearly this name, which is no other exercise's."""
        lower = {n.lower(): n for n in self.definitions[:500] if n not in self.exercises}
        near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.85)
        return lower[near[0]] if near else None

    def _needed(self, statements) -> set:
        """The statements of a notebook that its answers depend on: definitions, imports, the constants that they read."""
        names = set(self.exercises)
        needed: set = set()
        while True:
            more = [s for s in statements if s not in needed and (defined(s) & names or implements(s, self.exercises))]
            if not more:
                return needed
            needed.update(more)
            names.update(*map(looked_up, more))


def looked_up(statement) -> set[str]:
    """The names that a top-level statement reads from its notebook, and not the parameters and variables of a function."""
    try:
        return set(names_from_around(ast.unparse(statement)))
    except NOT_PYTHON:  # nested too deep for that
        return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def place_of(cell: Cell, statement) -> str:
    return f"line {statement.lineno} of {cell.name}"


def by_names(error: SignatureMismatch) -> str:
    """What to do about it, where it is the parameters that differ."""
    return ". The checks call it by these names: take over the first line of the exercise." if " takes " in str(error) else "."


def defined(statement) -> set[str]:
    """The names that a top-level statement binds or changes."""
    names, inside = set(), [statement]
    while inside:
        node = inside.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.If | ast.Try | ast.ExceptHandler):
            inside += ast.iter_child_nodes(node)
    return names


def implements(statement, names) -> bool:
    """Whether it is a call of some exercise's `implement`, or an import of everything."""
    if isinstance(statement, ast.ImportFrom):
        return any(alias.name == "*" for alias in statement.names)
    if not isinstance(statement, ast.Expr | ast.FunctionDef | ast.ClassDef):
        return False
    nodes = statement.decorator_list if not isinstance(statement, ast.Expr) else [statement.value]
    nodes = [node.func if isinstance(node, ast.Call) else node for node in nodes]
    return any(isinstance(n, ast.Attribute) and n.attr == "implement" for n in nodes)

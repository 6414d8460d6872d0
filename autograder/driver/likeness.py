"""What a submission answers to each exercise, in its author's words and in a normal form that is the same for answers that
differ in names and layout only."""

import ast
import copy
import re
import textwrap
import warnings
from dataclasses import dataclass

from rlhf_core.course import exercise_names
from rlhf_core.source import is_stub

from .reading import NOT_PYTHON, Cell

LONGEST = 20_000  # bytes of a source, and of a normal form
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def answers_of(cells) -> dict[str, dict[str, str]]:
    """By exercise, `source`: the definition that counts, without its decorators, with what it uses of the same submission;
    `normal`: the same in the normal form.  Each is cut at LONGEST bytes.  What is missing, a stub or unreadable is left out.

    cells: in order.  Nothing of them is run.
    """
    names = set(exercise_names())
    written, answers, imports = {}, {}, {}
    for part in parts_of(cells):
        try:
            imports |= imported(part.statement)
            own_name = bound_by(part.statement)
            for name in implemented(part.statement) & names or {own_name} & names:
                if counts(part, name, answers.get(name)):
                    answers[name] = part
        except NOT_PYTHON:
            continue
        if own_name not in names:
            written[own_name] = part
    found = {}
    for name, part in answers.items():
        try:
            found[name] = answer(part, written, imports)
        except NOT_PYTHON:
            continue
    return {name: found[name] for name in exercise_names() if name in found}


@dataclass
class Part:
    """A statement at the top level of a submission, where it stands, and its lines."""

    statement: ast.stmt
    cell: Cell
    text: str


def counts(part: Part, name: str, before: Part | None) -> bool:
    """Whether this is the answer to an exercise from now on, as `loading` decides: the last definition is, though none outside
    of the answer cell of a notebook where there is one in it."""
    if is_stub(part.statement):
        return False
    if before is None:
        return True
    if not isinstance(part.statement, DEFINITIONS):  # as in `win_rate = win_rate(after, before)`, which is no answer
        return False
    return part.cell.grade_id == name or before.cell.grade_id != name or part.cell.file != before.cell.file


def parts_of(cells):
    """Every top-level statement that can be read, also those within an `if`, `try` or `with`."""
    for cell in cells:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "invalid escape sequence" is not for the one who grades
                statements = list(unfolded(ast.parse(cell.source).body))
        except NOT_PYTHON:
            continue
        lines = re.split(r"\r\n|\r|\n", cell.source)  # as Python counts them; str.splitlines knows more line ends
        for statement in statements:
            text = "\n".join(lines[statement.lineno - 1 : statement.end_lineno])
            yield Part(statement, cell, textwrap.dedent(text))


def unfolded(statements):
    for statement in statements:
        if isinstance(statement, ast.If | ast.Try | ast.With):
            yield from unfolded(child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.stmt))
        else:
            yield statement


def bound_by(statement) -> str | None:
    """The name that a definition or a plain assignment binds."""
    if isinstance(statement, DEFINITIONS):
        return statement.name
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else None
    return None


def implemented(statement) -> set[str]:
    """What `@NAME.implement` above a definition names, or a call of `NAME.implement`."""
    if isinstance(statement, DEFINITIONS):
        marks = statement.decorator_list
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        marks = [statement.value.func]
    else:
        return set()
    marked = [mark.value for mark in marks if isinstance(mark, ast.Attribute) and mark.attr == "implement"]
    return {getattr(exercise, "attr", None) or getattr(exercise, "id", None) for exercise in marked}


def imported(tree) -> dict[str, str]:
    """By the name that an import binds, what it stands for: {"F": "torch.nn.functional"}."""
    meaning = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                meaning |= {alias.asname: alias.name} if alias.asname else {top: top}
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            meaning |= {alias.asname or alias.name: f"{origin}.{alias.name}" for alias in node.names}
    return meaning


def answer(part, written, imports) -> dict[str, str]:
    """part: the definition.  written: by name, what else the submission defines.  imports: see `imported`."""
    parts, taken, size = [part], set(), len(part.text)
    for each in parts:  # grows: what a helper uses belongs to the answer too
        for name in free_names(each.statement):
            if name in written and name not in taken and size < LONGEST:
                taken.add(name)
                parts.append(written[name])
                size += len(written[name].text)
    statements = [copy.deepcopy(each.statement) for each in parts]
    if isinstance(statements[0], DEFINITIONS):
        statements[0].decorator_list = []
    return {"source": capped("\n\n".join(each.text for each in parts)), "normal": capped(normal_form(statements, imports))}


def capped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace")[:LONGEST].decode("utf-8", "ignore")


def free_names(tree) -> list[str]:
    """The names that are read and bound nowhere in a tree, in order."""
    bound = bound_in(tree)
    return [name for name in dict.fromkeys(n.id for n in ast.walk(tree) if isinstance(n, ast.Name)) if name not in bound]


def bound_in(tree) -> set[str]:
    """Parameters, locals, and the names of functions and classes."""
    bound = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, (*DEFINITIONS, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
            bound.add(node.name)
        elif isinstance(node, ast.MatchMapping):
            bound.add(node.rest)
    return bound


def normal_form_of(source: str) -> str:
    """The normal form of all functions and classes in a text of ours. Raises SyntaxError."""
    tree = ast.parse(source)
    return normal_form([node for node in tree.body if isinstance(node, DEFINITIONS)], imported(tree))


def normal_form(statements, imports) -> str:
    """The statements, which are changed, as text: without comments, docstrings, type hints and imports; own names are numbered
    in the order in which they appear, and imported ones are written out."""
    tree = ast.Module(statements, [])
    return ast.unparse(Normal(bound_in(tree), imports | imported(tree), functions_in(tree)).visit(tree))


def functions_in(tree) -> set[str]:
    return {node.name for node in ast.walk(tree) if isinstance(node, DEFINITIONS)}


class Normal(ast.NodeTransformer):
    """Rewrites a tree in place for `normal_form`."""

    def __init__(self, own: set[str], imports: dict[str, str], functions: set[str]):
        self.own, self.imports, self.functions = own, imports, functions
        self.numbers: dict[str, str] = {}
        self.me: list[str] = []  # what the methods around call their object

    def number(self, name):
        return self.numbers.setdefault(name, f"v{len(self.numbers)}")

    def generic_visit(self, node):
        for field in ("name", "rest"):  # of handlers and patterns
            if isinstance(getattr(node, field, None), str):
                setattr(node, field, self.number(getattr(node, field)))
        super().generic_visit(node)
        if getattr(node, "body", None) == [] and not isinstance(node, ast.Module):
            node.body = [ast.Pass()]
        return node

    def visit_Name(self, node):
        node.id = self.number(node.id) if node.id in self.own else self.imports.get(node.id, node.id)
        return node

    def visit_arg(self, node):
        node.arg, node.annotation = self.number(node.arg), None
        return node

    def visit_FunctionDef(self, node):
        node.returns, node.type_params = None, []
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node):
        node.type_params = []
        methods = [child for child in node.body if isinstance(child, ast.FunctionDef)]
        for method in methods:
            method.name = f".{method.name}"  # the same as where it is read: self.method
        before = self.me
        self.me = before + [method.args.args[0].arg for method in methods if method.args.args]
        self.generic_visit(node)
        self.me = before
        return node

    def visit_Attribute(self, node):
        if isinstance(node.value, ast.Name) and node.value.id in self.me:
            node.attr = self.number(f".{node.attr}")
        return self.generic_visit(node)

    def visit_Call(self, node):
        if isinstance(node.func, ast.Name) and node.func.id in self.functions:
            for keyword in node.keywords:
                keyword.arg = keyword.arg and self.number(keyword.arg)
        return self.generic_visit(node)

    def visit_Global(self, node):
        node.names = [self.number(name) for name in node.names]
        return node

    visit_Nonlocal = visit_Global

    def visit_AnnAssign(self, node):
        if node.value is None:
            return None
        return self.generic_visit(ast.copy_location(ast.Assign([node.target], node.value), node))

    def visit_Constant(self, node):
        if isinstance(node.value, float) and node.value.is_integer():  # 2. and 2.0 and 2
            node.value = int(node.value)
        return node

    def visit_Expr(self, node):
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def dropped(self, node):
        return None

    visit_Import = visit_ImportFrom = visit_Pass = dropped

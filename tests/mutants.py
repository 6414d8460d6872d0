"""Mechanical mutants of a function: one small change of its syntax tree each, as a slip of the hand would make it."""

import ast
import copy
import inspect
from dataclasses import dataclass
from typing import Any

SWAPS = {
    ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Div, ast.Add], ast.Div: [ast.Mult], ast.FloorDiv: [ast.Mult],
    ast.Lt: [ast.LtE, ast.Gt], ast.LtE: [ast.Lt], ast.Gt: [ast.GtE, ast.Lt], ast.GtE: [ast.Gt], ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq], ast.BitAnd: [ast.BitOr], ast.BitOr: [ast.BitAnd], ast.Is: [ast.IsNot], ast.IsNot: [ast.Is],
}  # fmt: skip
SIBLINGS = {
    "min": ["max"], "max": ["min"], "minimum": ["maximum"], "maximum": ["minimum"], "argmax": ["argmin"],
    "mean": ["sum"], "sum": ["mean"], "exp": ["log"], "expm1": ["exp"], "sqrt": ["square"], "rsqrt": ["sqrt"],
    "square": ["abs"], "abs": ["square"], "cumsum": ["cumprod"], "zeros_like": ["ones_like"],
    "logsigmoid": ["sigmoid"], "log_softmax": ["softmax"], "softmax": ["log_softmax"], "floor": ["ceil"],
    "eval": ["train"], "any": ["all"], "all": ["any"], "randperm": ["arange"],
}  # fmt: skip


@dataclass
class Mutant:
    """A changed function: what was changed, its whole source, and the thing itself."""

    change: str
    source: str
    implementation: Any


def mutants(function):
    """Every mutant of a function or class that still compiles. The rest of its module is as it was."""
    module = inspect.getmodule(function)
    tree = ast.parse(inspect.getsource(module))
    name = function.__name__
    target = next(node for node in tree.body if getattr(node, "name", None) == name)
    ast.increment_lineno(target, 1 - target.lineno)  # lines count from the definition
    original, seen = ast.unparse(target), set()
    for change, mutated in _mutations(target):
        source = ast.unparse(ast.fix_missing_locations(mutated))
        if source == original or source in seen:
            continue
        seen.add(source)
        namespace = dict(vars(module))
        try:
            exec(compile(source, f"<mutant of {name}>", "exec"), namespace)
        except Exception:
            continue
        yield Mutant(change, source, namespace[name])


def _mutations(target):
    """(description, changed copy) for each place and each way to change it."""
    places = list(ast.walk(target))
    for index, node in enumerate(places):
        for describe, edit in _edits(node):
            changed = copy.deepcopy(target)
            twin = list(ast.walk(changed))[index]
            line = ast.unparse(node).splitlines()[0][:70] if isinstance(node, ast.expr | ast.stmt) else type(node).__name__
            replacement = edit(twin)
            if replacement is not None:
                changed = _replaced(changed, twin, replacement)
            yield f"line {getattr(node, 'lineno', '?')}: {line} -> {describe}", changed


def _replaced(tree, old, new):
    class Replace(ast.NodeTransformer):
        def visit(self, node):
            return new if node is old else self.generic_visit(node)

    return Replace().visit(tree)


def _edits(node):
    """Ways to change one node: (description, function that edits it in place or returns what replaces it)."""
    if isinstance(node, ast.BinOp):
        for other in SWAPS.get(type(node.op), []):
            yield f"{other.__name__}", lambda n, o=other: setattr(n, "op", o())
        yield "left operand alone", lambda n: n.left
        yield "right operand alone", lambda n: n.right
        if isinstance(node.op, ast.Sub | ast.Div):
            yield "operands exchanged", lambda n: ast.BinOp(n.right, n.op, n.left)
    if isinstance(node, ast.AugAssign):
        for other in SWAPS.get(type(node.op), []):
            yield f"{other.__name__}", lambda n, o=other: setattr(n, "op", o())
    if isinstance(node, ast.Compare):
        for other in SWAPS.get(type(node.ops[0]), []):
            yield f"{other.__name__}", lambda n, o=other: n.ops.__setitem__(0, o())
    if isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield other.__name__, lambda n: setattr(n, "op", other())
    if isinstance(node, ast.UnaryOp):
        yield "operator dropped", lambda n: n.operand
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        for value in {node.value + 1, node.value - 1, -node.value, node.value * 2} - {node.value}:
            yield f"{value}", lambda n, v=value: setattr(n, "value", v)
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{not node.value}", lambda n: setattr(n, "value", not n.value)
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for other in SIBLINGS.get(name, []):
            yield other, lambda n, o=other: setattr(n.func, "attr" if isinstance(n.func, ast.Attribute) else "id", o)
        if isinstance(node.func, ast.Attribute):
            yield f".{name}() dropped", lambda n: n.func.value
        for place in range(len(node.args)):
            yield f"argument {place} alone", lambda n, p=place: n.args[p]
        if len(node.args) == 2:
            yield "arguments exchanged", lambda n: n.args.reverse()
        for place in range(len(node.keywords)):
            yield "keyword dropped", lambda n, p=place: n.keywords.pop(p) and None
    if isinstance(node, ast.IfExp):
        yield "always", lambda n: n.body
        yield "never", lambda n: n.orelse
    if isinstance(node, ast.If):
        yield "always", lambda n: setattr(n, "test", ast.Constant(True))
        yield "never", lambda n: setattr(n, "test", ast.Constant(False))
    if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        yield "order reversed", lambda n: n.elts.reverse()
    if isinstance(node, ast.Assign | ast.AugAssign | ast.Raise | ast.Break) or (
        isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
    ):
        yield "deleted", lambda n: ast.Pass()
    if isinstance(node, ast.FunctionDef):
        for place in range(len(node.decorator_list)):
            yield "decorator dropped", lambda n, p=place: n.decorator_list.pop(p) and None

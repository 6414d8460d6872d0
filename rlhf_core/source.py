"""The source of an answer, and whether it has been written at all."""

import ast
import inspect
import linecache
import symtable
import textwrap


def is_stub(definition) -> bool:
    """A definition whose body, or every method's, does nothing or raises NotImplementedError."""
    if isinstance(definition, ast.ClassDef):
        methods = [node for node in definition.body if isinstance(node, ast.FunctionDef)]
        return all(is_stub(method) for method in methods)
    if not isinstance(definition, ast.FunctionDef):
        return False

    def idle(node):
        if isinstance(node, ast.Raise) and node.exc is not None:
            return "NotImplementedError" in ast.unparse(node.exc)
        return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))

    return all(idle(node) for node in definition.body)


def definition_of(implementation):
    """The syntax tree of a function or class; None where its source is not at hand."""
    try:
        return ast.parse(source_of(implementation)).body[0]
    except (OSError, TypeError, SyntaxError):
        return None


def source_of(thing) -> str:
    """The source of a function or class, with its decorators. Raises OSError or TypeError where that is not at hand.

    Before Python 3.13 `inspect` cannot find a class that was defined in a notebook, but it finds the methods.
    """
    if inspect.isclass(thing) and thing.__module__ == "__main__" and methods_of(thing):
        return class_around(methods_of(thing)[0].__code__, thing.__name__)
    return textwrap.dedent(inspect.getsource(thing))


def file_of(thing) -> str:
    """The name of the file, or of the cell, that a function or class was written in; "" where that is not known."""
    functions = methods_of(thing) if inspect.isclass(thing) else [inspect.unwrap(thing)]
    return functions[0].__code__.co_filename if functions and hasattr(functions[0], "__code__") else ""


def methods_of(thing) -> list:
    return [inspect.unwrap(f) for f in vars(thing).values() if inspect.isfunction(f)]


def class_around(code, name) -> str:
    lines = linecache.getlines(code.co_filename)
    for node in ast.walk(ast.parse("".join(lines))):
        if isinstance(node, ast.ClassDef) and node.name == name and node.lineno <= code.co_firstlineno <= node.end_lineno:
            first = min(n.lineno for n in (node, *node.decorator_list))
            return textwrap.dedent("".join(lines[first - 1 : node.end_lineno]))
    raise OSError(f"the source of class {name} is not at hand")


def names_from_around(source: str):
    """The names that a statement looks up outside itself: no parameters, no variables of its own."""
    tables = [symtable.symtable(source, "answer", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        yield from (symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced() and symbol.is_global())

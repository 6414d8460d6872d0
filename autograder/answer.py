"""The hand that a check puts questions with: it calls the learner's function and compares with the oracle.

A check never stops at its first finding.  It collects all that the function shows as *evidence*, in order, so that a diagnosis
can ask which known mistake leaves exactly the same evidence.
"""

import contextlib
import functools
import importlib
import itertools
import math
from dataclasses import dataclass, field

import torch

from rlhf_core.exercise import exercises

from . import compare, oracles
from .driver.call import Listed, observe
from .isolation import under_test
from .specs import SPECS

SECONDS = 5.0  # a call may take
MINOR = ("wrong_dtype", "changes_its_inputs")  # faults that may stand beside any mistake and say nothing about it


class EndOfCheck(Exception):
    """Nothing more can be asked of this answer: its code raised, or handed back something that cannot be judged."""


class DifferentEvidence(Exception):
    """In a replay: the evidence differs from what it is compared with, so the rest need not be run."""


@dataclass
class Finding:
    """One thing that is wrong.  `what` is for everybody; `details` name inputs and expected values, so only visible checks show
    them."""

    kind: str  # what a diagnosis is called when no known mistake matches
    what: str
    details: str = ""
    pattern: str = ""
    shrink: object = None  # finds the smallest input that shows it, when asked
    public: bool = False  # it says nothing about inputs, so that a hidden check may say it, too


@dataclass
class Answer:
    """One learner's answer to one exercise, during one check."""

    exercise: str
    implementation: object
    files: tuple[str, ...] = ()
    replay: list | None = None  # evidence of another answer, to compare with
    shown: list = field(default_factory=list)  # the evidence, each with whether it is minor
    seconds: float = SECONDS
    findings: list[Finding] = field(default_factory=list)
    printed: str = ""  # by the first call that prints

    @property
    def evidence(self) -> list:
        return [value for value, _ in self.shown]

    @property
    def spec(self):
        return SPECS[self.exercise]

    # Evidence and findings

    def witness(self, value, minor=False):
        """Keep something that the answer showed, without judging it.

        minor: another fault than the one the evidence is about (a dtype, rubbish on padding), which a learner may add to any
        mistake.
        """
        place = len(self.shown)
        self.shown.append((value, minor))
        if self.replay is None or (place < len(self.replay) and (minor or compare.same(value, self.replay[place]))):
            return
        raise DifferentEvidence

    def expect(self, ok, what, details="", kind="behaviour", evidence=None, minor=False):
        """Judge: a finding unless `ok`.  The evidence is the verdict, and what is given as evidence beside it."""
        ok = bool(ok)
        self.witness(ok if evidence is None else (ok, evidence), minor)
        if not ok:
            self.findings.append(Finding(kind, what, details))
        return ok

    def report(self, kind, what, details="", pattern="", shrink=None):
        if self.replay is None:
            self.findings.append(Finding(kind, what, details, pattern, shrink))

    def at_the_edge(self, ordinary, edge):
        """Judge edge cases, which an answer with a mistake elsewhere may get right or wrong besides.

        ordinary, edge: functions that put questions to an answer.  What the edge shows is evidence only where the answer is
        right in the ordinary case; otherwise it would hide the name of the mistake that shows there.
        """
        right = all(finding.kind in MINOR for finding in self.aside(ordinary).findings)
        seen = self.aside(edge)
        self.findings += seen.findings
        self.printed = self.printed or seen.printed
        self.witness([finding.kind for finding in seen.findings], minor=True)
        self.witness(seen.evidence if right else None)

    def aside(self, question):
        """What the answer shows when asked, kept apart from the evidence of the check."""
        judge = Answer(self.exercise, self.implementation, self.files, seconds=self.seconds)
        with contextlib.suppress(EndOfCheck):
            question(judge)
        return judge

    # Calls

    def call(self, arguments: dict, gradients=(), weights=None):
        """The observation of one call; ends the check where the call raised."""
        return self._finish(self._observe(arguments, gradients, weights))

    def _observe(self, arguments, gradients=(), weights=None):
        """What one call does, of a function beside us or of one in a worker that is asked in its place."""
        if hasattr(self.implementation, "observe"):
            return self.implementation.observe(arguments, self.seconds, gradients, weights)
        return observe(self.implementation, arguments, self.seconds, gradients, weights, self.files)

    def run(self, scenario: str, seconds=None, **parameters):
        """What `scenario` returned, a function of `driver/scenarios/<exercise>.py` that puts the answer to work.

        Ends the check where the answer raised.
        """
        if hasattr(self.implementation, "play"):
            return self._finish(self.implementation.play(scenario, parameters, seconds or self.seconds)).returned
        module = importlib.import_module(f".driver.scenarios.{self.exercise}", __package__)
        function = functools.partial(getattr(module, scenario), self.implementation)
        return self._finish(observe(function, parameters, seconds or self.seconds, files=self.files)).returned

    def _finish(self, seen):
        self.printed = self.printed or seen.printed
        if seen.raised is not None:
            self.witness(f"raised {seen.raised.type}")
            self._side_effects(seen)
            self._report_raised(seen.raised)
            raise EndOfCheck
        return seen

    def _report_raised(self, raised):
        where = f" It happened at {raised.where}." if raised.where else ""
        if raised.type == "TimeIsUp":
            what = f"{self.exercise} did not return: {raised.message}.{where} Is there a loop that never ends?"
            self.report("time_out", what)
        elif raised.type == "NotImplementedYet":
            self.report("write_first", f"{self.exercise} calls what is not there yet: {raised.message}")
        elif raised.type == "NotImplementedError" and is_own(raised):
            self.report(
                "stub", f"{self.exercise} is not written yet: {raised.message or 'its code raises NotImplementedError'}"
            )
        else:
            said = f"{raised.type}: {raised.message}".rstrip(": .")
            self.report("raises", f"Your code raised {said}.{where}")

    # Comparisons with the oracle

    @property
    def oracle(self):
        return getattr(oracles, self.exercise)

    def bind(self, args, kwargs) -> dict:
        """The arguments by the names of the exercise's signature."""
        return dict(exercises()[self.exercise].signature.bind(*args, **kwargs).arguments)

    def agrees(self, *args, rtol=compare.RTOL, atol=compare.ATOL, dtypes=(torch.float32, torch.float64), coarse=False,
               gradients=None, **kwargs):  # fmt: skip
        """The results for these inputs are the oracle's, in each dtype, and so are the gradients where they are graded.

        coarse: at the edge of a float's range the evidence is the verdict alone, as wrong digits there are noise.
        gradients: for results that never require one, True asks whether they do; by default the inputs have none.
        """
        arguments = self.bind(args, kwargs)
        gradients = not self.spec.never_requires_grad if gradients is None else gradients
        floats = any(isinstance(x, torch.Tensor) and x.is_floating_point() for x in arguments.values())
        for dtype in dtypes if floats else (None,):
            self._agrees(cast(arguments, dtype), dtype, rtol, atol, coarse, gradients)

    def _agrees(self, arguments, dtype, rtol, atol, coarse, gradients):
        spec = self.spec
        asked = (*spec.gradient, *spec.constant) if gradients else ()
        if spec.never_requires_grad and gradients:
            asked = tuple(n for n, x in arguments.items() if isinstance(x, torch.Tensor) and x.is_floating_point())
        truths = self._truths(arguments, spec.gradient if gradients else ())
        weights = truths[0].weights
        seen = self.call(arguments, asked, weights)
        shrink = functools.partial(self._smallest, arguments, rtol, atol, gradients)
        got = self._results(seen, truths[0], dtype)

        if not coarse:
            self._show(got, seen, truths[0], arguments)
        if coarse or self.replay is None:
            found = [self._problems(got, seen, truth, arguments, rtol, atol, gradients) for truth in truths]
            best = min(found, key=len)
            if coarse:
                finite = all(g.isfinite().all().item() for g in got if g.is_floating_point())
                self.witness((finite, [problem[0] for problem in best]))
            for problem in best:
                self.report(*problem, shrink=shrink if problem[0] in ("value", "gradient") and not coarse else None)
        self._side_effects(seen)

    def _show(self, got, seen, truth, arguments):
        """The evidence of a call: results where the mask is True, and gradients; as minor evidence dtypes and the rest."""
        mask, spec = arguments.get("mask"), self.spec
        kept, elsewhere = [], []
        for result, expected in zip(got, truth.results, strict=True):
            masked = mask is not None and result.ndim == 2 and result.shape == mask.shape
            kept.append(result.masked_fill(~mask, 0) if masked else result)
            elsewhere.append(bool(compare.close(result, expected)[~mask].all()) if masked else True)
        kept = [result.double() if result.is_floating_point() else result for result in kept]
        if spec.never_requires_grad:
            self.witness(kept)
            self.witness(([str(result.dtype) for result in got], elsewhere, seen.requires_grad), minor=True)
        else:
            gradients = {name: None if g is None else g.double() for name, g in seen.gradients.items()}
            self.witness((kept, {name: g for name, g in gradients.items() if name in spec.gradient}))
            leaks = [name for name in spec.constant if gradients.get(name) is not None and gradients[name].any()]
            self.witness(([str(result.dtype) for result in got], elsewhere, leaks), minor=True)

    def _side_effects(self, seen):
        names = ", ".join(seen.changed)
        self.expect(
            not seen.changed, f"{self.exercise} changed its input {names} in place: work on a copy, the caller still needs it.",
            kind="changes_its_inputs", minor=True,
        )  # fmt: skip

    def _truths(self, arguments, gradients):
        """What is right for these arguments; remembered, as a diagnosis asks for the same again for every known mistake."""
        key = (self.exercise, gradients, *((name, fingerprint(value)) for name, value in arguments.items()))
        if key not in KNOWN_TRUTHS:
            if len(KNOWN_TRUTHS) >= TRUTHS_KEPT:
                KNOWN_TRUTHS.clear()
            options = [{"unbiased": False}, {"unbiased": True}] if self.spec.either_variance else [{}]
            KNOWN_TRUTHS[key] = [Truth.of(self.oracle, arguments, gradients, option) for option in options]
        return KNOWN_TRUTHS[key]

    def _results(self, seen, truth, dtype) -> list:
        """The results as tensors of the right number, shape and dtype; ends the check where they are not."""
        spec, returned = self.spec, seen.returned
        names = spec.results
        if returned is None:
            self._unusable("returns_nothing", f"{self.exercise} returned None: does every path end in a return?", returned)
        if len(names) > 1:
            if not isinstance(returned, tuple) or len(returned) != len(names):
                wanted = f"{', '.join(names)}, {len(names)} values in this order"
                self._unusable("wrong_type", f"{self.exercise} has to return {wanted}; it returned {kind(returned)}.", returned)
            if names[-1] == "stats":
                self._stats(returned[0], returned[-1])
                names, returned = names[:-1], returned[:-1]
        else:
            returned = (returned,)
        results = []
        for name, value in zip(names, returned, strict=True):
            if spec.plain_number and isinstance(value, float | int) and not isinstance(value, bool):
                value = torch.tensor(float(value), dtype=dtype or torch.float64)
            if not isinstance(value, torch.Tensor):
                self._unusable("wrong_type", f"{name} has to be a torch tensor; yours is {kind(value)}.", kind(value))
            results.append(value)
        for name, value, expected in zip(names, results, truth.results, strict=True):
            if value.shape != expected.shape:
                what = f"{name} has shape {tuple(value.shape)}, expected {tuple(expected.shape)}."
                self.witness(results)
                self.report("wrong_shape", what)
                raise EndOfCheck
        wanted = {"input": dtype}.get(spec.dtype) or getattr(torch, spec.dtype, None)
        for name, value in zip(names, results, strict=True):
            if wanted is not None and value.dtype != wanted and not (spec.plain_number and value.is_floating_point()):
                given = f" for inputs of {dtype}" if spec.dtype == "input" else ""
                self.report("wrong_dtype", f"{name} is {value.dtype}, expected {wanted}{given}.")
        return results

    def _stats(self, loss, stats):
        if not isinstance(stats, dict):
            if isinstance(loss, dict):
                self._unusable("swapped_results", "The results are swapped: loss first, then the dict of stats.", "swapped")
            self._unusable("wrong_type", f"stats has to be a dict of floats; yours is {kind(stats)}.", kind(stats))
        bad = [name for name, value in stats.items() if not is_finite_number(value)]
        what = f"stats are finite floats, for the curves; yours has {', '.join(f'{n!r}: {shown(stats[n])}' for n in bad)}."
        self.expect(not bad, what, kind="bad_stats", minor=True)

    def _unusable(self, kind, what, evidence):
        self.witness((kind, str(evidence)))
        self.report(kind, what)
        raise EndOfCheck

    def _problems(self, got, seen, truth, arguments, rtol, atol, gradients) -> list[tuple]:
        spec, problems = self.spec, []
        mask = arguments.get("mask")
        where = arguments[spec.where] if spec.where else None
        names = spec.results
        for name, value, expected in zip(names, got, truth.results, strict=False):
            agree = compare.close(value, expected, rtol, atol)
            if where is not None:
                agree = agree | ~where
            if not agree.all():
                what = f"Wrong {name}."
                if len(got) == 2 and got[0].shape == got[1].shape and truth.is_swapped(got, rtol, atol):
                    what = f"The two results are in the wrong order: {names[0]} first, then {names[1]}."
                    return [("swapped_results", what, "", "")]
                pattern = compare.pattern(value, expected, mask) or ""
                first = compare.first_difference(name if len(got) > 1 else "result", value, expected, agree)
                shape = f" (the shape {tuple(value.shape)} is right)" if value.ndim else ""
                problems.append(("value", what, f"{first}{shape}.", pattern))
        if not gradients:
            return problems
        if spec.never_requires_grad and seen.requires_grad:
            what = "The result carries a gradient: it is a target, so it has to be a constant (no_grad or detach)."
            problems.append(("gradient", what, "", ""))
        for name in spec.gradient:
            expected, found = truth.gradients[name], seen.gradients.get(name)
            result = spec.results[0]
            if found is None:
                if expected.any():
                    what = f"No gradient reaches {name}: the result is cut off from it (detach, no_grad, item?)."
                    problems.append(("gradient", what, "", ""))
                continue
            agree = compare.close(found, expected, rtol, atol)
            if not agree.all():
                pattern = compare.pattern(found, expected, mask) or ""
                first = compare.first_difference(f"{name}.grad", found, expected, agree)
                problems.append(
                    ("gradient", f"The gradient of the {result} with respect to {name} is wrong.", f"{first}.", pattern)
                )
        for name in spec.constant:
            found = seen.gradients.get(name)
            if found is not None and found.any():
                what = f"A gradient flows to {name}, which is a constant here: detach it."
                problems.append(("gradient", what, "", ""))
        return problems

    def _smallest(self, arguments, rtol, atol, gradients) -> str:
        """The smallest cut of the inputs on which the answer is still wrong, with what came and what was expected."""

        def wrong(candidate):
            judge = Answer(self.exercise, self.implementation, self.files, seconds=self.seconds)
            dtype = next((x.dtype for x in candidate.values() if isinstance(x, torch.Tensor) and x.is_floating_point()), None)
            with under_test(self.exercise, self.implementation):
                try:
                    judge._agrees(candidate, dtype, rtol, atol, False, gradients)
                except EndOfCheck:
                    return None
                except Exception:  # the oracle refuses what is too small, such as a group of one
                    return None
            found = judge.findings[0] if judge.findings else None
            return found if found is not None and found.kind in ("value", "gradient") else None

        smallest, finding = arguments, wrong(arguments)
        for smaller in sorted(filter(promised, cuts(arguments)), key=lambda cut: not says_something(cut)):
            found = wrong(smaller)
            if found is not None and (finding is None or has_nan(found) == has_nan(finding)):
                smallest, finding = smaller, found
                break
        if finding is None:
            return ""
        shown = "\n".join(f"    {name} = {literal(value)}" for name, value in smallest.items())
        return f"The smallest input that shows it:\n{shown}\n    gives: {finding.details or finding.what}"

    def says_more(self, *args, **kwargs):
        """For inputs of no special kind the answer gives numbers, not all of them 0.

        An edge case whose right result is 0 or an exception shows nothing about code that always gives that.
        """
        arguments = self.bind(args, kwargs)
        seen = self._observe(arguments)
        results = seen.returned if isinstance(seen.returned, tuple) else (seen.returned,)
        zero = all(not x.any() if isinstance(x, torch.Tensor) else x == 0 for x in results if not isinstance(x, dict))
        got = f"raises {seen.raised.type}" if seen.raised else "gives 0"
        what = f"{self.exercise} {got} for ordinary inputs, too, so that this case shows nothing."
        self.expect(seen.raised is None and not zero, what, kind="always_the_same", minor=True)

    def raises(self, error, *args, mentions=(), **kwargs):
        """The call raises `error` with a message that mentions each of these words."""
        arguments = self.bind(args, kwargs)
        seen = self._observe(arguments)
        self.printed = self.printed or seen.printed
        got = seen.raised.type if seen.raised else "nothing"
        names = [kind.__name__ for kind in subclasses(error)]
        missing = [word for word in mentions if not seen.raised or word not in seen.raised.message]
        ok = seen.raised is not None and seen.raised.type in names
        what = f"{self.exercise} has to raise {error.__name__} here; it raised {got}."
        shown = ", ".join(f"{name} = {literal(value)}" for name, value in arguments.items())
        if self.expect(ok, what, f"With {shown}.", kind="no_error_raised", evidence=got) and mentions:
            what = f"The {error.__name__} has to name {', '.join(mentions)}, so that its reader can mend the mistake."
            self.expect(not missing, what, kind="message_says_too_little")


@dataclass
class Truth:
    """The oracle's results and gradients for some arguments, in float64."""

    results: tuple[torch.Tensor, ...]
    gradients: dict[str, torch.Tensor]
    weights: torch.Tensor  # of the first result, so that each of its elements has a gradient of its own

    @classmethod
    def of(cls, oracle, arguments, gradients, options):
        given = {}
        for name, value in arguments.items():
            given[name] = value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
            if name in gradients:
                given[name] = given[name].clone().requires_grad_()
        results = oracle(**given, **options)
        results = results if isinstance(results, tuple) else (results,)
        results = tuple(r if isinstance(r, torch.Tensor) else torch.tensor(r, dtype=torch.float64) for r in results)
        weights = torch.linspace(0.6, 1.4, results[0].numel(), dtype=torch.float64).reshape(results[0].shape)
        if results[0].numel() == 1:
            weights = torch.ones_like(weights)
        found = {}
        if gradients:
            leaves = [given[name] for name in gradients]
            total = (results[0] * weights).sum()
            grads = torch.autograd.grad(total, leaves, allow_unused=True) if total.requires_grad else [None] * len(leaves)
            found = {n: torch.zeros_like(x) if g is None else g for n, x, g in zip(gradients, leaves, grads, strict=True)}
        return cls(tuple(r.detach() for r in results), found, weights)

    def is_swapped(self, got, rtol, atol) -> bool:
        return all(compare.close(g, e, rtol, atol).all() for g, e in zip(got, reversed(self.results), strict=True))


def is_own(raised) -> bool:
    """Whether the learner's own `raise` did it, as in a stub; torch raises NotImplementedError for dtypes that it cannot do."""
    return raised.where is None or ": raise" in raised.where


def is_finite_number(value) -> bool:
    """Whether float() makes a finite number of it, as for a Python number or a tensor of one element."""
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError, RuntimeError):
        return False


def shown(value) -> str:
    return compare.number(value) if isinstance(value, float | int) else kind(value)


KNOWN_TRUTHS: dict = {}
TRUTHS_KEPT = 1000


def fingerprint(value):
    """Something hashable that tells one argument from another."""
    if isinstance(value, torch.Tensor):
        return value.dtype, tuple(value.shape), value.detach().cpu().numpy().tobytes()
    return repr(value)


def cast(arguments, dtype):
    """Float tensors in `dtype`; everything else as it is."""
    if dtype is None:
        return arguments
    return {n: x.to(dtype) if isinstance(x, torch.Tensor) and x.is_floating_point() else x for n, x in arguments.items()}


def cuts(arguments):
    """Smaller versions of the arguments, smallest first: fewer places of one row, or of two rows, of every tensor alike."""
    tensors = [x for x in arguments.values() if isinstance(x, torch.Tensor) and x.ndim]
    if not tensors:
        return
    rows = tensors[0].shape[0]
    columns = tensors[0].shape[1] if tensors[0].ndim > 1 else None
    for height, width in itertools.product((1, 2), [None] if columns is None else range(1, columns + 1)):
        for row in range(rows - height + 1):
            cut = {}
            for name, value in arguments.items():
                if isinstance(value, torch.Tensor) and value.ndim and value.shape[0] == rows:
                    value = value[row : row + height]
                    if width is not None and value.ndim > 1 and value.shape[1] == columns:
                        value = value[:, :width]
                cut[name] = value
            yield cut


def promised(arguments) -> bool:
    """Whether the inputs keep what the exercises promise: a token in each row of an attention mask, a logit for each label."""
    tokens, labels = arguments.get("attention_mask"), arguments.get("id2label")
    return (tokens is None or bool(tokens.any(-1).all())) and (labels is None or len(labels) == arguments["logits"].shape[-1])


def has_nan(finding) -> bool:
    """Whether the answer gave NaN: for a single number that is often a mistake of its own."""
    return "is nan" in finding.details


def says_something(arguments) -> bool:
    """Whether a mask among the arguments has a True place."""
    mask = arguments.get("mask")
    return mask is None or bool(mask.any())


def literal(value) -> str:
    """A value as it would be typed: nested lists for tensors."""
    if isinstance(value, torch.Tensor):
        return nested(value.tolist())
    return repr(value)


def nested(value) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(nested, value)) + "]"
    return compare.number(value)


def kind(value) -> str:
    """What something is, in the words of a message."""
    if value is None:
        return "None"
    if isinstance(value, tuple):
        return f"a {'list' if isinstance(value, Listed) else 'tuple'} of {len(value)}"
    if isinstance(value, dict):
        return "a dict"
    if isinstance(value, torch.Tensor):
        return "a single tensor"
    if isinstance(value, str) and value.startswith("<"):
        return value.strip("<>")
    return f"a {type(value).__name__}"


def subclasses(error):
    return [error, *(below for child in error.__subclasses__() for below in subclasses(child))]

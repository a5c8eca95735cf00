"""Mutants: small faults put into the code one at a time, to see which of them no test notices (Linux).

    python tools/mutate.py referee/judgement/verdict        # every mutant of one module
    python tools/mutate.py referee --sample 20 --seed 1     # twenty of each module whose name begins so
    python tools/mutate.py referee/judgement/verdict --list # the mutants; nothing is run

A mutant is the module with one place changed: a comparison, a sign, a number, a condition, a dropped statement,
two arguments swapped. It is run in a copy of the project, never in the tree, against the examples in its docstrings
and the tests that `TESTS` names for it, until the first one fails or the time is over. What survives is printed as a
diff: a test is missing, or the mutant means the same; then `tools/mutants.json` says why, and it is counted apart.
The exit code is 1 if any survived without an explanation. `--results FILE` appends one line of JSON per mutant.
Takes minutes, so it is not part of the checks.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import dataclasses
import difflib
import importlib
import importlib.util
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent

# module -> the tests that own it, the quick ones first
TESTS = {
    "referee/judgement/statistics": "referee/judgement/statistics",
    "referee/judgement/pairs": "referee/judgement/verdict referee/judgement/statistics",
    "referee/judgement/verdict_sentence": "referee/judgement/verdict",
    "referee/judgement/verdict": "referee/judgement/verdict referee/judgement/statistics",
    "referee/judgement/conclusion": "referee/judgement/conclusion",
    "referee/metrics": "referee/metrics",
    "referee/contest/schedule": "referee/contest/schedule",
    "referee/options": "referee/options cli/cli",
    "referee/protocol": "referee/protocol referee/contest/journal",
    "referee/table/target": "referee/table/robust_tables referee/table/tables",
    "referee/table/preparation": "referee/table/preparation referee/table/tables referee/table/robust_tables",
    "referee/table/task": "referee/table/preparation referee/table/tables referee/table/robust_tables",
    "executors/answers": "executors/devices executors/executors",
    "executors/measured": "executors/devices executors/sampled executors/executors",
    "executors/sampled": "executors/sampled executors/executors executors/devices",
    "executors/protocol": "executors/executors executors/devices",
    "executors/table": "executors/executors executors/devices",
    "functions/plan": "functions/plan executors/devices executors/executors",
    "functions/gradients/adjoint": (
        "functions/gradients/rules functions/gradients/table functions/gradients/choice functions/gradients/sweeps "
        "functions/batching programs/wide_registers exact"
    ),
    "functions/gradients/parameter_shift": (
        "functions/gradients/parameter_shift functions/gradients/rules functions/gradients/choice exact"
    ),
    "functions/gradients/finite_difference": (
        "functions/gradients/finite_difference functions/gradients/table functions/gradients/rules "
        "functions/gradients/choice functions/batching"
    ),
    "functions/gradients/spsa": (
        "functions/gradients/spsa functions/gradients/table functions/gradients/rules functions/gradients/choice "
        "functions/batching"
    ),
    "functions/gradients/sweeps": (
        "functions/gradients/sweeps functions/gradients/rules "
        "functions/gradients/frequencies functions/gradients/amplitude_shifts"
    ),
    "functions/gradients/frequencies": (
        "functions/gradients/frequencies functions/gradients/parameter_shift functions/gradients/rules"
    ),
    "functions/gradients/rules": (
        "functions/gradients/rules functions/gradients/table functions/gradients/choice"
    ),
    "functions/gradients/choice": "functions/gradients/choice functions/gradients/table",
    "functions/gradients/directional": "functions/gradients/directional",
    "functions/gradients/along_direction": "functions/gradients/directional functions/input_functions",
    "functions/gradients/amplitude_shifts": (
        "functions/gradients/amplitude_shifts functions/gradients/rules circuits/encodings"
    ),
    "programs/questions": "programs/questions functions/variance functions/composed",
    "programs/program": "programs/program_builder programs/questions executors/executors",
    "functions/composed": "functions/composed functions/variance",
    "training/minimise": "training/run training/minimise",
    "training/run": "training/run training/minimise",
    "training/noisy_losses": "training/optimizers training/noisy_training training/run",
    "training/optimizers/adam": "training/optimizers training/minimise training/optimizer_references",
    "training/optimizers/scipy": "training/optimizers training/run training/minimise training/optimizer_references",
    "training/optimizers/spsa": "training/optimizers training/minimise training/optimizer_references",
    "functions/input_functions": "functions/input_functions functions/gradients/directional",
    "saving/file": "saving/saving saving/limits",
    "saving/circuits": "saving/reader saving/saving saving/support_vectors saving/limits",
    "saving/classes": "saving/allow_list saving/saving",
    "saving/reader": "saving/reader saving/limits saving/saving saving/support_vectors",
    "saving/writer": "saving/reader saving/saving saving/limits",
    "saving/allow_list/support_vectors": "saving/support_vectors saving/allow_list saving/limits",
    "saving/allow_list/models": "saving/allow_list saving/saving saving/support_vectors",
    "saving/allow_list/parts": "saving/allow_list saving/saving saving/limits",
    "saving/allow_list/steps": "saving/allow_list saving/limits saving/saving",
    "saving/allow_list/shared_kinds": "saving/allow_list saving/support_vectors saving/saving",
    "saving/kinds": "saving/allow_list saving/support_vectors saving/limits saving/saving",
    "saving/arrays": "saving/reader saving/saving",
    "foundation/files": "foundation/files_linux saving/saving",
}

# Survivors that are explained: which line of which module became which, and why no test can or should notice.
KNOWN = ROOT / "tools" / "mutants.json"

# Imported once, before the first fork: most of the time of a quick test is the import of other libraries.
PRELOADED = "numpy scipy.stats scipy.optimize sklearn.model_selection sklearn.ensemble pandas skrub pytest"

COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
PLAIN = (ast.Name, ast.Attribute, ast.Call)  # conditions that no other operator changes
SYMMETRIC = {"max", "min", "np.maximum", "np.minimum"}  # swapped arguments mean the same
FAILED = ("FAILED ", "ERROR ")  # how pytest's lines on failures begin
TOLERANCE = 1e-4  # a positive number below it is taken for a tolerance: a tenth more would mean the same


@dataclass(frozen=True)
class Mutant:
    """One changed place. source: the whole module with the change; before, after: the place alone."""

    line: int
    operator: str
    before: str
    after: str
    source: str


@dataclass(frozen=True)
class Result:
    """What became of a mutant: "killed", "timeout", "explained" or "survived". killed_by: the test that failed."""

    module: str
    line: int
    operator: str
    before: str
    after: str
    outcome: str
    killed_by: str
    seconds: float


@dataclass(frozen=True)
class Project:
    """A folder with `src/PACKAGE`, and the tests of its modules."""

    root: pathlib.Path
    package: str

    def path(self, module: str) -> pathlib.Path:
        """The file of a module named like "referee/judgement/statistics"."""
        return self.root / "src" / self.package / f"{module}.py"


# -------------------------------------------------------------------------------------------------- the changes


def mutants(source: str) -> list[Mutant]:
    """Every mutant of a module's text, in the order of its lines."""
    found = []
    original = ast.dump(ast.parse(source))
    for node, operator, text in _changes(ast.parse(source)):
        mutant = _replaced(source, node, operator, text)
        with contextlib.suppress(SyntaxError):
            if ast.dump(ast.parse(mutant.source)) != original:
                found.append(mutant)
    return sorted(found, key=lambda mutant: mutant.line)


def _replaced(source: str, node: ast.expr | ast.stmt, operator: str, text: str) -> Mutant:
    lines = source.encode().splitlines(keepends=True)  # the columns of the parser count bytes
    last, end = node.end_lineno or node.lineno, node.end_col_offset or 0
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    stop = sum(map(len, lines[: last - 1])) + end
    whole = source.encode()
    changed = whole[:start] + text.encode() + whole[stop:]
    return Mutant(node.lineno, operator, whole[start:stop].decode(), text, changed.decode())


def _changes(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str, str]]:
    """The places below a node, what is done to each, and the new text."""
    if isinstance(node, ast.expr | ast.stmt):
        for operator, text in _new_texts(node):
            yield node, operator, text
    if isinstance(node, ast.If | ast.IfExp | ast.While) and isinstance(node.test, PLAIN) and _children(node):
        yield node.test, "condition", f"(not {ast.unparse(node.test)})"
    for child in _children(node):
        yield from _changes(child)


def _children(node: ast.AST) -> list[ast.AST]:
    """The parts of a node whose change would be noticed: no annotations, decorators, messages or type checks."""
    match node:
        case ast.JoinedStr() | ast.Raise():
            return []
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return []
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [*node.args.defaults, *(value for value in node.args.kw_defaults if value), *node.body]
        case ast.ClassDef():
            return list(node.body)
        case ast.AnnAssign():
            return [node.value] if node.value else []
        case _:
            return list(ast.iter_child_nodes(node))


def _new_texts(node: ast.expr | ast.stmt) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Compare():
            yield from _comparisons(node)
        case ast.BinOp(left, op, right) if type(op) in ARITHMETIC:
            yield "arithmetic", f"({ast.unparse(ast.BinOp(left, ARITHMETIC[type(op)](), right))})"
        case ast.BoolOp(op, values):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield "and/or", f"({ast.unparse(ast.BoolOp(other, values))})"
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield "dropped sign", f"({ast.unparse(operand)})"
        case ast.Constant(value=bool() | int() | float() as value):
            yield from (("number", repr(other)) for other in _other_numbers(value))
        case ast.Call(func, [first, second, *rest], keywords) if _may_be_swapped(node):
            yield "swapped", ast.unparse(ast.Call(func, [second, first, *rest], keywords))
        case ast.IfExp(test, body, orelse):
            yield "branch", f"({ast.unparse(ast.IfExp(test, orelse, body))})"
        case ast.Return(value) if value is not None and not _is_none(value):
            yield "returned None", "return None"
        case (
            ast.Expr(ast.Call() | ast.Yield()) | ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break()
        ):
            yield "dropped", "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "dropped", "pass"
        case _:  # nothing that a test would notice
            return


def _comparisons(node: ast.Compare) -> Iterator[tuple[str, str]]:
    for place, operator in enumerate(node.ops):
        changed = [*node.ops[:place], COMPARISONS[type(operator)](), *node.ops[place + 1 :]]
        yield "comparison", f"({ast.unparse(ast.Compare(node.left, changed, node.comparators))})"


def _other_numbers(value: bool | int | float) -> list[bool | int | float]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1] if value > 0 else [value + 1]
    if 0 < value < TOLERANCE:
        return [value * 1e6, value * 1e-6]
    return [value * 1.1, value / 1.1] if value else [1.0]


def _may_be_swapped(call: ast.Call) -> bool:
    starred = any(isinstance(argument, ast.Starred) for argument in call.args)
    return not starred and ast.unparse(call.func) not in SYMMETRIC


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


# ------------------------------------------------------------------------------------------------------ the runs


def copied(project: Project, folder: pathlib.Path) -> Project:
    """A copy of the project, with the compiled core that Python would load."""
    left_out = shutil.ignore_patterns(".*", "__pycache__", "build", "results", "venv")
    shutil.copytree(project.root, folder, ignore=left_out)
    package = folder / "src" / project.package
    for place in map(pathlib.Path, sys.path):
        for core in (place / project.package).glob("_native*.so"):
            if not any(package.glob("_native*.so")):
                shutil.copy(core, package)
    return Project(folder, project.package)


def run_tests(project: Project, tests: Sequence[str], log: pathlib.Path, limit: float) -> int | None:
    """The exit code of pytest in a process of its own, stopped at the first failure; None: the time was over."""
    process = multiprocessing.get_context("fork").Process(target=_pytest, args=(project, tests, log))
    process.start()
    process.join(limit)
    if process.exitcode is None:
        os.killpg(process.pid or 0, signal.SIGKILL)  # with what it has started
        process.join()
        return None
    return process.exitcode


def _pytest(project: Project, tests: Sequence[str], log: pathlib.Path) -> None:
    os.setsid()
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(project.root)
    os.environ |= {"PYTHONPATH": str(project.root / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.path.insert(0, str(project.root / "src"))
    sys.meta_path[:] = [finder for finder in sys.meta_path if "Redirecting" not in type(finder).__name__]
    found = importlib.util.find_spec(project.package)
    if found is None or not pathlib.Path(found.origin or "").is_relative_to(project.root):
        sys.exit(f"{project.package} is not imported from the copy")
    import pytest

    code = pytest.main(["-q", "-x", "-ra", "--tb=no", "-p", "no:cacheprovider", *tests])
    sys.stdout.flush()
    sys.exit(int(code))


def run_module(
    project: Project, module: str, tests: Sequence[str], asked: argparse.Namespace
) -> Iterator[tuple[Result, Mutant]]:
    """The results of the mutants of a module. Raises SystemExit if its tests fail without any."""
    path, log = project.path(module), project.root / "mutant.log"
    source = path.read_text(encoding="utf-8")
    owners = [str(path.relative_to(project.root)), *tests]
    usual = _seconds_unchanged(project, module, owners, log)
    limit = asked.limit or 20 + 5 * usual
    try:
        for mutant in _sampled(mutants(source), asked.sample, f"{asked.seed} {module}"):
            path.write_text(mutant.source, encoding="utf-8")
            began = time.monotonic()
            code = run_tests(project, owners, log, limit)
            yield _result(module, mutant, code, log, time.monotonic() - began), mutant
    finally:
        path.write_text(source, encoding="utf-8")


def _sampled(found: list[Mutant], sample: int | None, seed: str) -> list[Mutant]:
    if sample is None or sample >= len(found):
        return found
    return [found[place] for place in sorted(random.Random(seed).sample(range(len(found)), sample))]


def _seconds_unchanged(project: Project, module: str, owners: Sequence[str], log: pathlib.Path) -> float:
    began = time.monotonic()
    sys.dont_write_bytecode = False  # of all modules, for the runs that follow
    if run_tests(project, owners, log, 600) != 0:
        raise SystemExit(f"The tests of {module} fail without any change:\n{log.read_text(encoding='utf-8')}")
    sys.dont_write_bytecode = (
        True  # of no mutant: it may be as long as the module and written in the same second
    )
    compiled = importlib.util.cache_from_source(str(project.path(module)))
    pathlib.Path(compiled).unlink(missing_ok=True)
    return time.monotonic() - began


def _result(module: str, mutant: Mutant, code: int | None, log: pathlib.Path, seconds: float) -> Result:
    outcome = {None: "timeout", 0: "survived"}.get(code, "killed")
    failures = [line for line in log.read_text("utf-8", "replace").splitlines() if line.startswith(FAILED)]
    killed_by = failures[0].split()[1] if failures and outcome == "killed" else ""
    place = (mutant.line, mutant.operator, mutant.before, mutant.after)
    return Result(module, *place, outcome, killed_by, round(seconds, 2))


def shown(module: str, mutant: Mutant, source: str) -> str:
    """The mutant as a diff without context."""
    return "\n".join([f"{module}.py:{mutant.line}: {mutant.operator}", *_difference(mutant, source)])


def _difference(mutant: Mutant, source: str) -> list[str]:
    lines = difflib.unified_diff(source.splitlines(), mutant.source.splitlines(), lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def explained(module: str, mutant: Mutant, source: str, known: Sequence[dict[str, str]]) -> bool:
    """Whether the file of known survivors has this change of this module, wherever its line stands today."""
    changes = _difference(mutant, source)
    before = "\n".join(line[1:].strip() for line in changes if line.startswith("-"))
    after = "\n".join(line[1:].strip() for line in changes if line.startswith("+"))
    return any((item["module"], item["before"], item["after"]) == (module, before, after) for item in known)


# ----------------------------------------------------------------------------------------------- the command line


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="beginnings of names; all of the table")
    parser.add_argument(
        "--sample", type=int, metavar="N", help="N mutants of each module, chosen by the seed"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="print the mutants and run nothing")
    parser.add_argument(
        "--results", type=pathlib.Path, metavar="FILE", help="append one line of JSON per mutant"
    )
    parser.add_argument("--tests", nargs="+", metavar="FILE", help="in place of the tests in the table")
    parser.add_argument(
        "--limit", type=float, metavar="SECONDS", help="for one mutant; five times the tests' own"
    )
    parser.add_argument("--root", type=pathlib.Path, default=ROOT, help="another project than this one")
    parser.add_argument("--package", default="ketgrad", help="its package, in ROOT/src")
    return parser.parse_args()


def chosen_modules(asked: argparse.Namespace) -> list[str]:
    """The modules of the table that were asked for, or with `--tests` the ones that were named."""
    if asked.tests:
        return asked.modules
    names = [name for name in TESTS if not asked.modules or name.startswith(tuple(asked.modules))]
    if not names:
        raise SystemExit(f"No module of the table begins with {asked.modules}; it has {', '.join(TESTS)}.")
    return names


def tests_of(module: str, asked: argparse.Namespace) -> list[str]:
    """The test files of a module."""
    if asked.tests:
        return asked.tests
    places = (name.rpartition("/") for name in TESTS[module].split())
    return [f"tests/{folder}{slash}test_{name}.py" for folder, slash, name in places]


def run(asked: argparse.Namespace, project: Project) -> int:
    """Run the mutants that were asked for; returns how many survived."""
    survivors, known = 0, json.loads(KNOWN.read_text(encoding="utf-8"))
    for module in chosen_modules(asked):
        source = project.path(module).read_text(encoding="utf-8")
        counts: dict[str, int] = dict.fromkeys(("killed", "timeout", "explained", "survived"), 0)
        for result, mutant in run_module(project, module, tests_of(module, asked), asked):
            if result.outcome == "survived" and explained(module, mutant, source, known):
                result = dataclasses.replace(result, outcome="explained")
            counts[result.outcome] += 1
            if result.outcome == "survived":
                print(shown(module, mutant, source), flush=True)
            if asked.results:
                with asked.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(dataclasses.asdict(result), ensure_ascii=False) + "\n")
        survivors += counts["survived"]
        print(
            f"{module}: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()), flush=True
        )
    return survivors


def main() -> int:
    """Run or list the mutants named on the command line."""
    asked = parsed()
    project = Project(asked.root.resolve(), asked.package)
    if asked.list:
        for module in chosen_modules(asked):
            source = project.path(module).read_text(encoding="utf-8")
            print("\n".join(shown(module, mutant, source) for mutant in mutants(source)))
        return 0
    for name in PRELOADED.split() if project.root == ROOT else ():
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        return int(run(asked, copied(project, pathlib.Path(folder) / "copy")) > 0)


if __name__ == "__main__":
    sys.exit(main())

"""The house holds: imports only go down the layers, frameworks stay in bridges, nothing runs text as code."""

import ast
import json
import pathlib
import re
import subprocess
import sys

import pytest

import ketgrad

PACKAGE = pathlib.Path(ketgrad.__path__[0])

# ARCHITECTURE.md, top to bottom: a module may import from its own row of the table and from the rows above it.
PAGE = pathlib.Path(__file__).parent.parent / "ARCHITECTURE.md"
ROWS = re.findall(r"^\| \d[^|]+\|([^|]+)\|", PAGE.read_text("utf-8"), re.MULTILINE)
LEVEL = {
    name: level
    for level, row in enumerate(ROWS)
    for words in re.findall("`([^`]+)`", row)
    for name in words.split()
}


def level(module: str) -> int:
    """The row of a module; a part of one, as qasm_reader.py of qasm.py, stands beside it.

    A module that stands in no row is a KeyError: name it in the table of ARCHITECTURE.md.
    """
    name = module.split(".")[1]
    return LEVEL[name if name in LEVEL else name.split("_")[0]]


FRAMEWORKS = {
    "torch", "jax", "jaxlib", "keras", "tensorflow", "pennylane", "catalyst", "qiskit", "qiskit_aer", "cirq",
    "braket", "qulacs", "pyscf", "openfermion", "dimod", "dwave", "mitiq", "stim", "quimb",
}  # fmt: skip

MODULES = {path.relative_to(PACKAGE): ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")}


def dotted(path: pathlib.Path) -> str:
    """ketgrad.executors.native for executors/native.py; ketgrad.executors for executors/__init__.py."""
    parts = ("ketgrad", *path.with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {dotted(path) for path in MODULES} | {"ketgrad._native"}


def targets(node: ast.stmt, path: pathlib.Path) -> list[str]:
    """The dotted names of the modules that one import statement of the file `path` loads."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        package = ("ketgrad", *path.parts[:-1])
        above = package[: len(package) - (node.level - 1)]
        base = ".".join([*above, *([node.module] if node.module else [])])
    # `from ketgrad.circuits import op` loads the module; `from ketgrad.circuits.op import Op` no module Op
    loaded = [f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}" in NAMES]
    return loaded or [base]


def imports(path: pathlib.Path, anywhere: bool = True) -> list[str]:
    """All modules that a file imports: anywhere in it, or only when it is loaded itself."""
    found, todo = [], list(MODULES[path].body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.stmt):
            found += targets(node, path)
        if anywhere or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            todo += [child for child in ast.iter_child_nodes(node)]
    return found


def is_ours(module: str) -> bool:
    return module.startswith("ketgrad.")


@pytest.mark.parametrize("path", sorted(MODULES), ids=str)
def test_imports_only_go_down_the_layers(path):
    module = dotted(path)
    if module == "ketgrad":
        return  # the public names: the only file that may name every layer
    upwards = [name for name in imports(path) if is_ours(name) and level(name) > level(module)]
    assert not upwards, f"{module} imports from a layer above its own: {upwards}"


@pytest.mark.parametrize("path", sorted(MODULES), ids=str)
def test_no_module_but_the_bridges_imports_a_framework(path):
    if path.parts[0] == "bridges":
        return
    found = FRAMEWORKS & {name.split(".")[0] for name in imports(path)}
    assert not found, f"{dotted(path)} imports {sorted(found)}: frameworks are imported in bridges/ only"


def test_loading_a_module_never_comes_back_to_it():
    loads = {
        dotted(path): {name for name in imports(path, anywhere=False) if is_ours(name)} for path in MODULES
    }
    finished: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"import cycle: {' -> '.join([*trail, module])}"
        if module not in finished:
            for name in sorted(loads.get(module, ())):
                visit(name, (*trail, module))
            finished.add(module)

    for module in sorted(loads):
        visit(module, ())


BANNED_CALLS = {"eval", "exec", "__import__", "system", "popen", "sympify", "parse_expr"}
BANNED_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "yaml"}


def dangers(tree: ast.AST):
    """Every place where text or a file could be run as code."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in BANNED_CALLS:
            yield f"line {node.lineno}: {called}()"
        for keyword in node.keywords:
            if keyword.arg in ("shell", "allow_pickle") and getattr(keyword.value, "value", True):
                yield f"line {node.lineno}: {keyword.arg}={ast.unparse(keyword.value)}"


@pytest.mark.parametrize("path", sorted(MODULES), ids=str)
def test_no_module_can_run_text_or_a_file_as_code(path):
    assert not list(dangers(MODULES[path]))
    unsafe = BANNED_MODULES & {name.split(".")[0] for name in imports(path)}
    assert not unsafe, f"{dotted(path)} imports {sorted(unsafe)}"


@pytest.mark.parametrize(
    "text",
    ["eval('1')", "os.system('ls')", "subprocess.run('ls', shell=True)", "np.load(f, allow_pickle=True)"],
)
def test_the_ban_sees_what_it_bans(text):
    assert list(dangers(ast.parse(text)))


def loaded_by(statement: str) -> set[str]:
    """The top-level names of all modules that a fresh interpreter has loaded after `statement`."""
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return set(json.loads(output))


def test_importing_the_package_loads_numpy_and_little_else():
    extra = loaded_by("import ketgrad") - loaded_by("import numpy")
    heavy = {"scipy", "sklearn", "matplotlib", "pandas", "pyarrow", "skrub", "rich", "jinja2"} | FRAMEWORKS
    assert not heavy & {name.split(".")[0] for name in extra}
    assert len(extra) < 60, f"`import ketgrad` loads {len(extra)} modules more than NumPy: {sorted(extra)}"


def test_building_and_evaluating_a_circuit_loads_neither_scipy_nor_sklearn():
    statement = (
        "import ketgrad as kg\n"
        "f = kg.expectation(kg.Circuit([kg.rx(kg.w[0], 0)]), kg.Pauli('Z0'))\n"
        "f.vjp([0.3], [], [1.0])"
    )
    assert not {"scipy", "sklearn", "pandas", "matplotlib"} & loaded_by(statement)

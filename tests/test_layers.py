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

# Folders of src/ketgrad, bottom to top: a module imports from its own folder and from those before it.
LAYERS = (
    "foundation", "circuits", "programs", "executors", "functions", "training", "kernels", "problems", "models",
    "saving", "bridges", "datasets", "referee", "cli",
)  # fmt: skip

# Class names that stand twice because both are promised: the names of our gradient rules and optimizers, and those
# that the users of a framework expect from its bridge.
PROMISED_TWICE = {"SPSA", "Layer", "Estimator", "Imported"}

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


def targets(node: ast.stmt) -> list[str]:
    """The dotted names of the modules that one import statement loads."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    assert not node.level, "imports are written with the whole path, so that a reader sees the layer"
    base = node.module or ""
    if base == "ketgrad":  # which is above all: `import ketgrad.executors as executors` names the layer
        return [base]
    # `from ketgrad.circuits import op` loads the module op; `from ketgrad.circuits.op import Op` no module Op
    return [f"{base}.{alias.name}" if f"{base}.{alias.name}" in NAMES else base for alias in node.names]


def imports(tree: ast.AST) -> set[str]:
    """All modules that a file imports: when it is loaded, in a function, or for types only."""
    return {name for node in ast.walk(tree) if isinstance(node, ast.stmt) for name in targets(node)}


ARROWS = {
    dotted(path): {name for name in imports(tree) if name.split(".")[0] == "ketgrad"}
    for path, tree in MODULES.items()
}


def layer(module: str) -> int:
    """The place of a module's folder among the layers; the two files beside the folders and the core have none."""
    folder = module.split(".")[1]
    return {"_native": LAYERS.index("executors"), "__main__": len(LAYERS)}.get(folder) or LAYERS.index(folder)


def upward(module: str, loaded: set[str]) -> list[str]:
    """What a module imports from a layer above its own; the package itself, with all public names, is above all."""
    return sorted(
        name for name in loaded if name == "ketgrad" or (name != module and layer(name) > layer(module))
    )


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in turn, the first one again at the end; empty if there are none."""
    finished: set[str] = set()

    def visit(module: str, trail: list[str]) -> list[str]:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        if module in finished:
            return []
        found = next(filter(None, (visit(name, [*trail, module]) for name in sorted(arrows[module]))), [])
        finished.add(module)
        return found

    return next(filter(None, (visit(module, []) for module in sorted(arrows))), [])


def test_every_folder_is_a_layer_and_says_which():
    folders = {path.parts[0] for path in MODULES if len(path.parts) > 1}
    assert folders == set(LAYERS), "name a new folder in LAYERS, where its imports point down"
    for number, folder in enumerate(LAYERS, 1):
        text = ast.get_docstring(MODULES[pathlib.Path(folder, "__init__.py")]) or ""
        assert text.startswith(f"Layer {number}: "), (
            f"the docstring of {folder}/ begins 'Layer {number}: ...'"
        )
    beside = {str(path) for path in MODULES if len(path.parts) == 1}
    assert beside == {"__init__.py", "__main__.py"}


def test_the_page_of_the_design_lists_the_layers_in_their_order():
    page = (pathlib.Path(__file__).parent.parent / "ARCHITECTURE.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) `(\w+)` \|", page, re.MULTILINE)
    assert rows == [(str(number), folder) for number, folder in enumerate(LAYERS, 1)]


@pytest.mark.parametrize("path", sorted(MODULES), ids=str)
def test_imports_only_go_down_the_layers(path):
    module = dotted(path)
    if module == "ketgrad":
        return  # the public names: the only file that may name every layer
    found = upward(module, ARROWS[module])
    assert not found, f"{module} imports from a layer above its own: {found}"


def test_no_module_comes_back_to_itself_by_imports_of_any_kind():
    known = {module: {name for name in loaded if name in ARROWS} for module, loaded in ARROWS.items()}
    found = circle(known)
    assert not found, f"import circle: {' -> '.join(found)}"


def test_the_layers_see_what_they_refuse():
    assert upward("ketgrad.circuits.op", {"ketgrad.circuits.gates", "ketgrad.foundation.errors"}) == []
    assert upward("ketgrad.circuits.op", {"ketgrad.cli.main", "ketgrad"}) == ["ketgrad", "ketgrad.cli.main"]
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    tree = ast.parse("if TYPE_CHECKING:\n import a\ndef f():\n from b import c")
    assert imports(tree) == {"a", "b"}


def test_no_class_name_stands_twice():
    places: dict[str, list[str]] = {}
    for path, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name.lstrip("_"), []).append(str(path))
    twice = {name: found for name, found in places.items() if len(found) > 1 and name not in PROMISED_TWICE}
    assert not twice, f"one word means one thing: {twice}"


@pytest.mark.parametrize("path", sorted(MODULES), ids=str)
def test_no_module_but_the_bridges_imports_a_framework(path):
    if path.parts[0] == "bridges":
        return
    found = FRAMEWORKS & {name.split(".")[0] for name in imports(MODULES[path])}
    assert not found, f"{dotted(path)} imports {sorted(found)}: frameworks are imported in bridges/ only"


def test_the_tests_mirror_the_folders():
    folders = {path.name for path in pathlib.Path(__file__).parent.iterdir() if path.is_dir()}
    ours = folders - {"golden", "support"} - {name for name in folders if name.startswith("__")}
    assert ours <= set(LAYERS), (
        f"folders of tests without a folder in src/ketgrad: {sorted(ours - set(LAYERS))}"
    )


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
    unsafe = BANNED_MODULES & {name.split(".")[0] for name in imports(MODULES[path])}
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


@pytest.mark.parametrize(
    "path", sorted(pathlib.Path(__file__).parent.rglob("test_*.py")), ids=lambda p: p.name
)
def test_no_test_leaves_itself_out(path):
    """What the checks need is installed by them; a library that is missing is a failure, and no skip."""
    names = {
        node.attr for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Attribute)
    }
    assert not names & {"skip", "skipif", "importorskip", "xfail"}

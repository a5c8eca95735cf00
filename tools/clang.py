"""The core under a second compiler: built with Clang without a warning, its tests run, other systems as far as they go.

    python tools/clang.py                         # build with the Clang of PyPI's ziglang, run the native tests on it
    python tools/clang.py --compiler clang++      # with another Clang; its standard library is then that of the system
    python tools/clang.py --cross                 # compile the core for other systems; links and runs nothing

Everything else is built with the compiler of the system, which on Linux is GCC. Builds into build/clang; needs what
`pip install ".[test]"` brings: cmake, ninja, nanobind, ziglang. The exit code is 0 only if all went well.
"""

import argparse
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "clang"
ZIG = [sys.executable, "-m", "ziglang", "c++"]
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
# Wherever these lie below tests/; the programs of cpp/tests are compiled with $CXX.
TESTS = (
    "test_native_*", "test_tiny", "test_accuracy", "test_directional", "test_kernels", "test_core_programs_linux",
)  # fmt: skip
# What zig calls them, with the kernels that are compiled for each: name, bytes of a vector, flags.
BASELINE = ("baseline", 16, ())
X86 = (
    BASELINE,
    ("avx2", 32, ("-mavx2", "-mfma")),
    ("avx512", 64, ("-mavx512f", "-mavx512dq", "-mavx512vl", "-mfma")),
)
SYSTEMS = {
    "x86_64-linux-gnu": X86,
    "aarch64-linux-gnu": (BASELINE,),
    "x86_64-macos": X86,
    "aarch64-macos": (BASELINE,),
    "x86_64-windows-gnu": X86,
}
ENGINES = ("gram", "lanes", "blocks", "duals")


def wrapper(compiler: str | None) -> pathlib.Path:
    """A compiler as one program, which is all that CMake takes; zig would build for this very processor."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    target = FOLDER / "clang++"
    command = shlex.split(compiler) if compiler else [*ZIG, "-mcpu=baseline"]
    target.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    target.chmod(0o755)
    return target


def build(compiler: str | None) -> pathlib.Path:
    """Configure and build the module; returns the folder of a package that holds it."""
    configure = [
        "cmake",
        "-G",
        "Ninja",
        f"-DPython_EXECUTABLE={sys.executable}",
        "-DCMAKE_BUILD_TYPE=Release",
    ]
    configure += [f"-DCMAKE_CXX_COMPILER={wrapper(compiler)}", "-DKETGRAD_WARNINGS=ON", str(ROOT)]
    subprocess.run(configure, cwd=FOLDER, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "_native"], cwd=FOLDER, check=True)
    package = FOLDER / "site" / "ketgrad"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(
        ROOT / "src" / "ketgrad", package, ignore=shutil.ignore_patterns("_native*", "__pycache__")
    )
    for module in FOLDER.glob("_native*.so"):
        shutil.copy(module, package)
    return package.parent


def test_files() -> list[str]:
    """The files of TESTS; a name that none has is an error."""
    found = {name: sorted((ROOT / "tests").rglob(f"{name}.py")) for name in TESTS}
    missing = [name for name, files in found.items() if not files]
    if missing:
        raise SystemExit(f"no such tests: {', '.join(missing)}")
    return [str(path) for files in found.values() for path in files]


def run_tests(site: pathlib.Path, arguments: list[str]) -> int:
    """The native tests on that package."""
    environment = os.environ | {"PYTHONPATH": str(site), "CXX": str(FOLDER / "clang++")}
    asked = [sys.executable, "-c", "from ketgrad import _native; print(_native.__file__)"]
    loaded = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout
    assert site in pathlib.Path(loaded.strip()).parents, f"not the module that was built: {loaded}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(arguments or test_files())]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def objects(system: str, target: pathlib.Path) -> list[list[str]]:
    """The commands that compile the core, all of it but what includes Python.h, for another system."""
    common = [
        *ZIG,
        "-target",
        system,
        "-mcpu=baseline",
        "-std=gnu++20",
        "-O1",
        *WARNINGS,
        "-I",
        str(ROOT / "cpp"),
    ]
    common += ["-DKETGRAD_X86_TARGETS"] * (len(SYSTEMS[system]) > 1)
    folders = [entry for entry in sorted((ROOT / "cpp").iterdir()) if entry.is_dir()]
    sources = [
        str(path)
        for folder in folders
        if folder.name not in {"python", "tests"}
        for path in sorted(folder.glob("*.cpp"))
    ]
    commands = [[*common, "-c", source, "-o", str(target)] for source in sources]
    for name, width, flags in SYSTEMS[system]:
        for engine in ENGINES:
            for real in ("double", "float"):
                defined = [
                    f"-DKETGRAD_TARGET={name}",
                    f"-DKETGRAD_VECTOR_BYTES={width}",
                    f"-DKETGRAD_REAL={real}",
                ]
                table = str(ROOT / "cpp" / engine / "kernels" / "table.cpp")
                commands.append([*common, *flags, *defined, "-c", table, "-o", str(target)])
    return commands


def cross() -> int:
    """Compile the core for each system; prints what of it did not compile."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for system in SYSTEMS:
            commands = objects(system, pathlib.Path(folder) / "object.o")
            wrong = [command for command in commands if subprocess.run(command).returncode]
            print(f"{system:20} {len(commands) - len(wrong)} of {len(commands)} files compile", flush=True)
            failed += len(wrong)
    return int(failed > 0)


def main() -> int:
    """Build and test, or compile for other systems."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--compiler", metavar="COMMAND", help="another Clang than that of ziglang")
    parser.add_argument("--cross", action="store_true", help="compile for other systems instead")
    parser.add_argument("tests", nargs="*", help="arguments of pytest; the native tests if there are none")
    chosen = parser.parse_args()
    if chosen.cross:
        return cross()
    return run_tests(build(chosen.compiler), chosen.tests)


if __name__ == "__main__":
    sys.exit(main())

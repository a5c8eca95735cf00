"""What `ketgrad info` says: versions, instruction set, threads, extras."""

from __future__ import annotations

import platform
from importlib import metadata

CORE_PACKAGES = ("numpy", "scipy", "scikit-learn")
EXTRAS = {
    "compare": ("click", "jinja2", "matplotlib", "pandas", "pyarrow", "rich", "skrub"),
    "draw": ("matplotlib",),
}


def info_text() -> str:
    """Versions, instruction set, threads and extras as lines of text; a missing extra with its install line."""
    from ketgrad.executors.native import default_threads
    from ketgrad.foundation.version import __version__

    lines = [f"ketgrad {__version__}", f"Python {platform.python_version()} on {platform.platform()}"]
    lines += [f"instruction set: {_instruction_set()}", f"threads: {default_threads()}"]
    lines += ["", *(_package_line(name) for name in CORE_PACKAGES)]
    for extra, packages in EXTRAS.items():
        found = [_package_line(name) for name in packages]
        complete = all("not installed" not in line for line in found)
        lines += [
            "",
            f"extra [{extra}]: " + ("complete" if complete else f"pip install 'ketgrad[{extra}]'"),
            *found,
        ]
    return "\n".join(lines)


def _instruction_set() -> str:
    """What the compiled core uses on this processor, and what else it could."""
    try:
        import ketgrad._native as _native
    except ImportError as error:
        return f"none, the compiled core cannot be loaded ({error}): pip install --force-reinstall ketgrad"
    best, *others = _native.instruction_sets()
    return best + (f" (also usable: {', '.join(others)})" if others else "")


def _package_line(name: str) -> str:
    try:
        return f"  {name:<14}{metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return f"  {name:<14}not installed"

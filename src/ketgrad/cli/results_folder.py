"""The folder of the results: refused before any work if nothing can be written there, then written all or none."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ketgrad.foundation.errors import KetgradOSError
from ketgrad.foundation.text import visible

if TYPE_CHECKING:
    from ketgrad.referee.results import Comparison

OUTPUT_FILES = ("report.html", "scores.csv", "results.json")  # the one that programs read is complete last
JOURNAL_FILE = "fits.jsonl"


def check_folder(folder: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse before any work what could not be written after it."""
    _check_name(folder)
    journal = folder / JOURNAL_FILE
    for name in OUTPUT_FILES:
        if os.path.lexists(folder / name) and not overwrite and not (resume and journal.is_file()):
            finished = "are there" if not resume else "are complete"
            way_out = (
                f"the results of an earlier run {finished}; add --overwrite, or choose a folder with --out"
            )
            raise KetgradOSError(errno.EEXIST, way_out, str(folder / name))
    if os.path.lexists(journal) and not overwrite and not resume:
        way_out = (
            "the fits of a run that did not end are there; add --resume to go on from them, or --overwrite"
        )
        raise KetgradOSError(errno.EEXIST, way_out, str(journal))
    existing = next(parent for parent in (folder, *folder.absolute().parents) if os.path.lexists(parent))
    if not existing.is_dir():
        raise KetgradOSError(
            errno.ENOTDIR, "the results need a folder, but there is a file in its place", str(existing)
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise KetgradOSError(
            errno.EACCES, "nothing may be written in this folder; choose another with --out", str(existing)
        )


def _check_name(folder: Path) -> None:
    """Refuse a name that no folder can have: too long, or with a NUL character."""
    whole = folder.absolute()
    existing = Path(whole.anchor)
    for part in whole.parts[1:]:
        _refuse_impossible(
            existing / part, folder
        )  # in the last folder that exists, for only names matter here
        existing = existing / part if (existing / part).is_dir() else existing
    _refuse_impossible(whole / max(OUTPUT_FILES, key=len), folder)


def _refuse_impossible(path: Path, folder: Path) -> None:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it contains a NUL character"
        way_out = f"no folder can have this name ({reason}); choose another with --out"
        raise KetgradOSError(errno.ENAMETOOLONG, way_out, visible(folder, 200)) from None


def write_results(
    comparison: Comparison, folder: Path, command: str = "", *, overwrite: bool = False, raw_csv: bool = False
) -> tuple[Path, ...]:
    """Write report.html, scores.csv and results.json into `folder`, all or none, and return their paths.

    They take their places in this order. The report names the digest of the results that it shows.
    """
    from ketgrad.foundation.files import write_together
    from ketgrad.referee.report.page import render
    from ketgrad.referee.report.scores import scores_csv

    texts = (render(comparison, command), scores_csv(comparison, raw=raw_csv), comparison.to_json())
    # A name that is no text in any encoding stays readable: JSON takes \udcff for what it was.
    contents: dict[str | os.PathLike[str], str | bytes] = {
        folder / name: text.encode("utf-8", "backslashreplace")
        for name, text in zip(OUTPUT_FILES, texts, strict=True)
    }
    return write_together(contents, overwrite=overwrite)

"""ketgrad beside other libraries: measures all of them in one run, and writes the page, the data and the picture.

    python benchmarks/peers/measure.py HARNESS               # all workloads, one thread, about an hour
    python benchmarks/peers/measure.py HARNESS --workloads W1,W4
    python benchmarks/peers/measure.py                       # only the page and the picture, from the data

HARNESS is the folder of the peer harness (its run.py, workloads.py and adapters). Each library has an environment of
its own, $QML_PEERS_VENVS/NAME/bin/python, ketgrad's is called `ours`. A case that another process disturbed is measured
again. The rows of a workload replace the older ones in results/peers.jsonl. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE.parent / "results"
DATA = RESULTS / "peers.jsonl"
US = "ketgrad"
WHOLE = "ketgrad-whole"  # with all qubits of W3 simulated: a case of its own, `.../all`
PEERS = {
    "W1": "catalyst_,pl_jax,tensorcircuit_,qulacs_,pl_lightning",
    "W2": "tensorcircuit_,qulacs_,pl_jax",
    "W3": "pl_lightning,qulacs_,qsim_",
    "W4": "tensorcircuit_,catalyst_,pl_lightning,qulacs_",
    "W5": "catalyst_,pl_lightning,tensorcircuit_,qulacs_",
    "W6": "qulacs_,pl_lightning",
    "W8": "qulacs_,pl_lightning",
}
# How many times faster than the fastest other library we mean to be; W8: 1 is as fast.
GOALS = {
    "W1/n4": 15, "W1/n8": 25, "W1/n10": 25, "W1/n12": 20, "W1/n16": 10, "W2/N1000/n8": 3, "W2/N1000/n12": 3.5,
    "W3/n20": 2.5, "W3/n22": 5, "W3/n24": 6, "W4": 8, "W5/n16": 10, "W5/n20": 12, "W6": 4,
}  # fmt: skip
LEAST_SHARE = 0.93  # of the core that a measurement must have had, or it counts as disturbed


@dataclass(frozen=True)
class Case:
    """One line of the page: our row and the fastest row of another library in double precision."""

    name: str
    ours: dict[str, Any]
    other: dict[str, Any]

    @property
    def ratio(self) -> float:
        """How many times faster ketgrad is."""
        return self.other["median_s"] / self.ours["median_s"]

    @property
    def goal(self) -> float | None:
        """The goal for this case, if there is one."""
        found = [goal for prefix, goal in GOALS.items() if (self.name + "/").startswith(prefix + "/")]
        return found[0] if found else None


def measure(harness: pathlib.Path, workloads: list[str], threads: int, rounds: int) -> None:
    """Run the harness with our adapters in it, one workload after the other, each as many times as there are rounds."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(shutil.copytree(harness, pathlib.Path(folder) / "harness"))
        for adapter in ("ours.py", "ours_whole.py"):
            shutil.copy(HERE / adapter, copy / "adapters" / adapter)
        for workload in workloads:
            fresh = pathlib.Path(folder) / f"{workload}.jsonl"
            command = [
                sys.executable,
                str(copy / "run.py"),
                "--workloads",
                workload,
                "--threads",
                str(threads),
            ]
            peers = "ours,ours_whole" if workload == "W3" else "ours"
            peers += f",{PEERS[workload]}" if threads == 1 else ""
            for _ in range(rounds):
                subprocess.run([*command, "--peers", peers, "--out", str(fresh)], check=True)
            subprocess.run([*command[:2], "--redo", str(fresh), "--out", str(fresh)], check=True)
            merge(rows_of(fresh), threads)


def rows_of(path: pathlib.Path) -> list[dict[str, Any]]:
    """The measurements in a file of JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def merge(fresh: list[dict[str, Any]], threads: int) -> None:
    """Put the rows of a run in the place of the older rows of the same workloads."""
    workloads = {row["workload"] for row in fresh}
    kept = [r for r in rows_of(DATA) if r["workload"] not in workloads or r.get("threads", 1) != threads]
    rows = sorted([*kept, *middle_of(fresh)], key=lambda row: (row.get("threads", 1), row["workload"]))
    DATA.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def middle_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of a case that was measured several times, the middle row of those that were disturbed least."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["case"], row["peer"]), []).append(row)
    chosen = []
    for group in groups.values():
        most = max(map(share, group))
        best = sorted((row for row in group if share(row) == most), key=lambda row: row.get("median_s", 0.0))
        chosen.append(best[(len(best) - 1) // 2])
    return chosen


def share(row: dict[str, Any]) -> float:
    """The share of the core that a measurement had; more than enough is enough, a failure has none.

    Of less than 5 ms in all it cannot be told: reading the clocks is a part of it.
    """
    if "median_s" not in row:
        return -1.0
    short = row["median_s"] * row.get("repeats", 1) < 0.005
    return LEAST_SHARE if short else min(LEAST_SHARE, row.get("cpu_frac", 1.0))


def cases(rows: list[dict[str, Any]]) -> list[Case]:
    """Every case that we and another library ran, with the right values and in double precision, on one thread."""
    usable = [
        row
        for row in rows
        if "median_s" in row
        and row.get("threads", 1) == 1
        and row.get("precision", "complex128") in ("complex128", None)
        and not str(row.get("check")).startswith("MISMATCH")
    ]
    found = []
    for name in dict.fromkeys(row["case"] for row in rows):
        others = [row for row in usable if row["case"] == name and row["peer"] not in (US, WHOLE)]
        for row in usable:
            if others and row["case"] == name and row["peer"] in (US, WHOLE):
                found.append(Case(own_name(row), row, min(others, key=lambda row: row["median_s"])))
    return sorted(found, key=lambda case: [part.rjust(6) for part in case.name.split("/")])


def times_faster(ratio: float) -> str:
    """Two digits, or all before the point."""
    return f"{ratio:,.0f}x" if ratio >= 100 else f"{ratio:.2g}x"


def own_name(row: dict[str, Any]) -> str:
    """The case of a row of ours."""
    return row["case"] + ("/all" if row["peer"] == WHOLE else "")


def seconds(value: float) -> str:
    """Three digits with a unit."""
    unit, factor = ("s", 1.0) if value >= 1 else ("ms", 1e3) if value >= 1e-3 else ("µs", 1e6)
    return f"{value * factor:.3g} {unit}"


def table(found: list[Case]) -> list[str]:
    """The Markdown table of all cases; a case that we lose is set in bold."""
    lines = [
        "| case | ketgrad | fastest other | ratio | goal | MiB | MiB, other |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in found:
        ratio = times_faster(case.ratio) if case.ratio >= 1 else f"**{times_faster(case.ratio)}**"
        memory = [str(row.get("maxrss_mib", "")) for row in (case.ours, case.other)]
        disturbed = [" (disturbed)" if share(row) < LEAST_SHARE else "" for row in (case.ours, case.other)]
        lines.append(
            f"| {case.name} | {seconds(case.ours['median_s'])}{disturbed[0]} "
            f"| {seconds(case.other['median_s'])} ({case.other['peer']}){disturbed[1]} "
            f"| {ratio} | {'' if case.goal is None else f'{case.goal:g}x'} | {memory[0]} | {memory[1]} |"
        )
    return lines


def page(rows: list[dict[str, Any]]) -> str:
    """The page results/README.md."""
    found = cases(rows)
    lost = [case for case in found if case.ratio < 1]
    missed = [case for case in found if case.goal is not None and case.ratio < case.goal]
    versions = {
        (row["peer"], row["version"]) for row in rows if row.get("version") and row.get("threads", 1) == 1
    }
    lines = [
        "# ketgrad beside other libraries",
        "",
        *prose(
            "Written by `python benchmarks/peers/measure.py` from `peers.jsonl` here; do not edit. What "
            "is timed and how it is made: [the page above](../README.md). Median wall seconds of one "
            "thread pinned to one core of a shared x86-64 server; double precision; every value agrees "
            "with an independent reference. Compile time of libraries that compile is not counted. MiB: "
            "the peak of the whole process."
        ),
        "",
        "![How many times faster than the fastest other library](peers.svg)",
        "",
        *table(found),
        "",
        f"**Cases that ketgrad loses** ({len(lost)}): {listed(lost)}.",
        "",
        f"**Cases below our own goal** ({len(missed)}): {listed(missed)}.",
        "",
        *single_precision(rows),
        *prose(
            "W1 `w`: loss and gradient by the weights; `wx`: and by the inputs. W3: the observable is a word on "
            "two qubits; ketgrad simulates what it can see of the circuit, about half of the qubits, as is the "
            "default. W3 `all`: with a second observable on all qubits, so that nothing can be left out, beside "
            "the others' W3. W8 `bare`: to the end of the "
            "import; `grad`: to the first gradient of a 4-qubit circuit."
        ),
        "",
        "Versions: " + "; ".join(f"{peer}: {text}" for peer, text in sorted(versions)) + ".",
        "",
        *threads_table(rows),
    ]
    return "\n".join(lines).rstrip() + "\n"


def prose(text: str) -> list[str]:
    """Lines of at most 118 characters."""
    return textwrap.wrap(text, 118)


def listed(found: list[Case]) -> str:
    """Names with ratios."""
    return ", ".join(f"{case.name} {times_faster(case.ratio)}" for case in found) or "none"


def single_precision(rows: list[dict[str, Any]]) -> list[str]:
    """A line that sets our double precision beside the single precision of others, where that was measured."""
    found = []
    for row in rows:
        if row.get("precision") != "complex64" or "median_s" not in row:
            continue
        for own in rows:
            if own["case"] == row["case"] and own["peer"] in (US, WHOLE) and own.get("threads", 1) == 1:
                ratio = row["median_s"] / own["median_s"]
                found.append(
                    f"{own_name(own)} {times_faster(ratio)} ({row['peer']}, {seconds(row['median_s'])})"
                )
    return [f"Our double precision against single precision: {', '.join(found)}.", ""] if found else []


def threads_table(rows: list[dict[str, Any]]) -> list[str]:
    """Two threads over one, ours."""
    ours = [row for row in rows if row["peer"] in (US, WHOLE) and "median_s" in row]
    times = {(own_name(row), row.get("threads", 1)): row["median_s"] for row in ours}
    both = [
        name
        for name in dict.fromkeys(own_name(row) for row in ours)
        if (name, 2) in times and (name, 1) in times
    ]
    if not both:
        return []
    body = [
        f"| {name} | {seconds(times[name, 1])} | {seconds(times[name, 2])} | {times[name, 1] / times[name, 2]:.2f} |"
        for name in both
    ]
    return [
        "## Two threads over one",
        "",
        "| case | 1 thread | 2 threads | ratio |",
        "|---|---|---|---|",
        *body,
    ]


def picture(found: list[Case], path: pathlib.Path) -> None:
    """A bar for each case: how many times faster, on a logarithmic axis, with the goal as a mark."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": US, "font.size": 9})
    figure, axes = plt.subplots(figsize=(8, 0.26 * len(found) + 1.1), layout="constrained")
    places = range(len(found))
    colours = ["#2a78d6" if case.ratio >= 1 else "#b3261e" for case in found]
    axes.barh(places, [case.ratio - 1 for case in found], color=colours, height=0.66, left=1)
    goals = [(place, case.goal) for place, case in enumerate(found) if case.goal is not None]
    if goals:
        axes.scatter(
            [goal for _, goal in goals], [place for place, _ in goals], marker="|", s=90, color="black",
            linewidths=1.6, label="our goal", zorder=3,
        )  # fmt: skip
        axes.legend(loc="lower right", frameon=False)
    for place, case in zip(places, found, strict=True):
        text = f" {times_faster(case.ratio)}  ({case.other['peer']})"
        axes.text(
            max(case.ratio, case.goal or 0, 1.0) * 1.04, place, text, va="center", fontsize=8, color="#444444"
        )
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set(xscale="log", yticks=list(places), yticklabels=[case.name for case in found])
    axes.set_xlim(
        min([0.5, *(case.ratio * 0.7 for case in found)]), max([10, *(case.ratio for case in found)]) * 3
    )
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.set_ylim(-0.7, len(found) - 0.3)
    axes.set_xlabel("times as fast as the fastest other library (in brackets); one thread, double precision")
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Measure what was asked for, then write page and picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("harness", nargs="?", type=pathlib.Path)
    parser.add_argument("--workloads", default=",".join(PEERS))
    parser.add_argument("--threads", type=int, default=1, help="above 1 only ketgrad is measured")
    parser.add_argument("--rounds", type=int, default=1, help="the middle one counts; for a noisy machine")
    options = parser.parse_args()
    if options.harness:
        measure(options.harness.resolve(), options.workloads.split(","), options.threads, options.rounds)
    rows = rows_of(DATA)
    (RESULTS / "README.md").write_text(page(rows), "utf-8")
    picture(cases(rows), RESULTS / "peers.svg")
    print(f"{RESULTS / 'README.md'}: {len(cases(rows))} cases")


if __name__ == "__main__":
    main()

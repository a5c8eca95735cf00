"""Reports and the command line under hostile input: one test for each row R1 to R12 of the catalogue, and P12."""

from __future__ import annotations

import base64
import csv
import dataclasses
import errno
import hashlib
import io
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import html5lib
import pytest
import report_samples as samples

from ketgrad.cli import main as cli
from ketgrad.cli.results_folder import OUTPUT_FILES
from ketgrad.foundation.errors import KetgradOSError
from ketgrad.foundation.text import is_invisible, slug, visible
from ketgrad.referee.contest.progress import Progress
from ketgrad.referee.report import charts, terminal
from ketgrad.referee.report.page import render
from ketgrad.referee.report.scores import scores_csv
from ketgrad.referee.results import Column, Comparison, DroppedColumn

SOURCE = Path(cli.__file__).parents[2]
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "</title></svg><svg onload=alert(1)>",
    "javascript:alert(1)",
    "<!--",
    "]]>",
    "&lt;b&gt;&#60;",
    "<svg/onload=alert`1`>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    '<a href="//evil.example">x</a>',
    "<link rel=stylesheet href=//evil.example>",
    "<style>*{display:none}</style>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=alert(1)>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0>",
    "<plaintext>",
    "<textarea>",
    "\x00<b>\x0b",
    "\udcff\ud800",
    "x\u2028y\u2029z",
    "{{7*7}}{% raw %}",
)
PLAIN = tuple(f"text {place}" for place in range(len(HOSTILE)))


def tree(page: str) -> list[tuple[str, tuple[str, ...]]]:
    """Every element of a page with the names of its attributes, in order."""
    document = html5lib.parse(page, namespaceHTMLElements=False)
    return [(str(node.tag), tuple(sorted(node.attrib))) for node in document.iter()]


def test_r1_hostile_names_add_no_element_and_no_attribute_to_the_page():
    sample = samples.comparison()
    plain = tree(render(samples.with_text(sample, PLAIN), "ketgrad compare"))
    for turn in range(0, len(HOSTILE), 8):
        texts = HOSTILE[turn:] + HOSTILE[:turn]
        assert tree(render(samples.with_text(sample, texts), texts[0])) == plain


def test_r2_hostile_names_stay_text_in_charts():
    def drawn(texts):
        rows = [charts.ChartRow(text, "quantum", 0.5, 0.4, 0.6, text, (0.4, 0.6)) for text in texts]
        axis = (texts[0], texts[1], texts[2])
        guides = (charts.Guide(0.5, texts[3]),)
        return (
            charts.interval_chart(texts[4], texts[5], rows, axis=axis, guides=guides)
            + charts.strip_chart(texts[6], texts[7], rows, axis=axis, guides=guides)
            + charts.chance_chart(
                "c", texts[10], [(text, (0.2, 0.3, 0.5)) for text in texts], (texts[0], texts[1], texts[2])
            )
            + charts.cost_chart(texts[8], texts[9], rows, [1.0] * len(rows), axis=axis)
        )

    assert tree(drawn(HOSTILE)) == tree(drawn(PLAIN))
    formula = r"$\frac{a}{b}$"
    assert formula in charts.interval_chart("c", formula, [], axis=("", "", ""))


def test_r3_the_page_loads_nothing_and_its_policy_allows_only_its_own_style():
    page = render(samples.comparison())
    document = html5lib.parse(page, namespaceHTMLElements=False)
    policies = [node.get("content") for node in document.iter("meta") if node.get("http-equiv")]
    (style,) = [node.text or "" for node in document.iter("style")]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policies == [
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    ]
    tags = {str(node.tag) for node in document.iter()}
    assert not tags & {"script", "link", "iframe", "object", "embed", "img", "image", "form", "use", "base"}
    attributes = [(name, value) for node in document.iter() for name, value in node.attrib.items()]
    assert all(value.startswith("#") for name, value in attributes if "href" in name or "src" in name)
    assert not [name for name, _ in attributes if name.startswith("on") or name == "style"]
    assert "url(" not in style and "@import" not in style


def test_r4_template_code_in_a_name_is_shown_and_not_run():
    code = "{{7*7}}{% for x in y %}{{ config }}{# c #}"
    sample = samples.with_text(samples.comparison(), (code,))
    page = render(sample, code)
    assert page.count("{{7*7}}{% for x in y %}{{ config }}{# c #}") > 50
    (title,) = [node.text or "" for node in html5lib.parse(page, namespaceHTMLElements=False).iter("title")][
        :1
    ]
    assert "49" not in title


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_r5_no_cell_of_the_csv_begins_like_a_formula(start):
    hostile = f"{start}cmd|'/C calc'!A0"
    sample = samples.with_text(samples.comparison(), (hostile,))
    sample = dataclasses.replace(
        sample, models=tuple(dataclasses.replace(m, name=hostile) for m in sample.models[:1])
    )
    negative = dataclasses.replace(sample.models[0].splits[0], scores={"balanced_accuracy": -0.25})
    model = dataclasses.replace(sample.models[0], splits=(negative,))
    sample = dataclasses.replace(sample, models=(model,))
    (cells,) = list(csv.reader(io.StringIO(scores_csv(sample), newline="")))[1:]
    assert cells[0] == cells[-1] == "'" + hostile
    assert "-0.25" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\r", "\n"))]
    (raw,) = list(csv.reader(io.StringIO(scores_csv(sample, raw=True), newline="")))[1:]
    assert raw[0] == hostile


def test_r6_terminal_escapes_and_bidi_overrides_never_reach_the_terminal(capsys):
    hostile = "a\x1b[2J\x1b]0;title\x07\u202eevil\u2066\x9b31m\r\b[bold]"
    sample = samples.with_text(samples.comparison(), (hostile,))
    output = terminal.console(sys.stdout)
    terminal.show(sample, output)
    display = terminal.ProgressDisplay(sys.stdout)
    for kind in ("plan", "started", "done", "failed", "interrupted"):
        display(Progress(kind, hostile, hostile, 0, 2, 1, 20, 30.0, 5.0, 0.5, hostile))
    output.print(display.picture())
    assert cli.main(["compare", "t.csv", "--target", "y", hostile]) == 2
    assert cli.main([hostile]) == 2
    assert cli.main(["draw", hostile]) == 66
    printed = "".join(capsys.readouterr())
    assert not [character for character in printed if character != "\n" and visible(character) != character]
    assert r"a\x1b[2J" in printed and "[bold]" in printed


def test_r6_nothing_that_cannot_be_seen_reaches_the_page_the_terminal_or_the_results(capsys):
    invisible = [
        chr(code)
        for code in (*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x180E)
    ]
    invisible += [
        chr(code) for code in (*range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070))
    ]
    invisible += ["\u3164", "\ufe0f", "\ufeff", "\uffa0", "\U000e0001", "\U000e0041", "\U000e0100", "\udcff"]
    hostile = "".join(f"a{character}b" for character in invisible)
    assert len(visible(hostile, 4000)) > 2 * len(hostile)
    for start in range(0, len(invisible), 12):
        text = "".join(f"a{character}b" for character in invisible[start : start + 12])
        sample = samples.with_text(samples.comparison(), (text,))
        page = render(sample, text)
        terminal.show(sample, terminal.console(sys.stdout))
        results = sample.to_json()
        for place in (page, capsys.readouterr().out, results):
            assert not {character for character in place if character != "\n" and is_invisible(character)}
        assert Comparison.from_json(results) == sample


def test_r6_spelling_that_needs_joiners_stays_as_it_is():
    for text in ("می\u200cخواهم", "क्\u200dष", "👩\u200d🔬", "❤\ufe0f", "größe 🙂", "日本語\u3000名"):
        assert visible(text) == text
    for text in ("pay\u200dload", "\u200cx", "x\ufe0f", "👩\u200d", "y\u200b"):
        assert visible(text) != text


# ----------------------------------------------------------------------------------------- writing results


@pytest.fixture
def instant(monkeypatch, tmp_path):
    """A folder with a table, and a referee that answers at once."""
    (tmp_path / "wine.csv").write_text("a,y\n1,p\n2,q\n")
    monkeypatch.chdir(tmp_path)
    calls = []

    def answer(*arguments, **options):
        calls.append((arguments, options))
        return samples.comparison()

    monkeypatch.setattr("ketgrad.referee.compare", answer, raising=False)
    return calls


def compare(*options: str) -> int:
    return cli.main(["compare", "wine.csv", "--target", "y", "--quiet", *options])


def test_r7_results_of_an_earlier_run_are_only_replaced_on_demand(instant, tmp_path, capsys):
    assert compare("--out", "new/folder") == 0
    page = tmp_path / "new/folder/report.html"
    page.write_text("mine")
    assert compare("--out", "new/folder") == 73
    assert page.read_text() == "mine" and len(instant) == 1, "refused before any work"
    assert "--overwrite" in capsys.readouterr().err
    assert compare("--out", "new/folder", "--overwrite") == 0
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_r7_a_file_in_the_place_of_the_folder_exits_73(instant, tmp_path):
    (tmp_path / "taken").write_text("mine")
    assert compare("--out", "taken") == 73
    assert compare("--out", "taken/below") == 73
    assert compare("--out", "/proc/nowhere") == 73 and not instant[1:], "found before work where it can be"


def test_r7_a_folder_that_may_not_be_written_exits_77_before_work(instant, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "access", lambda *arguments, **options: False)
    assert compare("--out", "results") == 77
    assert not instant and not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, 74),
        (errno.EIO, 74),
        (errno.EDQUOT, 74),
        (errno.EACCES, 77),
        (errno.EROFS, 77),
        (errno.ENAMETOOLONG, 73),
    ],
)
def test_r7_a_disk_that_refuses_gives_its_exit_code_and_the_answer_is_still_shown(
    instant, monkeypatch, capsys, number, code
):
    def refuse(contents, *, overwrite=False):
        raise KetgradOSError(number, os.strerror(number), str(next(iter(contents))))

    monkeypatch.setattr("ketgrad.foundation.files.write_together", refuse)
    assert compare() == code
    printed = capsys.readouterr()
    assert "No. Classical models" in printed.out
    assert "report.html" in printed.err and "Traceback" not in printed.err


def test_r7_a_full_disk_leaves_the_old_report_whole(instant, tmp_path):
    assert compare("--out", "results") == 0
    before = (tmp_path / "results/report.html").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        assert compare("--out", "results", "--overwrite") == 74
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "results/report.html").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == sorted(OUTPUT_FILES)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_r7_results_are_replaced_all_or_none(instant, monkeypatch, tmp_path, call):
    assert compare("--out", "results") == 0
    paths = [tmp_path / "results" / name for name in OUTPUT_FILES]
    for path in paths:
        path.write_text("old")
    original = getattr(os, call)

    def failing_at(number):
        calls = []

        def fail(*arguments):
            calls.append(arguments)
            if len(calls) == number:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(*arguments)

        return fail

    for failing in range(1, 4):
        monkeypatch.setattr(os, call, failing_at(failing))
        assert compare("--out", "results", "--overwrite") == 74
        monkeypatch.setattr(os, call, original)
        written = [path.read_text() != "old" for path in paths]
        # the system changes one name at a time; what programs read comes last
        assert written == [call == "replace" and place < failing - 1 for place in range(3)]
        assert sorted(path.name for path in (tmp_path / "results").iterdir()) == sorted(OUTPUT_FILES)
        for path in paths:
            path.write_text("old")
    assert compare("--out", "results", "--overwrite") == 0
    assert all(path.read_text() != "old" for path in paths)
    digest = Comparison.from_json(paths[-1].read_text(encoding="utf-8")).digest()
    assert digest in paths[0].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/passwd", "..", "a/../../b", "C:\\x", "x\0y", "💥", "-rf", "con" * 100]
)
def test_r8_no_name_leads_out_of_the_folder(instant, tmp_path, name):
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?", slug(name))
    assert cli.main(["compare", "wine.csv", f"--target={name}", "--quiet"]) == 0
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert folder.name == f"ketgrad-wine-{slug(name)}"
    for node in html5lib.parse(
        charts.interval_chart(name, name, [], axis=("", "", "")), namespaceHTMLElements=False
    ).iter():
        assert "id" not in node.attrib or re.fullmatch(r"[a-z0-9-]+", node.attrib["id"])


@pytest.mark.parametrize(
    "option",
    [
        "--folds=nan",
        "--folds=-3",
        "--folds=1",
        "--folds=1e9",
        "--folds=2.5",
        "--folds=",
        "--repeats=0",
        "--rows=-1",
        "--rows=1e99",
        "--rows=" + "9" * 5000,
        "--seed=-1",
        "--seed=inf",
        "--threads=0",
        "--qubits=31",
        "--qubits=0x4",
        "--folds=٣",
        "--task=regresion",
        "--missing=mean",
        "--models=",
        "--models=,",
        "--models=svmm",
        "--models=svm,nope",
        "--encoding=utf-9",
        "--encoding=\0",
        "--metric=acuracy",
        "--separator=;;",
        "--decimal=;",
    ],
)
def test_r9_an_option_outside_its_range_exits_2(instant, capsys, option):
    assert compare(option) == 2
    assert not instant
    assert "Traceback" not in capsys.readouterr().err


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    settings = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SOURCE),
        "PYTHON": sys.executable,
        **environment,
    }
    return subprocess.run(["bash", "-c", command], env=settings, capture_output=True, timeout=120)


def test_r10_a_reader_that_leaves_ends_the_command_quietly():
    done = shell('"$PYTHON" -m ketgrad info | head -1; echo ${PIPESTATUS[0]}')
    code = int(done.stdout.split()[-1])
    assert code in (0, 141) and b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr
    done = shell('"$PYTHON" -m ketgrad info | true; echo ${PIPESTATUS[0]}')
    assert int(done.stdout.split()[-1]) in (0, 141) and b"Broken" not in done.stderr


def test_r10_no_terminal_no_home_a_plain_locale_and_one_column_are_enough():
    script = (
        "import sys; sys.path.insert(0, 'tests/support'); import report_samples as s; from ketgrad.cli import streams;"
        "from ketgrad.referee.report import terminal; held = streams.prepared(); held.__enter__();"
        "terminal.show(s.comparison(), terminal.console(sys.stdout))"
    )
    tests = Path(samples.__file__).parents[2]
    for environment in (
        {"LANG": "C", "COLUMNS": "1"},
        {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"},
        {"COLUMNS": "0"},
        {"TERM": "dumb"},
    ):
        done = shell(f'cd "{tests}" && "$PYTHON" -c "{script}"', **environment)
        assert done.returncode == 0, done.stderr.decode()
        assert "−" in done.stdout.decode("utf-8")
    assert shell('"$PYTHON" -m ketgrad info >&- 2>&-').returncode == 0


def test_r11_no_secret_reaches_a_file_or_the_terminal(instant, monkeypatch, tmp_path, capsys):
    canary = "canary-7f3a\"<&'91c2"
    for name in ("QISKIT_IBM_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_PASSWORD"):
        monkeypatch.setenv(name, canary)
    leaking = samples.with_text(samples.comparison(), (f"GET failed with token {canary}",))
    monkeypatch.setattr("ketgrad.referee.compare", lambda *a, **k: leaking)
    assert cli.main(["compare", "wine.csv", "--target", canary, "--out", "results"]) == 0

    def fail(*arguments, **options):
        raise RuntimeError(
            f"connection with {canary} and https://user:{canary[:6]}pw@host/?sig=abcdef refused"
        )

    monkeypatch.setattr("ketgrad.referee.compare", fail)
    assert compare("--debug", "--out", "other") == 70
    assert cli.main(["compare", "https://me:hunter22@host/t.csv?token=abc123", "--target", "y"]) != 0
    assert cli.main(["compare", "wine.csv", "--target", "y", f"--{canary}"]) == 2
    printed = "".join(capsys.readouterr())
    written = "".join(path.read_text() for path in (tmp_path / "results").iterdir())
    for text in (printed, written):
        assert "7f3a" not in text and "91c2" not in text and "hunter22" not in text and "abcdef" not in text
        assert "(hidden)" in text


def test_r12_ten_thousand_columns_make_a_small_page():
    sample = samples.comparison()
    long = [f"{place} " + "very long name " * 100 for place in range(10_000)]
    columns = tuple(Column(name, "number", 0, 9, True, "scaled") for name in long)
    dropped = tuple(DroppedColumn(name, "always the same value") for name in long)
    table = dataclasses.replace(
        sample.data, columns=columns, dropped=dropped, warnings=tuple(long), name=long[0], target=long[1]
    )
    page = render(dataclasses.replace(sample, data=table), " ".join(long[:10]))
    assert len(page.encode()) < 1_000_000
    assert max(map(len, re.findall(r"[^<>]+", page))) < 10_000
    assert page.count("9\u202f960 more") == 3


def test_p12_a_missing_package_is_one_line_with_the_install_command(instant, monkeypatch, capsys, tmp_path):
    for name in ("rich", "jinja2", "skrub", "pandas"):
        monkeypatch.setitem(sys.modules, name, None)
        assert compare() == 2
        message = capsys.readouterr().err
        assert name in message and "pip install 'ketgrad[compare]'" in message and message.count("\n") == 1
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("ketgrad.referee.compare", lambda *a, **k: pytest.fail("it ran"), raising=False)


def test_results_json_with_names_of_any_kind_is_read_back(instant, tmp_path, monkeypatch):
    sample = samples.with_text(samples.comparison(), HOSTILE)
    monkeypatch.setattr("ketgrad.referee.compare", lambda *a, **k: sample)
    assert compare("--out", "results") == 0
    text = (tmp_path / "results/results.json").read_text(encoding="utf-8")
    assert json.loads(text)["data"]["name"] == sample.data.name
    assert Comparison.from_json(text) == sample

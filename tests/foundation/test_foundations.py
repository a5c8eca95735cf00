"""Memory preflight, atomic files, random streams and the wording of errors."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import ketgrad as kg
from ketgrad.foundation.errors import check_shape, near_matches
from ketgrad.foundation.files import write_atomically
from ketgrad.foundation.memory import available_bytes, readable, reserve, state_bytes
from ketgrad.foundation.seeds import check_seed, stream


@pytest.mark.parametrize("num_qubits", [40, 62, 64, 70, 10**6, 2**63])
def test_Q4_any_size_is_refused_at_once_with_both_amounts(num_qubits):
    start = time.perf_counter()
    with pytest.raises(MemoryError, match=r"needs .* but only .* usable") as caught:
        reserve(state_bytes(num_qubits), f"the state of {num_qubits} qubits", "Ask for fewer qubits.")
    assert time.perf_counter() - start < 0.1
    assert str(caught.value).endswith("Ask for fewer qubits.") and isinstance(caught.value, kg.KetgradError)


def test_small_requests_pass():
    reserve(2**20, "a megabyte")
    assert available_bytes() > 2**20


def test_the_address_space_limit_is_seen():
    program = (
        "import resource; from ketgrad.foundation.memory import available_bytes, reserve\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))\n"
        "assert available_bytes() < 2**32\n"
        "try: reserve(2**32, 'x')\n"
        "except MemoryError: print('refused')\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "refused"


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 bytes"), (2**34, "16.0 GiB"), (2**10000, "2^10000 bytes")]
)
def test_byte_counts_are_readable(count, text):
    assert readable(count) == text


def test_a_file_is_written_whole_and_never_overwritten_unasked(tmp_path):
    path = write_atomically(tmp_path / "new" / "a.txt", "old")
    with pytest.raises(OSError, match="overwrite"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    write_atomically(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new" and os.listdir(path.parent) == ["a.txt"]


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_a_failure_at_any_step_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = write_atomically(tmp_path / "a.txt", "old")

    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(path, "new", overwrite=True)
    monkeypatch.undo()
    assert caught.value.errno == 28 and path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_two_writers_never_mix(tmp_path):
    path = tmp_path / "a.txt"
    texts = [letter * 200_000 for letter in "ab"]

    def write(text):
        for _ in range(20):
            write_atomically(path, text, overwrite=True)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            assert path.read_text() in texts
    for thread in threads:
        thread.join()
    assert path.read_text() in texts


def test_P10_seeds_in_all_documented_forms():
    first = stream(7, 1).random(4)
    np.testing.assert_array_equal(first, stream(np.int64(7), 1).random(4))
    np.testing.assert_array_equal(first, stream(np.random.SeedSequence(7), 1).random(4))
    assert (stream(7, 2).random(4) != first).all() and (
        stream(None).random(4) != stream(None).random(4)
    ).all()
    assert stream(2**64 + 5).random() != stream(5).random()
    for bad in (True, 1.5, "seed"):
        with pytest.raises(TypeError, match="`seed`"):
            check_seed(bad)
    with pytest.raises(ValueError, match="negative"):
        check_seed(-1)


def test_P11_the_global_generator_is_neither_read_nor_changed():
    np.random.seed(0)
    state = np.random.get_state()[1].copy()
    before = stream(3).random()
    np.random.seed(1)
    assert stream(3).random() == before
    np.random.seed(0)
    stream(None).random()
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize(
    ("shape", "wanted", "fits"),
    [((5, 3), "(..., 3)", True), ((3,), "(..., 3)", True), ((5, 2), "(..., 3)", False), ((2, 2), "(n, n)", True),
     ((2, 3), "(n, n)", False), ((4,), "(n, 2)", False)],
)  # fmt: skip
def test_shapes_are_checked_as_they_are_written(shape, wanted, fits):
    if fits:
        check_shape(np.zeros(shape), "inputs", wanted)
    else:
        with pytest.raises(ValueError, match="`inputs` must have shape"):
            check_shape(np.zeros(shape), "inputs", wanted)


def test_near_matches_are_offered():
    assert "'species'" in near_matches("specis", ["species", "length"])
    assert near_matches("zzz", ["species", "length"]) == "Known: length, species."

"""Many forks, many calls from many threads: the same bits each time, and no memory kept (Linux and glibc)."""

import concurrent.futures
import ctypes
import gc
import os

import numpy as np
from native_programs import random_unitary
from test_process import answer, problem

import ketgrad as kg

FORKS, THREADS, CALLS = 100, 8, 10_000


def test_a_hundred_forks_give_the_same_bits():
    """Children of a process whose pool is at work, each with threads of its own."""
    expected = answer(threads=4)
    f, weights, inputs, cotangent = problem(threads=2)
    wrong = 0
    for _ in range(FORKS):
        child = os.fork()
        if child == 0:
            same = b"".join(array.tobytes() for array in f.vjp(weights, inputs, cotangent)) == expected
            os._exit(0 if same else 1)
        wrong += os.waitpid(child, 0)[1] != 0
    assert wrong == 0
    assert answer(threads=4) == expected


class Mallinfo(ctypes.Structure):
    """What glibc's mallinfo2 returns."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def bytes_in_use() -> int:
    """Bytes that are allocated by malloc now, in all arenas, and as maps of their own."""
    gc.collect()
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = Mallinfo
    info = mallinfo()
    return info.uordblks + info.hblkhd


def test_eight_threads_of_ten_thousand_calls_give_the_same_bits_and_keep_no_memory():
    circuit = kg.Circuit([kg.ry(kg.w[0] + kg.x[0], 0), kg.cx(0, 1), kg.rot(kg.w[1], kg.w[2], kg.w[0], 1)])
    f = kg.expectation(circuit, [kg.Pauli("Z0"), kg.Pauli("X1")], threads=1)
    inputs, cotangent = np.array([[0.3]]), np.ones((1, 2))
    points = [np.array([0.1, 0.2, 0.3]) * (k + 1) for k in range(THREADS)]
    expected = [[array.tobytes() for array in f.vjp(point, inputs, cotangent)] for point in points]

    def hammer(k: int, calls: int) -> int:
        wrong = 0
        for _ in range(calls):
            values, slope, by_inputs = f.vjp(points[k], inputs, cotangent)
            wrong += [values.tobytes(), slope.tobytes(), by_inputs.tobytes()] != expected[k]
        return wrong

    wrong, grown = 0, []
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for _ in range(4):  # the caches of the allocator fill up; a leak grows every time
            before = bytes_in_use()
            wrong += sum(pool.map(hammer, range(THREADS), [CALLS // 2] * THREADS))
            grown.append(bytes_in_use() - before)
    assert wrong == 0
    assert min(grown) <= THREADS * CALLS // 2, f"{grown} bytes in {THREADS * CALLS // 2} calls each"


def test_calls_of_the_blocked_engine_keep_no_memory():
    n = 12
    matrix = random_unitary(np.random.default_rng(0), 4)
    circuit = kg.Circuit(
        [kg.ry(kg.w[0], q) for q in range(n)] + [kg.unitary(matrix, q, q + 1) for q in range(n - 1)]
    )
    f = kg.expectation(circuit, kg.Pauli("Z0 X11"), threads=2)
    assert f.executor.facts(f.program, 1)["blocked"]
    weights, cotangent = np.array([0.4]), np.ones(1)
    for _ in range(100):
        f.vjp(weights, None, cotangent)
    grown = []
    for _ in range(3):  # a leak grows every time, what other threads of the process allocate does not
        before = bytes_in_use()
        for _ in range(500):
            f.vjp(weights, None, cotangent)
        grown.append(bytes_in_use() - before)
    assert min(grown) <= 500, grown

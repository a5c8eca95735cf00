"""An executor that counts its calls: material for the tests of the bridges."""

from ketgrad.executors import get


class Counting:
    """The native executor; `runs` and `derivatives` hold the number of rows of each call."""

    name = "counting"
    abilities = frozenset({"exact", "adjoint"})

    def __init__(self):
        self.inner, self.runs, self.derivatives = get("native"), [], []

    def run(self, program, weights, inputs, **options):
        self.runs.append(len(weights))
        return self.inner.run(program, weights, inputs, **options)

    def vjp(self, program, weights, inputs, cotangent, **options):
        self.derivatives.append(len(weights))
        return self.inner.vjp(program, weights, inputs, cotangent, **options)

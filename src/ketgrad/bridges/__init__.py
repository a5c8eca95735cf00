"""Layer 11: other frameworks: one module each, loaded when it is first used, the only places that import them."""

# One folder each. `kg.NAME` imports the framework when it is first used, so `from ketgrad import *` leaves them out.
BRIDGES = ("cirq", "jax", "keras", "pennylane", "qiskit", "torch")

"""OpenQASM: ops out as version 3, texts of version 2 and of the circuit part of version 3 in.

Read: tokens -> expressions -> names, gates, blocks -> cursor -> calls, gate_bodies, declarations, ... -> reader.
Written: arithmetic -> definitions -> writer. What the public calls, `kg.qasm`, is `openqasm.py` above the circuit.
"""

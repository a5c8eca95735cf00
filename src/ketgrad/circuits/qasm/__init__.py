"""OpenQASM: circuits out as version 3, texts of version 2 and of the circuit part of version 3 in."""

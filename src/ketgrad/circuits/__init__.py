"""Layer 2: circuits as values: Pauli words, angles, gates, builders, encodings, ansatzes; drawings and OpenQASM."""

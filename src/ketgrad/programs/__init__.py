"""Layer 3: what runs: flat arrays and one question, compiled from a circuit."""

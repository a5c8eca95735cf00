"""Layer 10: files: one safe format that holds data and names nothing to run."""

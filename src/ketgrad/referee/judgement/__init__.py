"""From scores to a verdict: tests, intervals, the conclusion."""

"""From a file to rows: reading, columns, the task, preparation without leakage."""

"""The referee: compares quantum models with tuned classical ones on a table, and says what follows."""

"""Contestants, tuning, the folds that they play on, and the schedule of all of it."""

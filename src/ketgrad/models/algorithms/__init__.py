"""Algorithms that solve a problem instead of learning from data: vqe, qaoa."""

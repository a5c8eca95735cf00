"""Layer 6: losses, optimizers and the loop that minimises."""

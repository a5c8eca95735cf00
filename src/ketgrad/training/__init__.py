"""Layer 6: losses, optimisers and the loop that minimises; what is public of it is `kg.optimize` and `kg.losses`."""

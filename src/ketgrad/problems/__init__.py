"""Layer 8: Hamiltonians of spins, graphs and molecules, and their exact solutions."""

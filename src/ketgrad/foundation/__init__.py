"""Layer 1: what everybody may use: refusals, memory that is asked for first, atomic files, arrays, random numbers."""

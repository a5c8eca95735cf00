"""Layer 5: circuits that are called like array functions, with their derivatives and their plan."""

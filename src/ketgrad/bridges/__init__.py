"""Other frameworks: one module each, loaded when it is first used, the only places that import them."""

"""Layer 11: other frameworks: one module each, loaded when it is first used, the only places that import them."""

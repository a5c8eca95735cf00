"""What the estimators share: choice of the circuit, scaling, training, checks of tables."""

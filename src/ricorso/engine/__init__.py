"""Runs the equations of a cell over time: the oracle, the compiled path, the stepper, and the choice between them."""

"""Training: one loop for every task, with checkpoints from which it goes on exactly."""

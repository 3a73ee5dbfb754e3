"""Generate: learn a text symbol by symbol and write more of it."""

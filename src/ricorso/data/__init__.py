"""Data: texts, vocabularies, batches."""

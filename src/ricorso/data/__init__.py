"""Data: texts, vocabularies, tables, series, batches."""

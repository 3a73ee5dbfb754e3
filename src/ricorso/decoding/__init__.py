"""Decoding: from scores to symbols."""

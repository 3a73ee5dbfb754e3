"""Pages: the look that every HTML page of Ricorso has, kept in one place."""

"""Tag: a label at every step of a sequence."""

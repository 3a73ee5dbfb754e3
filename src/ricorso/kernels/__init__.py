"""Equations to machine code. Nothing here knows torch: kernels take addresses and sizes."""

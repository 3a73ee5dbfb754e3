"""The constants of the hash that random numbers are made by, for every engine the same.

MIX_1 and MIX_2 are those of the finaliser of MurmurHash3 (Austin Appleby, public domain).
"""

ROW, MIX_1, MIX_2, STEP = 0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F
# The step of a random number that is the same at all steps.
STATIC = 0xFFFFFFFF

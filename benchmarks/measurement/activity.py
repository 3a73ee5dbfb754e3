"""The layout of the UCI smartphone recordings: a file for each channel, a window of values on each line."""

from pathlib import Path

import numpy as np


def read_activity(folder):
    """Windows (examples, steps, channels), labels and names of the channels of a `train` or `test` folder."""
    folder = Path(folder)
    files = sorted((folder / "Inertial Signals").glob("*.txt*"))
    channels = [np.loadtxt(file, np.float32, ndmin=2) for file in files]
    labels = np.loadtxt(folder / f"y_{folder.name}.txt", np.int64, ndmin=1)
    names = tuple(file.name.split(f"_{folder.name}.")[0] for file in files)
    return np.stack(channels, axis=2), labels, names

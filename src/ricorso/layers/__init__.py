"""Recurrent layers for torch."""

from ricorso.layers.gru import GRU
from ricorso.layers.lstm import LSTM
from ricorso.layers.recurrent import Recurrent
from ricorso.layers.rnn import RNN

__all__ = ["GRU", "LSTM", "RNN", "Recurrent"]

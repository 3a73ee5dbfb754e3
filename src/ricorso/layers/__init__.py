"""Recurrent layers for torch."""

from ricorso.layers.gru import GRU
from ricorso.layers.lstm import LSTM
from ricorso.layers.recurrent import Recurrent
from ricorso.layers.rnn import RNN
from ricorso.layers.step import GRUCell, LSTMCell, RecurrentCell, RNNCell

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell", "Recurrent", "RecurrentCell"]

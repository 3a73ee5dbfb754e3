"""Weights from Keras and ONNX and back."""

from ricorso.weights.keras import from_keras, to_keras, to_keras_weights
from ricorso.weights.onnx import from_onnx, to_onnx_weights
from ricorso.weights.onnx_node import OnnxWeights
from ricorso.weights.reversed import Reversed

__all__ = ["OnnxWeights", "Reversed", "from_keras", "from_onnx", "to_keras", "to_keras_weights", "to_onnx_weights"]

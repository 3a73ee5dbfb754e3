"""Elman networks: one gate, any activation."""

from collections.abc import Callable

import sympy as sp

from ricorso.equations import Cell, gates, relu, sigmoid, states, tanh

(p,) = gates("p")
(h,) = states("h")


def elman(name: str, activation: Callable[[sp.Expr], sp.Expr]) -> Cell:
    """An Elman cell with the given activation.

    >>> from ricorso.equations import softplus
    >>> elman("elman_softplus", softplus).saved_columns
    ('p',)
    """
    return Cell(
        name,
        title=f"Elman network, {name.removeprefix('elman_')}",
        paper="Elman 1990, Cognitive Science 14(2)",
        gates=(p,),
        states=(h,),
        update={h: activation(p)},
    )


ELMAN_TANH = elman("elman_tanh", tanh)
ELMAN_RELU = elman("elman_relu", relu)
ELMAN_SIGMOID = elman("elman_sigmoid", sigmoid)

"""Many streams that come, pause and go, stepped together; states can be taken out, stored, and put back anywhere."""

from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ricorso.engine.stack import Array, Stack
from ricorso.engine.stepper import Stepper
from ricorso.equations.portable import to_json
from ricorso.errors import ShapeError, UsageError

Places = NDArray[np.int64]
Given = NDArray[Any] | Tensor | Sequence[NDArray[Any] | Tensor]
Signal = ArrayLike | Mapping[int, float]
# Streams that one pass through the layers takes: enough to fill every tile, few enough for a core's cache.
MOST_ROWS = 512
NOBODY = -1


class Streamable(Protocol):
    """A layer, as far as streams know it."""

    def stepper(self, batch_size: int = 1, tokens: bool = False) -> Stepper: ...


class Streams:
    """The states of up to `capacity` streams through a layer, and steps for any of them together.

    A stream begins with `join`, which gives its key, and ends with `leave`; a key is never given twice. A step takes
    the streams it names and no others, so its time goes with how many there are. Through compiled kernels what a
    stream gives does not depend, to the last bit, on which others step with it. `len(streams)` counts the streams,
    `key in streams` asks for one, and iteration gives all keys.

    layer: a `Recurrent`; the weights are those of the moment, until `refresh`, in the types of `Stepper`. With
    tokens=True inputs are token ids. All methods may be called from any thread; calls wait for one another.
    Raises UsageError for a capacity below 1 and for layers that a stepper cannot take.

    >>> import torch
    >>> from ricorso.layers import Recurrent
    >>> streams = Streams(Recurrent("gru", 3, 4), capacity=1000)
    >>> first, second = streams.join(), streams.join()
    >>> outputs = streams.step({first: [0.1, 0.2, 0.3], second: [0.3, 0.2, 0.1]})
    >>> outputs[first].shape
    (4,)
    >>> streams.step([second], np.zeros((1, 3))).shape
    (1, 4)
    >>> kept = streams.states(second)
    >>> streams.leave(second)
    >>> again = streams.join(kept)
    """

    def __init__(self, layer: Streamable, capacity: int, tokens: bool = False) -> None:
        if type(capacity) is not int or capacity < 1:
            raise UsageError(f"capacity is the most streams there may be at once, at least 1, not {capacity!r}.")
        stack = layer.stepper(min(capacity, MOST_ROWS), tokens).stack
        self.capacity, self.cell, self.tokens = capacity, stack.cell, tokens
        self.input_size, self.hidden_size, self.num_layers = stack.input_size, stack.hidden_size, len(stack.layers)
        self.dtype = stack.dtype
        self._states = np.zeros((self.num_layers, len(self.cell.states), capacity, self.hidden_size), stack.dtype)
        self._use(stack)
        # A key is a place plus a multiple of the capacity, another one each time the place is given away.
        self._next_keys = np.arange(capacity)
        self._keys = np.full(capacity, NOBODY)
        self._free: list[int] = []
        self._opened = 0
        self._marks = np.zeros(capacity, np.int64)
        self._lock = Lock()

    def _use(self, stack: Stack) -> None:
        self._stack = stack
        # For each state of each layer: where it is kept, where a step reads it, where a step writes it.
        self._moves = [
            (kept[n], layer.states[0][n], layer.states[1][n])
            for layer, kept in zip(stack.layers, self._states, strict=True)
            for n in range(len(kept))
        ]

    def join(self, states: Given | None = None) -> int:
        """Begin a stream and give its key.

        states: where it begins, else at zero or where the layer has learned to: each state, (layers, hidden_size), in
        a tuple as `states` and a layer's call give them, or alone for a cell of one state; arrays or torch tensors.
        Raises UsageError when there are `capacity` streams already, ShapeError for states of another form.
        """
        given = None if states is None else self._given(states)
        with self._lock:
            if not self._free and self._opened == self.capacity:
                raise UsageError(
                    f"All {self.capacity} places are taken. Let a stream leave, or make streams of a larger capacity."
                )
            if self._free:
                place = self._free.pop()
            else:
                place, self._opened = self._opened, self._opened + 1
            self._keys[place] = key = int(self._next_keys[place])
            self._next_keys[place] += self.capacity
            self._states[:, :, place] = self._stack.start if given is None else given
        return key

    def _given(self, states: Given) -> Array:
        parts = [states] if isinstance(states, np.ndarray | Tensor) else states
        arrays = [part.detach().cpu().double().numpy() if isinstance(part, Tensor) else part for part in parts]
        names, wanted = [state.name for state in self.cell.states], (self.num_layers, self.hidden_size)
        if len(arrays) != len(names) or any(np.shape(array) != wanted for array in arrays):
            shapes = [np.shape(array) for array in arrays]
            raise ShapeError(f"Wanted {len(names)} states ({', '.join(names)}) of shape {wanted}; got {shapes}.")
        return np.stack(arrays, axis=1).astype(self.dtype)

    def leave(self, key: int) -> None:
        """End a stream. Raises UsageError for an unknown key."""
        with self._lock:
            place = int(self._places([key])[0])
            self._keys[place] = NOBODY
            self._free.append(place)

    def __len__(self) -> int:
        return self._opened - len(self._free)

    def __contains__(self, key: int) -> bool:
        return key >= 0 and bool(self._keys[key % self.capacity] == key)

    def __iter__(self) -> Iterator[int]:
        return iter(self.keys.tolist())

    @property
    def keys(self) -> Places:
        """The keys of all streams."""
        found: Places = self._keys[self._keys != NOBODY]
        return found

    def states(self, keys: int | ArrayLike) -> tuple[Array, ...]:
        """A copy of each state of one stream, (layers, hidden_size), or of several, (layers, streams, hidden_size)."""
        one = np.ndim(keys) == 0
        with self._lock:
            places = self._places([keys] if one else keys)
            found = self._states[:, :, places]
        return tuple(found[:, n, 0] if one else found[:, n] for n in range(found.shape[1]))

    def reset(self, keys: int | ArrayLike) -> None:
        """Begin one or several streams anew: set their states to those of a new stream."""
        with self._lock:
            places = self._places([keys] if np.ndim(keys) == 0 else keys)
            self._states[:, :, places] = self._stack.start[:, :, None]

    @overload
    def step(self, keys: Mapping[int, ArrayLike], /, **signals: Signal) -> dict[int, Array]: ...

    @overload
    def step(self, keys: ArrayLike, inputs: ArrayLike, /, **signals: Signal) -> Array: ...

    def step(
        self, keys: Mapping[int, ArrayLike] | ArrayLike, inputs: ArrayLike | None = None, /, **signals: Signal
    ) -> dict[int, Array] | Array:
        """Advance the named streams by one step, the others not at all.

        keys and inputs: {key: features (input_size) or token id}; or, quicker for many, keys (streams) and inputs
        (streams, input_size), token ids (streams). signals by name: one number for all, or as the inputs are given,
        {key: number} or (streams); 1 where they are not given.

        Returns the top layer's outputs in the form of the inputs: {key: (hidden_size)} or (streams, hidden_size).
        Raises UsageError for an unknown key, a key named twice or a signal of another name, ShapeError for inputs of
        another shape and ids outside the vocabulary; no stream has moved then.
        """
        if isinstance(keys, Mapping):
            if inputs is not None:
                raise UsageError("Give inputs once: either {key: input}, or keys and inputs.")
            named = list(keys)
            if not named:
                return {}
            outputs = self._step(named, list(keys.values()), signals)
            return dict(zip(named, outputs, strict=True))
        if inputs is None:
            raise UsageError("Inputs are missing: wanted step({key: input}) or step(keys, inputs).")
        return self._step(keys, inputs, signals)

    def _step(self, keys: Any, inputs: Any, signals: Mapping[str, Any]) -> Array:
        with self._lock:
            places = self._places(keys)
            given = self._checked(inputs, len(places))
            values = self._signal_values(signals, keys, len(places))
            outputs = np.empty((len(places), self.hidden_size), self.dtype)
            for begin in range(0, len(places), self._stack.most):
                piece = slice(begin, begin + self._stack.most)
                self._advance(places[piece], given[piece], values[:, piece], outputs[piece])
        return outputs

    def _places(self, keys: Any) -> Places:
        wanted = np.asarray(keys)
        if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
            raise UsageError(f"Keys are the whole numbers that join() gave; got {keys!r}.")
        wanted = wanted.astype(np.int64, copy=False)
        places: Places = wanted % self.capacity
        known = (self._keys[places] == wanted) & (wanted >= 0)
        if not known.all():
            stranger = wanted[~known][0]
            raise UsageError(f"No stream has the key {stranger}: join() never gave it, or the stream has left.")
        if len(wanted) > 1:
            order = np.arange(len(wanted))
            self._marks[places] = order
            again = self._marks[places] != order
            if again.any():
                raise UsageError(f"The key {wanted[again][0]} is named twice; a stream takes one step at a time.")
        return places

    def _checked(self, inputs: Any, count: int) -> NDArray[Any]:
        given = _array("inputs", inputs)
        shape = (count,) if self.tokens else (count, self.input_size)
        if given.shape != shape:
            what = "token ids" if self.tokens else "features"
            raise ShapeError(f"Wanted {what} of shape {shape} for {count} streams; got {given.shape}.")
        if self.tokens:
            self._stack.check_ids(given)
        return given

    def _signal_values(self, signals: Mapping[str, Any], keys: Any, count: int) -> Array:
        """(signals, streams), 1 where a signal is not given."""
        values = np.ones((len(self.cell.signals), count), self.dtype)
        for name, value in signals.items():
            number = self._stack.signal(name)
            if isinstance(value, Mapping):
                if value.keys() != set(keys):
                    raise UsageError(f"'{name}' is given for other streams than the inputs; name the same in both.")
                value = [value[key] for key in keys]
            given = _array(name, value)
            if given.shape not in ((), (count,)):
                raise ShapeError(f"Wanted '{name}' of shape ({count},), or one number; got {given.shape}.")
            values[number] = given
        return values

    def _advance(self, places: Places, inputs: NDArray[Any], signals: Array, outputs: Array) -> None:
        """Gather the states of these places, run the layers from parity 0 to parity 1, and put the states back."""
        stack, count = self._stack, len(places)
        stack.resize(count)
        (stack.ids if self.tokens else stack.features)[:count] = inputs
        stack.signals[:, :count] = signals
        for kept, old, _ in self._moves:
            kept.take(places, 0, old[:count], "clip")
        stack.run(0)
        for kept, _, new in self._moves:
            kept[places] = new[:count]
        outputs[:] = stack.outputs[0][:count]

    def refresh(self, layer: Streamable) -> None:
        """Go on with the weights that `layer` has now, each stream from where it is.

        Raises UsageError for a layer of another cell, size or type.
        """
        stack = layer.stepper(self._stack.most, self.tokens).stack
        ours, theirs = (_described(s) for s in (self._stack, stack))
        if ours != theirs or to_json(self.cell) != to_json(stack.cell):
            raise UsageError(f"Wanted a layer of the same equations and sizes: {ours}; got {theirs}.")
        with self._lock:
            self._use(stack)


def _described(stack: Stack) -> str:
    sizes = f"input_size {stack.input_size}, hidden_size {stack.hidden_size}, layers {len(stack.layers)}"
    return f"{stack.cell.name} ({sizes}, {stack.dtype})"


def _array(name: str, values: Any) -> NDArray[Any]:
    try:
        found = np.asarray(values)
    except ValueError as error:
        raise ShapeError(f"The {name} of these streams differ in shape; each stream takes the same.") from error
    if found.dtype.kind not in "fiub":
        raise ShapeError(f"Wanted numbers as {name}; got an array of {found.dtype}.")
    return found

"""Several processes that train one model together, each on its part of every batch."""

import atexit
import contextlib
import hashlib
import ipaddress
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from ricorso.errors import TrainingError

_PATIENCE = timedelta(minutes=10)


class RankLost(TrainingError):
    """Another process of the training does not answer."""


@dataclass(frozen=True)
class Ranks:
    """The processes of a training: this one's number, and how many there are."""

    number: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes, measures and speaks."""
        return self.number == 0

    def share(self, total: int) -> slice:
        """This process's part of so many examples."""
        return slice(total * self.number // self.count, total * (self.number + 1) // self.count)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in place. Raises RankLost."""
        if self.count > 1:
            self._asking(lambda: dist.all_reduce(values))
        return values

    def from_first(self, values: list[float]) -> list[float]:
        """The numbers of the first process. Raises RankLost."""
        if self.count == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64)
        self._asking(lambda: dist.broadcast(tensor, 0))
        found: list[float] = tensor.tolist()
        return found

    def wait(self) -> None:
        """Go on when all have come here. Raises RankLost."""
        if self.count > 1:
            self._asking(dist.barrier)

    def leave(self) -> None:
        """Go on when nobody needs this process any more; without it, its end could break what others are still at."""
        # who has gone already got through this, so that all have come and all is done
        with contextlib.suppress(RankLost):
            self.wait()

    def add_gradients(self, gradients: list[Tensor]) -> None:
        """Replace gradients by their sums over all processes, in one message."""
        if self.count > 1 and gradients:
            flat = self.sum(torch.cat([g.reshape(-1) for g in gradients]))
            parts = torch.split(flat, [g.numel() for g in gradients])
            torch._foreach_copy_(gradients, [part.view_as(g) for part, g in zip(parts, gradients, strict=True)])

    def whole(self, part: Tensor, total: int, dimension: int = 1) -> Tensor:
        """Put together the parts of a tensor that was divided by `share`."""
        if self.count == 1:
            return part
        shape = list(part.shape)
        shape[dimension] = total
        result = part.new_zeros(shape)
        own = self.share(total)
        result.narrow(dimension, own.start, own.stop - own.start).copy_(part)
        return self.sum(result)

    def _asking(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except RuntimeError as error:
            raise RankLost(
                f"Process {self.number} of {self.count} could not reach the others; one of them has ended or the "
                f"network has failed."
            ) from error


ALONE = Ranks()


def of_environment() -> Ranks:
    """The processes that torchrun has started, joined; this one alone where it has not.

    They meet at the address that torchrun was given. When that shows that all are on this machine, they talk over its
    loopback interface and listen nowhere else, unless GLOO_SOCKET_IFNAME names another.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return ALONE
    if not dist.is_initialized():
        if _on_this_machine(os.environ.get("MASTER_ADDR", "localhost"), count):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", _loopback_name())
        dist.init_process_group("gloo", timeout=_PATIENCE)
        atexit.register(dist.destroy_process_group)
    return Ranks(dist.get_rank(), dist.get_world_size())


def set_seed(seed: int) -> None:
    """Set torch's generators; `torch.manual_seed` takes half a millisecond for those of devices that are not there."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed(seed)


def step_seed(seed: int, epoch: int, step: int, rank: int) -> int:
    """Where the random numbers of one batch begin, so that nothing has to be replayed to go on from there."""
    text = f"{seed}/{epoch}/{step}/{rank}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 1


def _on_this_machine(address: str, count: int) -> bool:
    """Whether all processes are here, by the address at which they meet."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        # by its name this machine is known to others as well
        own = address in (socket.gethostname(), socket.getfqdn())
        return own and os.environ.get("LOCAL_WORLD_SIZE") == str(count)


def _loopback_name() -> str:
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in ("lo", "lo0") if name in names), names[0])

"""Recorded passes: small batches of branches replayed as one CUDA graph, where launching kernels costs most of a pass.

What it decides: a pass is recorded for a few lengths, numbers of branches and lengths of trunks when the way is chosen,
never in a request; anything else runs as the compact decoder runs it. A query copies its trunk, once for all branches,
into the memory that the recording reads, and what it leaves unfilled is hidden. The arithmetic is plain products
without a compiler, which a processor can run on the same memory; and each recording must repeat the compact decoder's
answer before it is used.

Dimension letters: C branches, L tokens of a branch, N places asked of a branch, D width, P room for trunk tokens,
K key/value heads, E width of a head; c branches and l tokens that do not fill theirs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, Self, cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from recollect.errors import ModelError
from recollect.model.attention import attend_trunk
from recollect.model.compact import CompactBased, CompactDecoder, Trunks
from recollect.model.compact_layer import KeysAndValues, Turns, enter_layer, leave_layer, normalise

__all__ = ["GraphedDecoder", "Recorder", "record_graph"]

_COUNTS: Final = (8, 32)
_TRUNKS: Final = (256, 1024, 4096)
_WARM_UPS: Final = 3
_INSTEAD: Final = {
    "expected": "a recording that gives the same hidden states",
    "do": "serve in the way 'compact', and report this with the versions that `recollect doctor` prints",
}
_EXACT: Final = 1e-4
_TOLERANCES: Final = {torch.float16: 1e-2, torch.bfloat16: 5e-2}

Recorder = Callable[[Callable[[], None]], Callable[[], None]]
"""Takes a pass over fixed memory; returns what repeats it."""


def record_graph(run: Callable[[], None]) -> Callable[[], None]:
    """Record a pass as a CUDA graph.

    Parameters
    ----------
    run
        Reads and writes the same memory every time, and waits for nothing.
    """
    stream = cast(Any, torch.cuda.Stream)()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UPS):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        run()
    return graph.replay


@dataclass(frozen=True, eq=False, slots=True)
class _Recording:
    """The memory of one recorded pass, and what repeats it.

    Parameters
    ----------
    embedded
        Input vectors.
    turns
        Cosines and sines of the positions, alike for all branches.
    places
        The token of each branch that is asked.
    trunk
        Room for keys and values per layer (1 x K x P x E each), shared with other recordings.
    hidden
        Minus infinity where the trunk fills no room, else 0.
    states
        What the pass computes.
    replay
        Repeats it.
    """

    embedded: Float[Tensor, "C L D"]
    turns: Turns
    places: Int64[Tensor, "C 1"]
    trunk: list[KeysAndValues]
    hidden: Float[Tensor, " P"]
    states: Float[Tensor, "C 1 D"]
    replay: Callable[[], None]

    def fill(
        self, embedded: Float[Tensor, "c l D"], turns: Turns, places: Int64[Tensor, "c 1"], trunk: list[KeysAndValues]
    ) -> None:
        """Bring a query into the memory; branches and tokens beyond its own stay what they were, and nobody asks."""
        count, length = embedded.shape[:2]
        tokens = trunk[0][0].shape[2]
        self.embedded[:count, :length] = embedded
        for kept, new in zip(self.turns, turns, strict=True):
            kept[:, :length] = new
        self.places[:count] = places
        self.hidden.fill_(float("-inf"))[:tokens] = 0
        for rooms, states in zip(self.trunk, trunk, strict=True):
            for room, new in zip(rooms, states, strict=True):
                room[:, :, :tokens] = new


class GraphedDecoder(CompactBased):
    """Replay small batches of branches; all else as the compact decoder. Make one with `GraphedDecoder.of`.

    Parameters
    ----------
    compact
        The weights, on the device that records.
    recordings
        By room: tokens of a branch, branches, tokens of the trunk.
    """

    def __init__(self, compact: CompactDecoder, recordings: dict[tuple[int, int, int], _Recording]) -> None:
        super().__init__(compact)
        self._recordings = recordings
        self._lock = Lock()

    @classmethod
    def of(
        cls, decoder: CompactDecoder, *, lengths: Sequence[int], reach: int, record: Recorder = record_graph
    ) -> Self:
        """Record passes for branches of some lengths.

        Parameters
        ----------
        decoder
            The compact decoder.
        lengths
            Tokens of the branches.
        reach
            Positions that the backbone can look across; no trunk is longer.
        record
            Records a pass.

        Raises
        ------
        ModelError
            If the device cannot record, or a recording answers otherwise than the compact decoder.
        """
        rooms = sorted({min(room, reach) for room in _TRUNKS})
        trunk = [_empty_room(decoder, number, rooms[-1]) for number in range(len(decoder.layers))]
        recordings: dict[tuple[int, int, int], _Recording] = {}
        for length in sorted(set(lengths)):
            for count in _COUNTS:
                for room in rooms:
                    cut = [(keys[:, :, :room], values[:, :, :room]) for keys, values in trunk]
                    recordings[length, count, room] = _recorded(decoder, (count, length), cut, record=record)
        made = cls(decoder, recordings)
        made._require_same_answers(reach)
        return made

    def read(
        self,
        embedded: Float[Tensor, "C L D"],
        positions: Int64[Tensor, "#C L"],
        *,
        places: Int64[Tensor, "C N"],
        trunks: Trunks,
    ) -> Float[Tensor, "C N D"]:
        """Compute the last hidden states at some places of each branch, replayed where a recording has room for them.

        Parameters
        ----------
        embedded, positions, places, trunks
            As in `CompactDecoder.read`.
        """
        trunk = trunks[0][1]
        recording = None
        if len(trunks) == len(positions) == places.shape[1] == 1 and trunk:
            recording = self._room_for(len(embedded), embedded.shape[1], trunk[0][0].shape[2])
        if recording is None:
            return self.compact.read(embedded, positions, places=places, trunks=trunks)
        states = embedded.to(self.dtype)
        with self._lock:  # one memory for all queries
            recording.fill(states, self.compact.turns(states, positions), places, trunk)
            recording.replay()
            return recording.states[: len(embedded)].clone()

    def _room_for(self, count: int, length: int, tokens: int) -> _Recording | None:
        """Return the smallest recording that a query fits."""
        fitting = [room for room in self._recordings if length <= room[0] and count <= room[1] and tokens <= room[2]]
        return self._recordings[min(fitting)] if fitting else None

    @torch.inference_mode()
    def _require_same_answers(self, reach: int) -> None:
        """Compare every recording with the compact decoder on a query that does not fill it.

        Raises
        ------
        ModelError
            If one answers otherwise.
        """
        random = torch.Generator().manual_seed(0)
        for (length, count, room), recording in self._recordings.items():
            tokens = max(1, room - 7)
            embedded, *kept = (
                torch.randn(shape, generator=random).to(self.compact.norm)
                for shape in (
                    recording.embedded[1:].shape,
                    *(one[:, :, :tokens].shape for one in recording.trunk[0] * 2),
                )
            )
            trunk = [(kept[number % 2], kept[2 + number % 2]) for number in range(len(recording.trunk))]
            positions = torch.arange(length, device=embedded.device)[None].clamp(max=reach - 1)
            places = torch.full((count - 1, 1), length - 1, device=embedded.device)
            trunks = [(count - 1, trunk)]
            expected = self.compact.read(embedded, positions, places=places, trunks=trunks)
            recording.fill(embedded, self.compact.turns(embedded, positions), places, trunk)
            recording.replay()
            difference = float((recording.states[: count - 1] - expected).abs().max())
            if not difference <= _TOLERANCES.get(self.dtype, _EXACT) * float(expected.abs().max()):
                raise ModelError(
                    what="a recorded pass answers otherwise than the same pass run step by step",
                    got=f"a difference of {difference:.3g} for {count - 1} branches of {length} tokens",
                    **_INSTEAD,
                )


def _empty_room(decoder: CompactDecoder, number: int, tokens: int) -> KeysAndValues:
    width, product = decoder.shape.width, cast(Any, decoder.layers[number].key).weight
    shape = (1, len(product) // width, tokens, width)
    return decoder.norm.new_zeros(shape), decoder.norm.new_zeros(shape)


def _recorded(
    decoder: CompactDecoder, size: tuple[int, int], trunk: list[KeysAndValues], *, record: Recorder
) -> _Recording:
    """Set memory aside for a pass of so many branches of so many tokens, and record it.

    Raises
    ------
    ModelError
        If the device cannot.
    """
    count, length = size
    like, width = decoder.norm, decoder.shape.width
    embedded, states = like.new_zeros((count, length, len(like))), like.new_zeros((count, 1, len(like)))
    turns = like.new_zeros((1, length, width)), like.new_zeros((1, length, width))
    places = torch.zeros((count, 1), dtype=torch.int64, device=like.device)
    hidden = torch.zeros(trunk[0][0].shape[2], device=like.device)
    tokens = torch.arange(length, device=like.device)
    before = (tokens <= tokens[:, None]).expand(count, -1, -1)

    def run() -> None:
        passing = embedded
        for number, layer in enumerate(decoder.layers):
            last = number + 1 == len(decoder.layers)
            asked = (places, tokens <= places[..., None]) if last else (None, before)
            found = enter_layer(layer, passing, turns, places=asked[0], shape=decoder.shape)
            shared = attend_trunk(found[0], *trunk[number], scaling=decoder.shape.scaling, added=hidden)
            passing = leave_layer(layer, passing, found, trunk=shared, asked=asked, shape=decoder.shape)
        states.copy_(normalise(passing, decoder.norm, decoder.shape))

    try:
        with torch.inference_mode():
            return _Recording(embedded, turns, places, trunk, hidden, states, record(run))
    except RuntimeError as error:
        raise ModelError("this device cannot record a pass", got=str(error), **_INSTEAD) from error

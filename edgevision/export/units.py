"""A network's graph in units: a convolution with what follows it up to the next one.

Precision is decided unit by unit: a convolution that stays in floating point is no gain while the activation behind it
is held in 8 bits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm"})


@dataclass(frozen=True, slots=True)
class Unit:
    """A convolution and what follows it.

    Attributes:
        name: Of the convolution's node.
        nodes: Names of all its nodes.
    """

    name: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Units:
    """A graph's nodes, divided.

    Attributes:
        units: In the order they are computed in.
        rest: Names of the nodes before the first convolution and behind the last ones: pixels on their way in, boxes
            and scores on their way out.
    """

    units: tuple[Unit, ...]
    rest: tuple[str, ...]


def units_of(graph: Any) -> Units:  # noqa: ANN401 - ONNX's GraphProto
    """Divide a graph, whose nodes must have names and stand in the order they are computed in.

    A node belongs to the convolution that was computed last among those it depends on. Convolutions with one channel
    out are no units: they sum up what others have found (the expectation over a distribution of distances, an
    objectness), and 8 bits for all values of such a map are too few.
    """
    channels = {item.name: item.dims[0] for item in graph.initializer if item.dims}
    maker = {name: node for node in graph.node for name in node.output}
    place = {node.name: number for number, node in enumerate(graph.node)}
    convolutions = {
        node.name
        for node in graph.node
        if node.op_type in _WEIGHTED and node.input[1] in channels and channels[node.input[1]] > 1
    }
    last: dict[str, str | None] = {}
    for node in graph.node:
        if node.name in convolutions:
            last[node.name] = node.name
            continue
        before = (last[maker[name].name] for name in node.input if name in maker)
        last[node.name] = max((name for name in before if name), key=place.__getitem__, default=None)
    leading = _leading_to(convolutions, graph.node, maker)
    members: dict[str, list[str]] = defaultdict(list)
    rest: list[str] = []
    for node in graph.node:
        unit = last[node.name]
        if unit is None or (node.name not in leading and node.name not in convolutions):
            rest.append(node.name)
        else:
            members[unit].append(node.name)
    return Units(tuple(Unit(name, tuple(nodes)) for name, nodes in members.items()), tuple(rest))


def _leading_to(goals: Iterable[str], nodes: Iterable[Any], maker: dict[str, Any]) -> set[str]:
    """Names of the nodes that some goal depends on."""
    by_name = {node.name: node for node in nodes}
    waiting = [by_name[name] for name in goals]
    seen: set[str] = set()
    while waiting:
        for name in waiting.pop().input:
            if name in maker and maker[name].name not in seen:
                seen.add(maker[name].name)
                waiting.append(maker[name])
    return seen

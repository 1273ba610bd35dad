"""Which pictures a split names: one of the data set's, those with a value in a column, or all."""

from __future__ import annotations

from edgevision.datasets.base import SPLITS, DataSet
from edgevision.errors import DatasetError


def split_of(data: DataSet, name: str) -> DataSet:
    """The pictures of a split.

    Args:
        data: All pictures.
        name: A split, ``COLUMN=VALUE,VALUE``, or empty or ``all`` for all.

    Raises:
        DatasetError: It holds no picture.
    """
    if name in {"", "all"}:
        return data
    column, given, values = name.partition("=")
    if given:
        return _by_column(data, column, values.split(","))
    part = data.of(name)
    if not part.samples:
        there = {sample.split for sample in data.samples} - {""}
        known = [split for split in SPLITS if split in there] + sorted(there - set(SPLITS))
        has = f"it has {', '.join(known)}" if known else "no picture says which one it is in; all takes every picture"
        raise DatasetError(f"{data.root}: there is no split {name}; {has}")
    return part


def _by_column(data: DataSet, column: str, values: list[str]) -> DataSet:
    there = sorted({sample.columns[column] for sample in data.samples if column in sample.columns})
    if missing := [value for value in values if value not in there]:
        columns = sorted({name for sample in data.samples for name in sample.columns})
        has = f"it has {', '.join(there[:20])}" if there else f"columns are {', '.join(columns) or 'not given'}"
        raise DatasetError(f"{data.root}: no picture has {column} {missing[0]}; {has}")
    return data.where(lambda sample: sample.columns.get(column) in values)

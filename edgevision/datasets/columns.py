"""What else is known of pictures, from a table: part, lot, camera, day, or anything else."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path

from edgevision.datasets.base import DataSet, Finding
from edgevision.datasets.texts import read_text
from edgevision.errors import DatasetError

FILE = "file"
_NOT_IN_TABLE = re.compile(r"[\x00\r\ud800-\udfff]")
TABLE = "columns.csv"  # read by itself where it lies in the data set's folder, and written there


def with_columns(data: DataSet, table: Path) -> DataSet:
    """The pictures with the columns of a CSV file, by its column ``file``: a name relative to the root, or a file name.

    Those that are ``lost`` are named like any other. A row without a picture, and one whose file name fits several,
    become findings.

    Raises:
        DatasetError: The file is no such table.
    """
    rows, columns = _rows(table)
    by_name: dict[str, list[int]] = {}
    by_file: dict[str, list[int]] = {}
    samples, findings = [*data.samples, *data.lost], list(data.findings)
    for index, sample in enumerate(samples):
        by_name.setdefault(data.name(sample.file), []).append(index)
        by_file.setdefault(sample.file.name, []).append(index)
    for line, row in rows:
        name = row[FILE].replace("\\", "/").removeprefix("./")
        found = by_name.get(name) or by_file.get(name, [])
        if len({samples[index].file for index in found}) == 1:  # a picture that is in two splits is there twice
            known = {key: row[key] for key in columns if row.get(key)}
            for index in found:
                samples[index] = replace(samples[index], columns={**samples[index].columns, **known})
        else:
            what = f"{len(found)} pictures are called" if found else "there is no picture"
            severity, kind = ("error", "ambiguous_row") if found else ("warning", "no_picture_for_row")
            findings.append(Finding(kind, severity, f"{table}:{line}", f"{what} {name}"))  # type: ignore[arg-type]
    count = len(data.samples)
    return replace(data, samples=tuple(samples[:count]), lost=tuple(samples[count:]), findings=tuple(findings))


def in_table(value: str) -> str:
    """A value with what a table cannot hold replaced."""
    return _NOT_IN_TABLE.sub("_", value.replace("\r\n", "\n"))


def _rows(table: Path) -> tuple[Sequence[tuple[int, dict[str, str]]], list[str]]:
    reader = csv.DictReader(StringIO(read_text(table)), strict=True)
    try:
        names = list(reader.fieldnames or [])
        if FILE not in names or len(set(names)) != len(names):
            raise DatasetError(f"{table}:1: needs a column `{FILE}` and names that differ; it has {', '.join(names)}")
        rows = []
        for row in reader:
            if None in row or None in row.values():
                raise DatasetError(f"{table}:{reader.line_num}: has more or fewer fields than the header")
            rows.append((reader.line_num, row))
    except csv.Error as exc:
        raise DatasetError(f"{table}:{reader.reader.line_num}: is no valid CSV: {exc}") from exc
    return rows, [name for name in names if name != FILE]

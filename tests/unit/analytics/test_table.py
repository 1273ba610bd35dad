"""Records are found by id, forgotten when old, and survive JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgevision.analytics.table import TrackTable


def _table() -> TrackTable:
    return TrackTable([("box", "f8", (4,)), ("none", "i1", (0,)), ("flag", "?")])


def test_rows_by_id_in_any_order() -> None:
    table = _table()
    rows, new = table.rows(np.array([5, 2, 9]))
    assert new.all()
    assert table.records["id"][rows].tolist() == [5, 2, 9]
    table.records["box"][rows[0]] = [1, 2, 3, 4]
    rows, new = table.rows(np.array([1, 5]))
    assert new.tolist() == [True, False]
    assert table.records["box"][rows[1]].tolist() == [1, 2, 3, 4]
    assert table.records["box"][rows[0]].tolist() == [0, 0, 0, 0]


def test_expire_hands_back_the_old() -> None:
    table = _table()
    rows, _ = table.rows(np.array([1, 2]))
    table.records["seen"][rows] = [1.0, 2.0]
    assert table.expire(2.0)["id"].tolist() == [1]
    assert table.records["id"].tolist() == [2]
    assert len(table.expire(2.0)) == 0


def test_json_keeps_every_bit() -> None:
    table, other = _table(), _table()
    rows, _ = table.rows(np.array([3, 4]))
    table.records["box"][rows] = np.random.default_rng(0).random((2, 4)) / 3
    table.records["flag"][rows[1]] = True
    other.restore(json.loads(json.dumps(table.state())))
    assert other.records.tobytes() == table.records.tobytes()
    other.restore(json.loads(json.dumps(_table().state())))
    assert len(other.records) == 0


def test_state_of_other_settings_is_refused() -> None:
    with pytest.raises(ValueError, match="'flag'"):
        _table().restore(TrackTable([("box", "f8", (4,)), ("none", "i1", (0,))]).state())

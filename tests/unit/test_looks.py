"""How pictures look: each property tells its own trouble, whatever the size and the order of channels."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from edgevision.errors import EdgevisionError
from edgevision.looks import BINS, SCALES, SIDE, CameraLooks, DeviceLooks, Look, look_at, read_looks
from edgevision.scenes.pcb import PcbConveyor
from edgevision.types import Image


def place(picture: Image) -> dict[str, int]:
    """In which bin a picture lies, by property; for the grey values where most of them lie."""
    return {name: int(np.argmax(counts)) for name, counts in look_at(picture, "bgr").counts().items()}


def moved(change: Callable[[Image], Image]) -> dict[str, int]:
    """By how many bins a change of a drawn picture moves the properties that it moves."""
    drawn = PcbConveyor(3).render(60)
    before, after = place(drawn), place(change(drawn))
    return {
        name: after[name] - before[name] for name in SCALES if name != "grey" and abs(after[name] - before[name]) > 1
    }


def test_each_trouble_moves_its_own_property() -> None:
    darker = moved(lambda image: (image * 0.4).astype(np.uint8))
    assert darker["brightness"] < -2
    assert "sharpness" not in darker, "a dark picture does not pass for a blurred one"
    blurred = moved(lambda image: cv2.GaussianBlur(image, (0, 0), 6))
    assert blurred["sharpness"] < -4
    assert "brightness" not in blurred
    flatter = moved(lambda image: (image * 0.3 + image.mean() * 0.7).astype(np.uint8))
    assert flatter["contrast"] < -2
    assert not {"brightness", "sharpness"} & set(flatter)
    grey = moved(lambda image: cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR))
    assert set(grey) == {"colourfulness"}
    assert grey["colourfulness"] < 0


def test_glare_shows_in_the_grey_values_where_the_average_hardly_moves() -> None:
    image = np.full((240, 320, 3), 90, np.uint8)
    image[:24, :64] = 255
    assert look_at(image, "rgb").grey[BINS - 1] == 24 * 64
    assert place(image)["brightness"] == 94 // 8


def test_size_and_order_of_channels_make_no_difference() -> None:
    image = PcbConveyor(3).render(60)
    assert image.shape[1] > SIDE
    large = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    assert {name: abs(bin_ - place(image)[name]) <= 1 for name, bin_ in place(large).items()} == dict.fromkeys(
        SCALES, True
    )
    assert look_at(image, "bgr") == look_at(np.ascontiguousarray(image[..., ::-1]), "rgb")


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 2000, 3), (2000, 3, 3)])
@pytest.mark.parametrize("value", [0, 255])
def test_pictures_of_any_shape_and_without_contents_count(shape: tuple[int, int, int], value: int) -> None:
    assert look_at(np.full(shape, value, np.uint8), "rgb").pictures == 1


def test_looks_add_up() -> None:
    one, other = (look_at(PcbConveyor(seed).render(60), "bgr") for seed in (1, 2))
    both = one + other
    assert both.pictures == 2
    assert sum(both.grey) == sum(one.grey) + sum(other.grey)
    days = {date(2026, 1, 1): one, date(2026, 1, 2): other}
    assert CameraLooks(model="m", days=days).total == both
    assert Look().pictures == 0


def test_what_a_device_tells_is_read_again_as_a_file_an_answer_or_a_reply(tmp_path: Path) -> None:
    days = {date(2026, 1, 1): look_at(PcbConveyor(1).render(60), "bgr")}
    told = DeviceLooks(site="s", device="d", cameras={"line": CameraLooks(model="m", days=days)})
    file = tmp_path / "looks.json"
    file.write_text(told.model_dump_json(), "utf-8")
    assert read_looks(file) == told
    file.write_text(json.dumps({"ok": True, "verb": "looks", **told.model_dump(mode="json")}), "utf-8")
    assert read_looks(file) == told


def test_nothing_of_a_picture_is_told() -> None:
    numbers = [number for counts in look_at(PcbConveyor(1).render(60), "bgr").counts().values() for number in counts]
    assert len(numbers) == 5 * BINS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not what GET /looks gives"),
        ("{}", "site: Field required"),
        ('{"schema_version": 2, "site": "s", "device": "d", "cameras": {}}', "schema_version: Input should be 1"),
        (
            '{"site": "s", "device": "d", "cameras": {"c": {"model": "m", "days": {"2026-01-01": {"grey": [1]}}}}}',
            "grey",
        ),
        ("[" * 100_000, "is not what GET /looks gives"),
    ],
)
def test_what_no_device_tells_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "looks.json"
    file.write_text(text, "utf-8")
    with pytest.raises(EdgevisionError, match=words) as caught:
        read_looks(file)
    assert str(caught.value).startswith(str(file))
    with pytest.raises(EdgevisionError, match="cannot be read"):
        read_looks(tmp_path / "missing.json")


def test_counts_that_cannot_be_are_refused() -> None:
    one = (1, *[0] * (BINS - 1))
    with pytest.raises(ValidationError, match="not counted on the same pictures"):
        Look(brightness=one)
    with pytest.raises(ValidationError, match="not counted on the same pictures"):
        Look(brightness=one, contrast=one, sharpness=one, colourfulness=one)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        Look(grey=(-1, *one[1:]))

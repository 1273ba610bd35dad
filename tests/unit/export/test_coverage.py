"""Pictures to calibrate on against what cameras see: what is missing is said, chance and small samples alarm nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, timezone
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_files import drawn, write_video

from edgevision.errors import EdgevisionError, ExportError
from edgevision.evaluation.predict import frame_of
from edgevision.export.coverage import LEAST_FRAMES, Seen, gaps, look_of, read_seen, uncovered
from edgevision.inference.base import InputSpec
from edgevision.inference.preprocess import BatchBuffer
from edgevision.looks import BINS, CameraLooks, DeviceLooks, Look, look_at
from edgevision.scenes.pcb import PcbConveyor
from edgevision.scenes.shop import ShopScene
from edgevision.sources.base import SourceContext
from edgevision.sources.file import FileSource
from edgevision.types import Image, Pixels

SPEC = InputSpec(320, 320)
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
NAMES = ("brightness", "contrast", "sharpness", "colourfulness")

Change = Callable[[Image], Image]


def same(image: Image) -> Image:
    return image


def darker(share: float) -> Change:
    return lambda image: (image * share).astype(np.uint8)


def blurred(image: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 4), np.uint8)


def tinted(image: Image) -> Image:
    return np.clip(image * np.array([0.6, 1, 1.4]), 0, 255).astype(np.uint8)


def look(images: Iterable[Image], change: Change = same) -> Look:
    return sum((look_at(change(image), "bgr") for image in images), Look())


def at(counts: dict[int, int], times: int = 1) -> Look:
    """Pictures by bin, in all properties alike."""
    row = tuple(times * counts.get(place, 0) for place in range(BINS))
    return Look(grey=row, brightness=row, contrast=row, sharpness=row, colourfulness=row)


def seen(look: Look, name: str = "s/d/line") -> Seen:
    return Seen({name: look}, ())


@pytest.fixture(name="belts", scope="module")
def _belts() -> tuple[list[Image], list[Image]]:
    """Two drawn belts with other boards, 120 pictures each."""
    belts = [PcbConveyor(seed, boards=12) for seed in (1, 2)]
    shots = [[scene.render(index) for index in np.linspace(0, scene.frames - 1, 120, dtype=int)] for scene in belts]
    return shots[0], shots[1]


def test_another_belt_of_the_same_kind_is_covered(belts: tuple[list[Image], list[Image]]) -> None:
    assert uncovered(seen(look(belts[1])), look(belts[0])) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (darker(0.4), "darker than all but 1 % of the pictures to calibrate on, by "),
        (blurred, "more blurred than all but 1 % of the pictures to calibrate on, by "),
        (tinted, "more colourful than all but 1 % of the pictures to calibrate on, by "),
    ],
)
def test_what_is_missing_is_said(belts: tuple[list[Image], list[Image]], change: Change, words: str) -> None:
    found = gaps(look(belts[1], change), look(belts[0]))
    assert any(words in gap.words(120) for gap in found), [gap.words(120) for gap in found]


def test_pictures_from_another_world_are_refused_with_the_camera_and_what_to_do(
    belts: tuple[list[Image], list[Image]],
) -> None:
    shop = ShopScene(1, seconds=60)
    people = look(shop.render(index) for index in range(0, shop.frames, shop.frames // 20))
    with pytest.raises(ExportError) as caught:
        uncovered(Seen({"s/d/line": look(belts[0]), "s/d/belt": look(belts[1])}, ()), people)
    assert str(caught.value).startswith(
        "the pictures to calibrate on are far from what 2 of 2 cameras see; camera s/d/"
    )
    assert "100 % of its frames are darker than all of the pictures to calibrate on, by " in str(caught.value)
    assert "add pictures from its dark hours" in str(caught.value)


def test_a_camera_that_sees_a_part_of_what_the_pictures_show_is_covered() -> None:
    own = at(dict.fromkeys(range(2, 30), 10))
    assert uncovered(Seen({f"s/d/{place}": at({place: 500}) for place in range(2, 30)}, ()), own) == []


def test_what_is_farthest_is_said_first_with_the_rest_behind() -> None:
    row = at({10: 100})
    camera = row.model_copy(update={"brightness": at({5: 100}).brightness, "sharpness": at({13: 100}).brightness})
    (said,) = uncovered(seen(camera), at({10: 200}))
    assert said == (
        "camera s/d/line: 100 % of its frames are darker than all but 1 % of the pictures to calibrate on, by "
        "40 grey levels on average; add pictures from its dark hours (also: 100 % of its frames are sharper or noisier)"
    )


def test_a_few_frames_alarm_nobody_and_are_told() -> None:
    (said,) = uncovered(seen(at({0: LEAST_FRAMES - 1})), at({20: 300}))
    assert said == f"camera s/d/line: its {LEAST_FRAMES - 1} frames are too few to compare; {LEAST_FRAMES} would do"


def test_the_neighbouring_bin_is_no_gap_since_a_value_may_lie_on_either_side_of_an_edge() -> None:
    assert gaps(at({9: 1000}), at({10: 300})) == []
    assert {gap.what for gap in gaps(at({8: 1000}), at({10: 300}))} == {"grey", *NAMES}


def test_a_hundredth_of_the_pictures_does_not_count_as_what_they_show() -> None:
    assert gaps(at({3: 1000}), at({3: 3, 20: 297}))
    assert gaps(at({3: 1000}), at({3: 4, 20: 296})) == []


def test_a_tenth_is_allowed_and_chance_on_either_side_too() -> None:
    own = at({10: 300})
    assert gaps(at({0: 11, 10: 89}), own) == [], "11 of 100 may be less than a tenth of all"
    assert gaps(at({0: 110, 10: 890}), own) == []
    assert gaps(at({0: 130, 10: 870}), own)
    assert gaps(at({0: 130, 10: 870}), at({10: 16})) == [], "16 pictures miss 13 % by chance"
    assert gaps(at({0: 250, 10: 750}), at({10: 16}))
    assert "than all of the pictures" in gaps(at({0: 250, 10: 750}), at({10: 16}))[0].words(16)


@pytest.mark.parametrize("count", [16, 60])
def test_pictures_drawn_from_what_the_camera_sees_rarely_alarm(
    belts: tuple[list[Image], list[Image]], count: int
) -> None:
    every = [look_at(image, "bgr") for image in (*belts[0], *belts[1])]
    alarms = 0
    for seed in range(50):
        order = np.random.default_rng(seed).permutation(len(every))
        own, camera = (sum((every[place] for place in part), Look()) for part in (order[:count], order[count:]))
        alarms += bool(gaps(camera, own))
    assert alarms <= 2


def through(pixels: Pixels) -> Look:
    """As the daemon looks at a frame: at what the model is given."""
    buffer = BatchBuffer(SPEC, 1)
    frame = frame_of(Path("x"), np.zeros((1, 1, 3), np.uint8))
    buffer.fill(0, type(frame)("camera", 0, frame.time, pixels))
    return look_at(buffer.picture(0), SPEC.order)


def test_a_file_looks_as_the_same_picture_does_to_a_device_also_when_it_comes_as_a_video(tmp_path: Path) -> None:
    size = (960, 540)
    settings = FileSource.Settings(kind="file", path=write_video(tmp_path / "v.mp4", 6, size=size))
    frames = list(FileSource(settings, SourceContext("camera", None, NOW)).frames())
    assert len(frames) == 6
    for index, frame in enumerate(frames):
        file = tmp_path / f"{index}.png"
        cv2.imwrite(str(file), drawn(index, size))
        from_file, from_video = look_of([file], SPEC), through(frame.pixels)
        apart = {n: np.argmax(from_file.counts()[n]) - np.argmax(from_video.counts()[n]) for n in NAMES}
        assert all(abs(bins) <= 1 for bins in apart.values()), apart
    cv2.imwrite(str(tmp_path / "f.png"), frames[0].pixels.bgr())
    assert look_of([tmp_path / "f.png"], SPEC).pictures == 1


def device(file: Path, cameras: dict[str, Look], *, model: str = "m", day: str = "2026-01-01", name: str = "d") -> Path:
    told = {camera: CameraLooks(model=model, days={date.fromisoformat(day): look}) for camera, look in cameras.items()}
    file.parent.mkdir(exist_ok=True)
    file.write_text(DeviceLooks(site="s", device=name, cameras=told).model_dump_json(), "utf-8")
    return file


def test_files_and_folders_of_devices_are_read_and_a_day_counts_once(tmp_path: Path) -> None:
    folder = device(tmp_path / "looks" / "old.json", {"a": at({1: 5})}).parent
    device(folder / "new.json", {"a": at({1: 7})})
    device(folder / "more.json", {"a": at({1: 2})}, day="2026-01-02")
    device(folder / "other.json", {"a": at({1: 1}), "b": Look()}, name="e")
    found = read_seen([folder, folder / "new.json"], "m")
    assert {camera: look.pictures for camera, look in found.cameras.items()} == {"s/d/a": 9, "s/e/a": 1}


def test_only_cameras_that_run_the_model_count_where_some_do(tmp_path: Path) -> None:
    one = device(tmp_path / "1.json", {"a": at({1: 200})}, model="boards")
    two = device(tmp_path / "2.json", {"b": at({1: 200})}, model="people", name="e")
    found = read_seen([one, two], "boards")
    assert (list(found.cameras), found.others) == (["s/d/a"], ("s/e/b",))
    assert uncovered(found, at({1: 200})) == ["not compared, since they run another model: s/e/b"]
    assert len(read_seen([one, two], "new").cameras) == 2


def test_what_tells_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="holds no file of a device"):
        read_seen([tmp_path], "m")
    with pytest.raises(ExportError, match="no camera has seen anything yet"):
        read_seen([device(tmp_path / "1.json", {"a": Look()})], "m")
    with pytest.raises(EdgevisionError, match="cannot be read: No such file"):
        read_seen([tmp_path / "missing.json"], "m")


def test_real_boards_are_near_to_each_other_and_far_from_dark_ones_and_from_steel(data_dir: Path) -> None:
    boards = sorted((data_dir / "deeppcb" / "images").glob("*.png"))
    steel = sorted(file for file in (data_dir / "neu-det").rglob("*") if file.suffix in {".jpg", ".bmp", ".png"})[::10]
    train = [file for file in boards if file.name[:5] in {"00041", "13000", "20085"}][::6]
    test = [file for file in boards if file.name[:5] in {"77000", "92000"}][::2]
    assert min(len(steel), len(train), len(test)) > 100
    spec = InputSpec(512, 512)
    own, camera, other = look_of(train, spec), look_of(test, spec), look_of(steel, spec)
    assert uncovered(seen(camera), own) == []
    assert uncovered(seen(own), camera) == []
    with pytest.raises(ExportError, match="higher in contrast"):
        uncovered(seen(camera), other)
    (said,) = uncovered(seen(other), own)
    assert "lower in contrast" in said
    dark = look((cv2.imread(str(file)) for file in train), darker(0.4))
    with pytest.raises(ExportError, match=r"higher in contrast|brighter"):
        uncovered(seen(camera), dark)

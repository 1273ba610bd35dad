"""The base of every settings model."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from edgevision.config.settings import Name, RelativePoint, Settings, WithoutSecrets, masked


class Example(Settings):
    name: Name = "a"
    file: Path = Path("default")
    point: RelativePoint = (0.5, 0.5)
    text: WithoutSecrets = ""


def test_relative_paths_are_meant_from_the_files_folder(tmp_path: Path) -> None:
    context = {"folder": tmp_path}
    assert Example.model_validate({"file": "x/y"}, context=context).file == tmp_path / "x/y"
    assert Example.model_validate({}, context=context).file == tmp_path / "default"
    assert Example.model_validate({"file": "/x"}, context=context).file == Path("/x")
    assert Example(file=Path("x")).file == Path("x")


@pytest.mark.parametrize("name", ["a", "line-3", "9", "a" * 63])
def test_names(name: str) -> None:
    assert Example(name=name).name == name


@pytest.mark.parametrize("name", ["", "A", "-a", "a_b", "a/b", "ä", "a" * 64, "a+", "#", "a\n"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValidationError):
        Example(name=name)


def test_unknown_keys_and_changes_are_refused() -> None:
    with pytest.raises(ValidationError):
        Example.model_validate({"nmae": "a"})
    with pytest.raises(ValidationError):
        Example().name = "b"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Example(point=(0.5, 1.5))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtspsrc location=rtsp://u:hush@cam:554/1 ! x", "rtspsrc location=rtsp://**********@cam:554/1 ! x"),
        ("rtspsrc location=rtsp://admin:hu/s@h@cam/1 ! x", "rtspsrc location=rtsp://**********@cam/1 ! x"),
        ("rtspsrc user-pw=hu&sh@! ! x", "rtspsrc user-pw=********** ! x"),
        ("rtspsrc user-id=admin user-pw=hush ! x", "rtspsrc user-id=admin user-pw=********** ! x"),
        ('rtspsrc user-pw = "hu \\" sh" latency=0', "rtspsrc user-pw = ********** latency=0"),
        ("rtspsrc proxy-pw='hu sh' ! x", "rtspsrc proxy-pw=********** ! x"),
        (r"rtspsrc user-pw=hu\ sh ! x", "rtspsrc user-pw=********** ! x"),
        ('rtspsrc user-pw=(string)"hu sh" ! x', "rtspsrc user-pw=(string)********** ! x"),
        ("rtspsrc USER-PW=hush ! x", "rtspsrc USER-PW=********** ! x"),
        ('souphttpsrc location="http://cam/?user=a&password=hush&fps=5" ! x',
         'souphttpsrc location="http://cam/?user=a&password=**********" ! x'),
        (r'souphttpsrc extra-headers="h,Authorization=\"Basic aHVzaA==\"" ! x',
         "souphttpsrc extra-headers=********** ! x"),
        ("srtsrc uri=srt://cam:9000?passphrase=hush ! x", "srtsrc uri=srt://cam:9000?passphrase=********** ! x"),
        ("http://machine/verdicts?token=hush", "http://machine/verdicts?token=**********"),
        ("filesrc location=a@b.mp4 ! x264enc pass=qual key-int-max=5 ! x", None),
        ("v4l2src device=/dev/video0 ! video/x-raw,format=(string)BGR,width=640 ! videoconvert", None),
    ],
)  # fmt: skip
def test_passwords_within_a_text_are_masked_and_nothing_else(text: str, shown: str | None) -> None:
    assert masked(text) == (text if shown is None else shown)
    assert Example(text=text).text == text
    assert Example(text=text).model_dump()["text"] == text
    assert Example(text=text).model_dump(mode="json")["text"] == masked(text)

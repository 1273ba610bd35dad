"""Variations of training pictures: pipelines of albumentations written in YAML, with boxes that stay on their objects.

A pipeline is a list of transforms, each ``{Name: {argument: value}}``; ``OneOf`` and ``SomeOf`` hold more under
``transforms``. Names and arguments are those of albumentations 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from edgevision.errors import ConfigError, Problem
from edgevision.training.quiet import hush_albumentations
from edgevision.types import FloatArray, Image, IntArray

if TYPE_CHECKING:
    import albumentations

PRESETS = ("inspection", "retail", "low_light", "fused")
KEPT_AREA = 0.3  # of a box; less of it left in the picture is no object to learn from any more
_GROUPS = frozenset({"OneOf", "SomeOf", "Sequential"})
_ROTATING = frozenset({"Affine", "Rotate", "SafeRotate", "ShiftScaleRotate"})
_SYMMETRIES = frozenset(
    {"D4", "HorizontalFlip", "NoOp", "RandomRotate90", "SquareSymmetry", "Transpose", "VerticalFlip"}
)

hush_albumentations()


class Pipeline:
    """Transforms that are applied one after the other.

    Args:
        transforms: Of albumentations.
        name: For messages.
    """

    def __init__(self, transforms: Sequence[Any], name: str) -> None:
        import albumentations

        self.name = name
        self.transforms = tuple(transforms)
        self._compose: albumentations.Compose = albumentations.Compose(
            list(transforms),
            bbox_params=albumentations.BboxParams(
                format="pascal_voc", label_fields=["labels"], min_visibility=KEPT_AREA, clip=True
            ),
        )

    def apply(self, image: Image, xyxy: FloatArray, label: IntArray, seed: int) -> tuple[Image, FloatArray, IntArray]:
        """A variation of a picture.

        Args:
            image: (H, W, 3) uint8 BGR.
            xyxy: (N, 4) float32, px.
            label: (N,) int64.
            seed: The same seed gives the same variation.

        Returns:
            Picture, boxes and labels; boxes of which little is left are gone.
        """
        self._compose.set_random_seed(seed)
        rgb = np.ascontiguousarray(image[..., ::-1])
        made = self._compose(image=rgb, bboxes=np.asarray(xyxy, np.float64), labels=list(map(int, label)))
        picture = np.ascontiguousarray(made["image"][..., ::-1], dtype=np.uint8)
        boxes = np.asarray(made["bboxes"], np.float32).reshape(-1, 4)
        return picture, boxes, np.asarray(made["labels"], np.int64).reshape(-1)

    def whole(self) -> Pipeline:
        """What of it leaves pictures whole and objects their size: colours, noise, mirroring, quarter turns.

        A group stays if everything in it does.
        """
        return Pipeline([item for item in self.transforms if _keeps_whole(item)], self.name)


def _keeps_whole(transform: Any) -> bool:  # noqa: ANN401 - of albumentations
    import albumentations

    if isinstance(transform, albumentations.BaseCompose):
        return all(_keeps_whole(item) for item in transform.transforms)
    return isinstance(transform, albumentations.ImageOnlyTransform) or type(transform).__name__ in _SYMMETRIES


def load_pipeline(which: str | Path) -> Pipeline:
    """A preset by its name, or a YAML file.

    Raises:
        ConfigError: No such preset or file, or something in it is no transform of albumentations; names the entry.
    """
    text, where = _text(which)
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        line = getattr(getattr(exc, "problem_mark", None), "line", 0) + 1
        raise ConfigError([Problem(f"{where}:{line}", "", f"not YAML: {getattr(exc, 'problem', exc)}")]) from exc
    problems: list[Problem] = []
    transforms = list(_transforms(document or [], where, "", problems))
    if problems:
        raise ConfigError(problems)
    return Pipeline(transforms, str(which))


def _text(which: str | Path) -> tuple[str, str]:
    if str(which) in PRESETS:
        preset = resources.files("edgevision.training") / "presets" / f"{which}.yaml"
        return preset.read_text("utf-8"), str(which)
    try:
        return Path(which).read_text("utf-8"), str(which)
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "is not UTF-8"
        message = f"{reason}; give a file, or one of {', '.join(PRESETS)}"
        raise ConfigError([Problem(str(which), "", message)]) from exc


def _transforms(document: Any, where: str, path: str, problems: list[Problem]) -> Iterator[Any]:  # noqa: ANN401
    if not isinstance(document, list):
        problems.append(Problem(where, path, "expected a list of transforms, each `- Name: {argument: value}`"))
        return
    for place, entry in enumerate(document):
        here = f"{path}[{place}]"
        if isinstance(entry, str):
            entry = {entry: {}}  # noqa: PLW2901 - the short form
        if not (isinstance(entry, dict) and len(entry) == 1):
            problems.append(Problem(where, here, f"expected one `Name: {{argument: value}}`, got {entry!r}"))
            continue
        ((name, arguments),) = entry.items()
        made = _transform(str(name), dict(arguments or {}), where, here, problems)
        if made is not None:
            yield made


def _transform(name: str, arguments: dict[str, Any], where: str, path: str, problems: list[Problem]) -> Any:  # noqa: ANN401
    import difflib
    import warnings

    import albumentations

    known = [item for item in dir(albumentations) if _is_transform(getattr(albumentations, item))]
    if name not in known and name not in _GROUPS:
        near = difflib.get_close_matches(name, [*known, *_GROUPS], 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        problems.append(Problem(where, path, f"{name!r} is no transform of albumentations{hint}"))
        return None
    if name in _GROUPS:
        inside = list(_transforms(arguments.pop("transforms", None), where, f"{path}.{name}", problems))
        arguments["transforms"] = inside
        if not inside:
            return None
    # Boxes of turned ellipses lie closer to what was turned than those of turned rectangles.
    if name in _ROTATING:
        arguments.setdefault("rotate_method", "ellipse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an unknown argument is only a warning there
        try:
            return getattr(albumentations, name)(**_tuples(arguments))
        except (TypeError, ValueError, UserWarning) as exc:
            problems.append(Problem(where, f"{path}.{name}", " ".join(str(exc).split())))
    return None


def _is_transform(item: object) -> bool:
    import albumentations

    return isinstance(item, type) and issubclass(item, albumentations.ImageOnlyTransform | albumentations.DualTransform)


def _tuples(arguments: dict[str, Any]) -> dict[str, Any]:
    """YAML has lists where albumentations wants tuples."""
    return {
        key: tuple(value) if isinstance(value, list) and key != "transforms" else value
        for key, value in arguments.items()
    }

"""What an export starts from: a bundle, a run of a training, or a bare checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgevision.bundle import MANIFEST, Bundle, read_bundle
from edgevision.datasets.base import DataSet
from edgevision.datasets.settings import load_data
from edgevision.errors import ExportError
from edgevision.inference.base import Detector
from edgevision.training.bundling import bundle_of_weights
from edgevision.training.folder import RUN, SETTINGS, TRAINED, read_json
from edgevision.training.settings import TrainSettings
from edgevision.training.trainers import graph_of_weights


@dataclass(frozen=True, slots=True)
class Origin:
    """A trained model.

    Attributes:
        where: Where it lies.
        content: Its graph of 32-bit floats.
        manifest: Of its bundle, without artefacts.
        files: Everything else that lies in its bundle, by path inside.
        trained: Makes the trained network a detector, of a bundle and thresholds; ``None`` where only a graph is there.
        data: What it was trained on; ``None`` where that is not known.
        chosen: Whether its thresholds were chosen for it.
    """

    where: Path
    content: bytes
    manifest: Mapping[str, Any]
    files: Mapping[str, Path | bytes]
    trained: Callable[[Bundle, Mapping[str, float]], Detector] | None
    data: DataSet | None
    chosen: bool


def origin_of(path: Path, room: Path, *, trust: bool = False, size: int | None = None) -> Origin:
    """Read what an export starts from.

    Args:
        path: Folder of a bundle, folder of a run, or a checkpoint (``.pt``).
        room: Where libraries may leave what they need.
        trust: Load checkpoints that hold more than weights.
        size: Side of the input, px, of a checkpoint that does not tell what it was trained at.

    Raises:
        ExportError: It is none of them, its training has not ended, or a size is given that it has already.
        EdgevisionError: It cannot be read.
    """
    if size is not None and path.is_dir():
        raise ExportError(f"{path}: knows the size of its input; leave --size out")
    if (path / MANIFEST).is_file():
        return _of_bundle(read_bundle(path))
    if (path / RUN).is_file():
        return _of_run(path, room, trust=trust)
    if path.suffix.lower() in {".pt", ".pth"} and path.is_file():
        return _of_weights(path, room, trust=trust, size=size)
    if not path.exists():
        raise ExportError(f"{path}: does not exist")
    first = "; make a bundle of it with `edgevision models import`" if path.suffix.lower() == ".onnx" else ""
    raise ExportError(f"{path}: is no bundle, no folder of a training and no checkpoint (.pt){first}")


def _of_bundle(bundle: Bundle) -> Origin:
    source = bundle.source()
    manifest = bundle.manifest.model_dump(mode="json", by_alias=True, exclude_unset=True)
    manifest.pop("artefacts")
    artefacts = {item.file for item in bundle.manifest.artefacts}
    files: dict[str, Path | bytes] = {
        file.relative_to(bundle.folder).as_posix(): file.read_bytes()
        for file in bundle.folder.rglob("*")
        if file.is_file() and file.name != MANIFEST and file.relative_to(bundle.folder).as_posix() not in artefacts
    }
    return Origin(bundle.folder, bundle.load(source), manifest, files, None, None, chosen=True)


def _of_run(folder: Path, room: Path, *, trust: bool) -> Origin:
    facts = read_json(folder / RUN)
    if TRAINED not in facts or not (folder / "bundle" / MANIFEST).is_file():
        raise ExportError(f"{folder}: its training has not ended; go on with `edgevision train ... --resume`")
    of_bundle = _of_bundle(read_bundle(folder / "bundle"))
    of_weights = _of_weights(folder / str(facts[TRAINED]), room, trust=trust)
    settings = TrainSettings.model_validate(json.loads((folder / SETTINGS).read_text("utf-8")))
    data = load_data(settings.data)
    return Origin(folder, of_bundle.content, of_bundle.manifest, of_bundle.files, of_weights.trained, data, chosen=True)


def _of_weights(weights: Path, room: Path, *, trust: bool, size: int | None = None) -> Origin:
    graph = graph_of_weights(weights, room / "home", trust=trust, size=size)
    bundle = bundle_of_weights(graph, "weights", room / "weights")

    def trained(bundle: Bundle, thresholds: Mapping[str, float]) -> Detector:
        from edgevision.training.trained import trained_detector

        return trained_detector(graph, bundle, thresholds)

    found = _of_bundle(bundle)
    return Origin(weights, found.content, found.manifest, found.files, trained, None, chosen=False)

"""The model bundle: what is written is read again; whatever is wrong is refused in one clear line, pickles unopened."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx_models import colour_bundle, colour_manifest, write_colour_model

from edgevision.bundle import (
    Bundle,
    OnnxHeader,
    onnx_header,
    read_bundle,
    refuse_unsafe,
    sha256_of,
    verify_files,
    write_bundle,
)
from edgevision.bundle.onnx_file import refuse_outside
from edgevision.errors import BundleCorrupt, BundleError, UnsafeModel


class Bomb:
    """Creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.fixture(name="bundle")
def _bundle(tmp_path: Path) -> Bundle:
    return colour_bundle(tmp_path)


@pytest.fixture(name="model")
def _model(tmp_path: Path) -> Path:
    return write_colour_model(tmp_path / "source.onnx")


def _edit(bundle: Bundle, **changes: object) -> Path:
    file = bundle.folder / "bundle.yaml"
    document = yaml.safe_load(file.read_text())
    document.update(changes)
    file.write_text(yaml.safe_dump(document))
    return bundle.folder


def test_what_is_written_is_read(tmp_path: Path, model: Path) -> None:
    boxes = [{"class": "red", "xyxy": [1, 2, 3, 4], "score": 0.5}]
    manifest = colour_manifest(
        golden=[{"file": "golden/a.png", "boxes": boxes}], metrics={"model.onnx": {"map50": 0.9}}
    )
    files: dict[str, Path | bytes] = {"model.onnx": model, "golden/a.png": b"png", "MODEL_CARD.md": b"# Card"}
    bundle = write_bundle(tmp_path / "models" / "colours", manifest, files)
    again = read_bundle(tmp_path / "models" / "colours")
    assert again == bundle
    assert again.manifest.artefacts[0].opset == 17
    assert again.manifest.golden[0].boxes[0].class_name == "red"
    assert (again.folder / "MODEL_CARD.md").read_text() == "# Card"
    assert again.load(again.manifest.artefacts[0]) == model.read_bytes()
    verify_files(again)


def test_the_reference_names_version_and_content(bundle: Bundle) -> None:
    name, _, digest = bundle.model_ref.partition("#")
    assert name == "colours@1.2"
    assert len(digest) == 12
    assert int(digest, 16) >= 0
    assert read_bundle(_edit(bundle, thresholds={"default": 0.6})).model_ref != bundle.model_ref


def test_a_folder_without_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is no model bundle: cannot read bundle.yaml \(No such file"):
        read_bundle(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "not readable as YAML"),
        ("[" * 5000, "not readable as YAML"),
        ("\x00", "not readable as YAML"),
        ("- just a list", "valid dictionary"),
        ("", "valid dictionary"),
    ],
)
def test_a_manifest_that_is_none(bundle: Bundle, text: str, message: str) -> None:
    (bundle.folder / "bundle.yaml").write_text(text)
    with pytest.raises(BundleError, match=message):
        read_bundle(bundle.folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"input": {"width": 0, "height": 48}}, "input.width: Input should be greater than 0"),
        ({"family": "ssd"}, "family: Input should be 'yolo', 'yolo-e2e', 'yolox' or 'dense-xyxy'"),
        ({"classes": []}, "classes: Tuple should have at least 1 item"),
        ({"classes": ["red", "red", "blue"]}, "got twice: red"),
        ({"thresholds": {"pink": 0.5}}, "unknown class pink; classes are red, green, blue"),
        ({"thresholds": {"red": 50}}, "thresholds.red: Input should be less than or equal to 1"),
        ({"name": "Colours!"}, "name: String should match"),
        ({"schema_version": 2}, "schema_version: Input should be 1"),
        ({"name": None, "family": None}, r"\(and 1 more\)"),
    ],
)
def test_wrong_values_are_named(bundle: Bundle, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        read_bundle(_edit(bundle, **changes))
    assert "bundle.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["../model.onnx", "/etc/passwd", "a/../../b.onnx", "..\\model.onnx", "."])
def test_files_may_not_leave_the_folder(bundle: Bundle, file: str) -> None:
    artefact = {"file": file, "sha256": "0" * 64, "opset": 17}
    with pytest.raises(BundleError, match=r"artefacts.0.file: .* must be a path inside the bundle's folder"):
        read_bundle(_edit(bundle, artefacts=[artefact]))


def test_links_may_not_leave_the_folder(bundle: Bundle, model: Path) -> None:
    (bundle.folder / "model.onnx").unlink()
    (bundle.folder / "model.onnx").symlink_to(model)
    with pytest.raises(BundleError, match="leads out of the bundle's folder"):
        read_bundle(bundle.folder)


def test_a_missing_file(bundle: Bundle) -> None:
    (bundle.folder / "model.onnx").unlink()
    with pytest.raises(BundleError, match=r"model.onnx is named in bundle.yaml but missing"):
        read_bundle(bundle.folder)


def test_changed_bytes_are_found_by_verify_and_by_load(bundle: Bundle) -> None:
    file = bundle.folder / "model.onnx"
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(BundleCorrupt, match=r"model.onnx differs .* SHA-256 expected [0-9a-f]{12}…, got"):
        verify_files(bundle)
    with pytest.raises(BundleCorrupt):
        bundle.load(bundle.manifest.artefacts[0])


def test_changed_golden_pictures_are_found(tmp_path: Path, model: Path) -> None:
    manifest = colour_manifest(golden=[{"file": "golden/a.png"}])
    bundle = write_bundle(tmp_path / "b", manifest, {"model.onnx": model, "golden/a.png": b"1"})
    (bundle.folder / "golden/a.png").write_bytes(b"2")
    with pytest.raises(BundleCorrupt, match=r"golden/a.png"):
        verify_files(bundle)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_in_place_of_the_model_is_never_opened(bundle: Bundle, tmp_path: Path, protocol: int) -> None:
    (bundle.folder / "model.onnx").write_bytes(pickle.dumps(Bomb(tmp_path / "boom"), protocol))
    for attempt in (lambda: verify_files(bundle), lambda: bundle.load(bundle.manifest.artefacts[0])):
        with pytest.raises(UnsafeModel, match=r"model.onnx holds a pickle .* refused; export the model to ONNX"):
            attempt()
    assert not (tmp_path / "boom").exists()


def test_a_zip_of_pickles_is_refused(bundle: Bundle) -> None:
    with zipfile.ZipFile(bundle.folder / "model.onnx", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    with pytest.raises(UnsafeModel):
        bundle.load(bundle.manifest.artefacts[0])


def test_a_pickle_by_its_name_is_refused_on_reading(bundle: Bundle) -> None:
    (bundle.folder / "best.pt").write_bytes(b"anything")
    artefact = {"file": "best.pt", "sha256": "0" * 64, "opset": 17}
    with pytest.raises(UnsafeModel, match=r"best.pt is a .pt file"):
        read_bundle(_edit(bundle, artefacts=[artefact]))


def test_thresholds_follow_the_classes(tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path, thresholds={"default": 0.5, "green": 0.7})
    assert bundle.thresholds() == (0.5, 0.7, 0.5)
    assert bundle.thresholds({"red": 0.1}) == (0.1, 0.7, 0.5)
    assert bundle.thresholds({"default": 0.2, "blue": 0.3}) == (0.2, 0.2, 0.3)
    with pytest.raises(BundleError, match="threshold for unknown class pink; classes are red, green, blue"):
        bundle.thresholds({"pink": 0.1})


def test_the_artefact_suits_the_device(tmp_path: Path, model: Path) -> None:
    artefacts = [
        {"file": "cpu.onnx", "precision": "int8", "targets": ["cpu"]},
        {"file": "model.onnx", "precision": "fp32"},
        {"file": "half.onnx", "precision": "fp16", "targets": ["cuda", "tensorrt"]},
    ]
    files: dict[str, Path | bytes] = dict.fromkeys(("cpu.onnx", "model.onnx", "half.onnx"), model)
    bundle = write_bundle(tmp_path / "b", colour_manifest(artefacts=artefacts), files)
    assert bundle.artefact("cpu").file == "cpu.onnx"
    assert bundle.artefact("cuda").file == "model.onnx"
    assert bundle.artefact("cuda", "fp16").file == "half.onnx"
    with pytest.raises(BundleError, match=r"no fp16 artefact for cpu; there is cpu.onnx \(int8 for cpu\)"):
        bundle.artefact("cpu", "fp16")


def test_the_source_is_the_graph_of_32_bit_floats_wherever_it_stands(tmp_path: Path, model: Path) -> None:
    half = {"file": "half.onnx", "precision": "fp16"}
    files: dict[str, Path | bytes] = {"half.onnx": model, "model.onnx": model}
    both = write_bundle(
        tmp_path / "both", colour_manifest(artefacts=[half, {"file": "model.onnx", "precision": "fp32"}]), files
    )
    assert both.source().file == "model.onnx"
    only_half = write_bundle(tmp_path / "half", colour_manifest(artefacts=[half]), files)
    with pytest.raises(BundleError, match=r"half: has no artefact of 32-bit floats"):
        only_half.source()


def test_an_existing_bundle_is_replaced_only_when_asked(bundle: Bundle, model: Path) -> None:
    manifest, files = colour_manifest(version="2"), {"model.onnx": model}
    with pytest.raises(BundleError, match="exists already"):
        write_bundle(bundle.folder, manifest, files)
    assert read_bundle(bundle.folder).manifest.version == "1.2"
    assert write_bundle(bundle.folder, manifest, files, replace=True).manifest.version == "2"


def test_a_folder_that_is_no_bundle_is_never_replaced(tmp_path: Path, model: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years")
    with pytest.raises(BundleError, match="is no bundle, so it is not replaced"):
        write_bundle(tmp_path / "precious", colour_manifest(), {"model.onnx": model}, replace=True)
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "years"


@pytest.mark.parametrize(
    ("changes", "files"),
    [
        ({"family": "ssd"}, {}),
        ({"artefacts": [{"file": "other.onnx"}]}, {}),
        ({"artefacts": []}, {}),
        ({}, {"../outside": b"x"}),
        ({}, {"card.md": Path("/nonexistent/card.md")}),
    ],
)
def test_a_failed_write_leaves_what_was_there(
    bundle: Bundle, model: Path, changes: dict[str, Any], files: dict[str, Path | bytes]
) -> None:
    before = sorted(path.name for path in bundle.folder.parent.iterdir())
    with pytest.raises(BundleError):
        write_bundle(bundle.folder, colour_manifest(**changes), {"model.onnx": model, **files}, replace=True)
    assert read_bundle(bundle.folder) == bundle
    assert sorted(path.name for path in bundle.folder.parent.iterdir()) == before


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, model: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match=r"cannot write .*/file/out \("):
        write_bundle(tmp_path / "file" / "out", colour_manifest(), {"model.onnx": model})


def test_a_model_too_new_for_jetpack_6_is_refused_unless_allowed(tmp_path: Path) -> None:
    graph = helper.make_graph([], "empty", [], [])
    for version, opset in ((10, 20), (11, 19)):
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=version)
        files = {"model.onnx": model.SerializeToString()}
        with pytest.raises(BundleError, match=f"ir_version {version}, opset {opset}; JetPack 6 can read at most"):
            write_bundle(tmp_path / "new", colour_manifest(), files)
        write_bundle(tmp_path / f"new-{version}", colour_manifest(), files, portable=False)


@pytest.mark.parametrize("opsets", [[("", 13)], [("ai.onnx", 17)], [("com.microsoft", 1), ("", 19)]])
@pytest.mark.parametrize("ir_version", [6, 10])
def test_the_header_agrees_with_the_library(tmp_path: Path, opsets: list[tuple[str, int]], ir_version: int) -> None:
    graph = helper.make_graph([], "empty", [], [])
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets]
    model = helper.make_model(graph, opset_imports=imports, ir_version=ir_version, producer_name="x" * 300)
    onnx.save(model, str(tmp_path / "m.onnx"))
    assert onnx_header(tmp_path / "m.onnx") == OnnxHeader(ir_version, opsets[-1][1])


def test_a_truncated_model_is_refused(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:-20])
    with pytest.raises(BundleCorrupt, match="is no ONNX model, or it is truncated"):
        onnx_header(model)


def test_weights_in_another_file_are_refused_since_no_hash_covers_them(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runtimes look for them in the folder that they were started in."""
    monkeypatch.chdir(tmp_path)
    apart = tmp_path / "apart.onnx"
    onnx.save_model(onnx.load(model), str(apart), save_as_external_data=True, location="weights.bin", size_threshold=0)
    said = "model.onnx keeps weights in another file, which no hash covers: it is refused; save the model as one file"
    with pytest.raises(UnsafeModel, match=said):
        write_bundle(tmp_path / "new", colour_manifest(), {"model.onnx": apart})
    foreign = write_bundle(tmp_path / "foreign", colour_manifest(), {"model.onnx": model})
    (foreign.folder / "model.onnx").write_bytes(apart.read_bytes())
    entry = foreign.manifest.artefacts[0].model_dump(mode="json")
    signed = read_bundle(_edit(foreign, artefacts=[{**entry, "sha256": sha256_of(apart)}]))
    with pytest.raises(UnsafeModel, match=said):
        signed.load(signed.manifest.artefacts[0])
    with pytest.raises(UnsafeModel, match=said):
        verify_files(signed)


def test_weights_in_another_file_are_found_wherever_they_hide() -> None:
    tensor = numpy_helper.from_array(np.ones(4, np.float32), "w")
    tensor.data_location = TensorProto.EXTERNAL
    hidden = helper.make_node("Constant", [], ["w"], value=tensor)
    inner = helper.make_graph([hidden], "inner", [], [])
    branch = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=helper.make_graph([], "e", [], []))
    sparse = helper.make_sparse_tensor(tensor, numpy_helper.from_array(np.arange(4)), [4])
    graphs = (
        helper.make_graph([hidden], "attribute", [], []),
        helper.make_graph([branch], "branch", [], []),
        helper.make_graph([], "sparse", [], [], sparse_initializer=[sparse]),
    )
    function = helper.make_function("own", "f", [], ["w"], [hidden], [helper.make_opsetid("", 17)])
    models = [*map(helper.make_model, graphs), helper.make_model(graphs[0], functions=[function])]
    del models[-1].graph.node[:]
    for item in models:
        with pytest.raises(UnsafeModel):
            refuse_outside("model.onnx", item.SerializeToString())


@given(data=st.binary(max_size=200))
def test_no_bytes_upset_the_header_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.onnx"
    file.write_bytes(data)
    try:
        header = onnx_header(file)
    except BundleError:
        return
    assert header.opset > 0


@given(data=st.binary(max_size=32))
def test_an_onnx_beginning_is_never_called_unsafe(data: bytes) -> None:
    refuse_unsafe("model.onnx", b"\x08" + data)

"""Signed bundles: only those that a trusted key signed, as they are."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from keys import SECRET, key_pair
from onnx_models import colour_bundle

from edgevision.bundle import Bundle, read_bundle, write_bundle
from edgevision.bundle.signature import read_trusted, sign, verify_signature
from edgevision.errors import BundleCorrupt, BundleError, BundleUntrusted


@pytest.fixture(name="bundle")
def _bundle(tmp_path: Path) -> Bundle:
    return colour_bundle(tmp_path)


def test_a_signed_bundle_is_trusted_by_its_key_among_others(bundle: Bundle, tmp_path: Path) -> None:
    (secret, public), (_, other) = key_pair(tmp_path, "mine"), key_pair(tmp_path, "other")
    name = sign(bundle, secret)
    assert verify_signature(bundle, [other, public]) == name
    assert read_trusted(bundle.folder, [public]).digest == bundle.digest
    with pytest.raises(BundleUntrusted, match="none of the trusted ones"):
        read_trusted(bundle.folder, [other])


def test_an_unsigned_bundle_is_refused_only_where_there_are_keys(bundle: Bundle, tmp_path: Path) -> None:
    _, public = key_pair(tmp_path, "mine")
    assert read_trusted(bundle.folder, []).digest == bundle.digest
    with pytest.raises(BundleUntrusted, match="is not signed; sign it with `edgevision models sign`"):
        read_trusted(bundle.folder, [public])


def test_a_manifest_that_was_changed_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    secret, public = key_pair(tmp_path, "mine")
    sign(bundle, secret)
    file = bundle.folder / "bundle.yaml"
    file.write_text(file.read_text("utf-8").replace("default: 0.5", "default: 0.9"), "utf-8")
    with pytest.raises(BundleUntrusted, match=r"bundle\.yaml was changed after it was signed"):
        read_trusted(bundle.folder, [public])


@pytest.mark.parametrize("text", ["", "[]", "no json", '{"algorithm": "rsa"}'])
def test_what_is_no_signature_is_told(bundle: Bundle, tmp_path: Path, text: str) -> None:
    _, public = key_pair(tmp_path, "mine")
    (bundle.folder / "bundle.sig").write_text(text, "ascii")
    with pytest.raises(BundleUntrusted, match="holds no signature"):
        read_trusted(bundle.folder, [public])


def test_a_signature_of_nonsense_is_no_traceback(bundle: Bundle, tmp_path: Path) -> None:
    secret, public = key_pair(tmp_path, "mine")
    sign(bundle, secret)
    file = bundle.folder / "bundle.sig"
    file.write_text(json.dumps({**json.loads(file.read_text("ascii")), "signature": "abc"}), "ascii")
    with pytest.raises(BundleUntrusted, match="was changed"):
        read_trusted(bundle.folder, [public])


def test_a_signature_does_not_come_along_when_a_bundle_is_written_anew(bundle: Bundle, tmp_path: Path) -> None:
    secret, _ = key_pair(tmp_path, "mine")
    sign(bundle, secret)
    files: dict[str, Path | bytes] = {file.name: file.read_bytes() for file in bundle.folder.iterdir()}
    files.pop("bundle.yaml")
    manifest = {**bundle.manifest.model_dump(mode="json", by_alias=True, exclude_unset=True), "version": "2"}
    write_bundle(bundle.folder, manifest, files, replace=True)
    assert not (bundle.folder / "bundle.sig").exists()


def test_keys_that_are_none(bundle: Bundle, tmp_path: Path) -> None:
    secret, public = key_pair(tmp_path, "mine")
    with pytest.raises(BundleError, match="is no private key in PEM form"):
        sign(bundle, public)
    with pytest.raises(BundleError, match="cannot be read"):
        sign(bundle, tmp_path / "none.pem")
    other = rsa.generate_private_key(65537, 2048)
    (tmp_path / "rsa.pem").write_bytes(other.private_bytes(*SECRET))
    with pytest.raises(BundleError, match="is no private key of ed25519; make one with `openssl genpkey"):
        sign(bundle, tmp_path / "rsa.pem")
    sign(bundle, secret)
    with pytest.raises(BundleError, match="is no public key in PEM form"):
        read_trusted(read_bundle(bundle.folder).folder, [secret])


def test_without_the_library_it_says_what_to_install(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, public = key_pair(tmp_path, "mine")
    sign(bundle, secret)
    for name in [name for name in sys.modules if name.partition(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BundleError, match="signatures need cryptography"):
        read_trusted(bundle.folder, [public])


def test_a_golden_picture_that_was_changed_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    secret, public = key_pair(tmp_path, "mine")
    document = bundle.manifest.model_dump(mode="json", by_alias=True, exclude_unset=True)
    files: dict[str, Path | bytes] = {"model.onnx": bundle.folder / "model.onnx", "golden/a.png": b"a picture"}
    signed = write_bundle(tmp_path / "signed", {**document, "golden": [{"file": "golden/a.png"}]}, files)
    sign(signed, secret)
    read_trusted(signed.folder, [public])
    signed.path("golden/a.png").write_bytes(b"another")
    with pytest.raises(BundleCorrupt, match=r"golden/a\.png differs"):
        read_trusted(signed.folder, [public])

"""Signed bundles: who made a model, and that nobody changed it since.

An Ed25519 signature (RFC 8032) over the manifest's bytes, which hold the hash of every model file and golden picture.
Archives of engines are signed in the same way.
The only importer of ``cryptography``.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edgevision.bundle.folder import Bundle, read_bundle, verify_files
from edgevision.bundle.manifest import MANIFEST, SIGNATURE
from edgevision.errors import BundleError, BundleUntrusted

_ALGORITHM = "ed25519"


def sign(bundle: Bundle, key: Path) -> str:
    """Write ``bundle.sig``; returns the public key's fingerprint.

    Args:
        bundle: Whose files have been verified.
        key: Private key, PEM, without a passphrase.

    Raises:
        BundleError: The key cannot be used, or the signature not written.
    """
    document = signature_of(_signed(bundle), key)
    try:
        (bundle.folder / SIGNATURE).write_text(json.dumps(document) + "\n", "ascii")
    except OSError as exc:
        raise BundleError(f"{bundle.folder}: the signature cannot be written: {exc.strerror}") from exc
    return document["key"]


def verify_signature(bundle: Bundle, keys: Iterable[Path]) -> str:
    """See that one of the keys signed the manifest; returns its fingerprint.

    Args:
        bundle: The model; model files are checked against the manifest when they are loaded.
        keys: Public keys, PEM.

    Raises:
        BundleUntrusted: It is not signed, by another key, or was changed since.
        BundleError: A key cannot be used.
    """
    file = bundle.folder / SIGNATURE
    try:
        content = file.read_bytes()
    except FileNotFoundError as exc:
        raise BundleUntrusted(f"{bundle.folder}: is not signed; sign it with `edgevision models sign`") from exc
    except OSError as exc:
        raise BundleUntrusted(f"{file}: cannot be read: {exc.strerror}") from exc
    return check_signature(f"{bundle.folder}: {MANIFEST}", content, _signed(bundle), keys)


def signature_of(message: bytes, key: Path) -> dict[str, str]:
    """A signature with the fingerprint of its public key, as it is stored.

    Args:
        message: What is signed.
        key: Private key, PEM, without a passphrase.

    Raises:
        BundleError: The key cannot be used.
    """
    private = _loaded(key, private=True)
    signature = base64.b64encode(private.sign(message)).decode()
    return {"algorithm": _ALGORITHM, "key": _fingerprint(private.public_key()), "signature": signature}


def check_signature(what: str, stored: bytes, message: bytes, keys: Iterable[Path]) -> str:
    """See that one of the keys signed a message; returns its fingerprint.

    Args:
        what: What was signed, for messages.
        stored: Of ``signature_of``, as JSON.
        message: What must have been signed.
        keys: Public keys, PEM.

    Raises:
        BundleUntrusted: It is no signature, one of another key, or what was signed was changed since.
        BundleError: A key cannot be used.
    """
    known = {_fingerprint(public): public for public in (_loaded(key, private=False) for key in keys)}
    from cryptography.exceptions import InvalidSignature

    try:
        document: Any = json.loads(stored)
    except ValueError:
        document = None
    if not isinstance(document, dict) or document.get("algorithm") != _ALGORITHM:
        raise BundleUntrusted(f"{what}: what lies beside it holds no signature of {_ALGORITHM}")
    name = str(document.get("key", ""))
    if name not in known:
        raise BundleUntrusted(f"{what} is signed by the key {name[:16]}…, which is none of the trusted ones")
    try:
        known[name].verify(base64.b64decode(str(document.get("signature", ""))), message)
    except (InvalidSignature, ValueError) as exc:
        raise BundleUntrusted(f"{what} was changed after it was signed") from exc
    return name


def read_trusted(folder: Path, keys: Sequence[Path]) -> Bundle:
    """``read_bundle``, and ``verify_signature`` where there are keys; golden pictures must be the signed ones.

    Raises:
        BundleCorrupt: A golden picture was changed.
        BundleUntrusted: None of the keys signed it as it is.
        BundleError: No bundle, a broken manifest, or a missing file.
    """
    bundle = read_bundle(folder)
    if keys:
        verify_signature(bundle, keys)
        verify_files(bundle, bundle.manifest.golden)
    return bundle


def _signed(bundle: Bundle) -> bytes:
    """What is signed: the manifest as it was read, by its hash."""
    return f"edgevision bundle {bundle.digest}".encode()


def _loaded(file: Path, *, private: bool) -> Any:  # noqa: ANN401 - a key of an optional library
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as exc:
        raise BundleError('signatures need cryptography: pip install "edgevision[sign]"') from exc
    kind = "private" if private else "public"
    try:
        data = file.read_bytes()
        key = serialization.load_pem_private_key(data, None) if private else serialization.load_pem_public_key(data)
    except OSError as exc:
        raise BundleError(f"{file}: cannot be read: {exc.strerror}") from exc
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise BundleError(f"{file}: is no {kind} key in PEM form, or has a passphrase") from exc
    wanted = ed25519.Ed25519PrivateKey if private else ed25519.Ed25519PublicKey
    if not isinstance(key, wanted):
        raise BundleError(
            f"{file}: is no {kind} key of {_ALGORITHM}; make one with `openssl genpkey -algorithm {_ALGORITHM}`"
        )
    return key


def _fingerprint(public: Any) -> str:  # noqa: ANN401 - as above
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()

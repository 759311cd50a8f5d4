"""A package index of the tests' own, for the real program: whom it trusts, and what there is."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import ssl
import zipfile
from importlib import metadata
from pathlib import Path


def trusting(folder: Path, certificate: Path) -> dict[str, str]:
    """Variables that have a program trust our servers, beside those that it trusts anyway."""
    usual = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile
    bundle = folder / "trusted.pem"
    bundle.write_bytes((Path(usual).read_bytes() if usual else b"") + certificate.read_bytes())
    return {"SSL_CERT_FILE": str(bundle), "PIP_CERT": str(bundle)}


def alone(certificate: Path, address: str) -> dict[str, str]:
    """Variables that leave a program no index but ours."""
    own = {name: "" for name in os.environ if name.startswith("PIP_")}
    trust = {"SSL_CERT_FILE": str(certificate), "PIP_CERT": str(certificate)}
    return {**own, **trust, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"{address}/simple"}


def pack(files: dict[str, bytes], info: str) -> bytes:
    """A wheel of these files; RECORD is made."""
    record = ""
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(content)}\n"
    files = {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path, content in files.items():
            file.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), content)
    return archive.getvalue()


def wheel(
    name: str,
    version: str,
    code: dict[str, bytes] | None = None,
    requires: tuple[str, ...] = (),
    more: str = "",
) -> tuple[str, bytes]:
    """A pure-Python wheel, by its file name; `more` are further lines of METADATA."""
    info = f"{name}-{version}.dist-info"
    lines = "".join(f"Requires-Dist: {text}\n" for text in requires)
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{lines}{more}"
    files = dict(code if code is not None else {f"{name}/__init__.py": b"x = 1\n"})
    files[f"{info}/METADATA"] = about.encode()
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    return f"{name}-{version}-py3-none-any.whl", pack(files, info)


def pure_wheel_of(project: str) -> tuple[str, bytes]:
    """A wheel of the Python files of a project that is installed here."""
    installed = metadata.distribution(project)
    code = {
        str(path): path.read_binary()
        for path in installed.files or ()
        if path.suffix in (".py", ".pyi", ".typed")
    }
    name = installed.metadata["Name"].lower().replace("-", "_")
    return wheel(name, installed.version, code, tuple(installed.requires or ()))

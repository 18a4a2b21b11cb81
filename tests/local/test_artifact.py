"""`make artifact`: the function that is built for release runs on Lambda's operating system, and links only one TLS stack."""

from __future__ import annotations

import re
import subprocess
import zipfile

import pytest
from local_aws import ROOT

FUNCTION = ROOT / "target" / "lambda" / "function"
GLIBC_OF_AL2023 = (2, 34)

pytestmark = pytest.mark.artifact


def test_function_requires_no_newer_glibc_than_al2023_provides() -> None:
    versions = re.findall(rb"GLIBC_(\d+)\.(\d+)", (FUNCTION / "bootstrap").read_bytes())

    assert versions
    assert max((int(major), int(minor)) for major, minor in versions) <= GLIBC_OF_AL2023


def test_zip_contains_one_executable_bootstrap() -> None:
    with zipfile.ZipFile(FUNCTION / "bootstrap.zip") as package:
        entry, = package.infolist()

    assert entry.filename == "bootstrap"
    assert entry.external_attr >> 16 & 0o111 == 0o111
    assert entry.file_size == (FUNCTION / "bootstrap").stat().st_size


@pytest.mark.parametrize("crate", ["rustls@0.21", "hyper@0.14"])
def test_dependency_tree_has_no_second_tls_stack(crate: str) -> None:
    found = subprocess.run(["cargo", "tree", "--locked", "--edges", "normal", "--invert", crate], cwd=ROOT,
                           capture_output=True, text=True, timeout=120)

    assert found.returncode != 0
    assert "did not match any packages" in found.stderr

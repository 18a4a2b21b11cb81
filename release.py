"""Makes a release in `dist/`: `make release VERSION=x.y.z` runs it, on this machine and in `.github/workflows/release.yml`.

For each architecture whose Rust target is installed: the function's zip, a template that deploys it without a build, the same for
StackSets and for the Serverless Application Repository, and the command-line program. Beside them the bill of materials (CycloneDX) and
`SHA256SUMS`.

Two runs on one machine make the same bytes: times are those of the commit, and the paths of this machine are not in the programs.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
import zipfile
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse
from stackset import as_text, expand, replace_bucket

ROOT = Path(__file__).resolve().parent
DIST = ROOT / "dist"
# Apart from other builds: another flag compiles every crate anew.
BUILD = ROOT / "target" / "release-build"
NAME = "s3-kms-replication"
# Lambda's names of architectures, and Rust's targets.
TARGETS = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}
CODE_BUCKET_PREFIX = {
    "Type": "String", "AllowedPattern": "^[a-z0-9][a-z0-9.-]*$", "MaxLength": 48,
    "ConstraintDescription": "the name of a bucket without the hyphen and the Region at its end",
    "Description": "Name of the code buckets without the hyphen and the Region at their ends; each has the function's zip under its name"}


class Failed(Exception):
    """The release cannot be made; the message is shown to the user."""


def main(version: str) -> None:
    check_version(version)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or output("git", "log", "-1", "--format=%ct"))
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    built = [architecture for architecture in TARGETS if is_target_installed(architecture)]
    if not built:
        raise Failed("no architecture can be built")
    for architecture in built:
        function, program = build(architecture, "function"), build(architecture, NAME, "--features", "cli")
        package = f"{NAME}-{version}-function-{architecture}.zip"
        (DIST / package).write_bytes(zipped("bootstrap", function.read_bytes(), epoch))
        template = release_template((ROOT / "template.yaml").read_text(), architecture, package)
        (DIST / f"{NAME}-{version}-template-{architecture}.yaml").write_text(template)
        (DIST / f"{NAME}-{version}-stackset-{architecture}.json").write_text(as_text(stackset_template(template, package)))
        (DIST / f"{NAME}-{version}-sar-{architecture}.yaml").write_text(repository_template(template, version))
        files = {NAME: program.read_bytes(), "LICENSE": (ROOT / "LICENSE").read_bytes()}
        (DIST / f"{NAME}-{version}-linux-{architecture}.tar.gz").write_bytes(tarred(files, epoch))
    shutil.copyfile(ROOT / "LICENSE", DIST / "LICENSE")
    (DIST / f"{NAME}-{version}.cdx.json").write_text(bill_of_materials(epoch))
    (DIST / "SHA256SUMS").write_text(checksums(DIST))
    print((DIST / "SHA256SUMS").read_text(), end="")


def check_version(version: str) -> None:
    """A release has the version that the programs print and that the template has."""
    crate = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    template = yaml_parse((ROOT / "template.yaml").read_text())["Outputs"]["Version"]["Value"]
    if not version == crate == template:
        raise Failed(f"VERSION is `{version}`, Cargo.toml has `{crate}`, and the output Version of template.yaml is `{template}`: all must be the same")


def is_target_installed(architecture: str) -> bool:
    """Whether Rust's standard library for the architecture is here. If not, says so: a build must not change the user's toolchain."""
    target = TARGETS[architecture]
    installed = Path(output("rustc", "--print", "target-libdir", "--target", target)).is_dir()
    if not installed:
        print(f"not built for {architecture}: Rust's target is not installed; `rustup target add {target}` installs it", file=sys.stderr)
    return installed


def build(architecture: str, binary: str, *options: str) -> Path:
    """Compiles a program for Lambda's operating system, whose glibc is older than most, and returns its file."""
    home = os.environ.get("CARGO_HOME") or str(Path.home() / ".cargo")
    flags = f"--remap-path-prefix={ROOT}=/build --remap-path-prefix={home}=/cargo"
    folder = BUILD / f"lambda-{architecture}"
    subprocess.run(["cargo", "lambda", "build", "--release", "--locked", "--target", TARGETS[architecture], "--bin", binary, *options,
                    "--lambda-dir", folder], cwd=ROOT, check=True,
                   env={**os.environ, "RUSTFLAGS": flags, "CARGO_TARGET_DIR": str(BUILD), "CARGO_INCREMENTAL": "0"})
    return folder / binary / "bootstrap"


def release_template(text: str, architecture: str, package: str) -> str:
    """The template for a package that is built already. It keeps its comments, so it is changed as text."""
    for old, new in [
        ("      BuildMethod: rust-cargolambda\n      BuildProperties:\n        Binary: function\n", ""),
        ("      CodeUri: .\n", f"      CodeUri: {package}\n"),
        ("    AllowedValues: [x86_64, arm64]\n    Default: x86_64\n", f"    AllowedValues: [{architecture}]\n    Default: {architecture}\n"),
    ]:
        text = substituted(text, old, new)
    return text


def substituted(text: str, old: str, new: str) -> str:
    """The text with `old`, which it must have once, replaced."""
    if text.count(old) != 1:
        raise Failed(f"template.yaml does not have these lines once:\n{old}")
    return text.replace(old, new)


def stackset_template(template: str, package: str) -> dict[str, Any]:
    """The template for StackSets: the code is in a bucket of the stack's Region, whose name begins with a parameter."""
    packaged = template.replace(f"CodeUri: {package}", f"CodeUri: s3://code-bucket/{package}")
    expanded = replace_bucket(expand(packaged), "code-bucket", "${CodeBucketPrefix}-${AWS::Region}")
    expanded["Parameters"]["CodeBucketPrefix"] = CODE_BUCKET_PREFIX
    return expanded


def repository_template(template: str, version: str) -> str:
    """The template with what `sam publish` needs to know of the application."""
    metadata = f"""\
Metadata:
  AWS::ServerlessRepo::Application:
    Name: {NAME}
    Description: Sets up and maintains S3 replication of KMS-encrypted objects, for new buckets and as Custom::S3KmsReplication
    Author: {NAME} maintainers
    SpdxLicenseId: Apache-2.0
    LicenseUrl: LICENSE
    Labels: [s3, kms, replication]
    SemanticVersion: {version}
"""
    return substituted(template, "Metadata:\n  AWS::CloudFormation", f"{metadata}  AWS::CloudFormation")


def bill_of_materials(epoch: int) -> str:
    """The crates of both programs, as `cargo cyclonedx` finds them in Cargo.lock."""
    file = ROOT / f"{NAME}-bom"
    try:
        subprocess.run(["cargo", "cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5", "--no-build-deps", "--features", "cli",
                        "--override-filename", file.name], cwd=ROOT, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)})
        return file.with_suffix(".json").read_text().replace(ROOT.as_uri(), "file:///build")
    finally:
        file.with_suffix(".json").unlink(missing_ok=True)


def zipped(name: str, content: bytes, epoch: int) -> bytes:
    """A zip with one executable file."""
    entry = zipfile.ZipInfo(name, time.gmtime(epoch)[:6])
    entry.create_system, entry.external_attr, entry.compress_type = 3, 0o100755 << 16, zipfile.ZIP_DEFLATED
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", compresslevel=9) as package:
        package.writestr(entry, content)
    return archive.getvalue()


def tarred(files: dict[str, bytes], epoch: int) -> bytes:
    """A compressed archive; the first file is executable."""
    archive = io.BytesIO()
    with gzip.GzipFile(fileobj=archive, mode="wb", filename="", mtime=epoch) as compressed, tarfile.open(fileobj=compressed, mode="w") as tar:
        for number, (name, content) in enumerate(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), epoch, 0o644 if number else 0o755
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def checksums(folder: Path) -> str:
    """What `sha256sum --check` reads."""
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Failed as failed:
        sys.exit(f"release: {failed}")
    except subprocess.CalledProcessError as failed:
        sys.exit(f"release: `{' '.join(map(str, failed.cmd[:3]))}` failed")

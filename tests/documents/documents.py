"""Holds README.md, docs/ and the project's other Markdown against the repository, so that they cannot rot.

    python tests/documents/documents.py check    what is wrong, and a failure if there is anything
    python tests/documents/documents.py write    the lists of tests in docs/guarantees.md, made from the code

Checked here: relative links and their anchors; that every shell block says who runs it, and names targets that the Makefile has; that JSON and YAML parse, and policies are what
`replication-policy.schema.json` allows; that the tables of properties, parameters, outputs and alarms have what the schema and the template have.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml
from jsonschema import Draft7Validator
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
GUARANTEES = ROOT / "docs" / "guarantees.md"
README_LINES = 200
SHELLS = {"sh", "bash", "shell", "console"}
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
# Who runs a shell block. `runnable`: tests/local/test_documents.py, on the emulator; `slow`: the same, when it is asked to; `run by`: another
# test or script; `needs AWS`: nobody. `setup` is not shown to readers, and is run before the block that follows.
MARK = re.compile(r"<!--\s*(?:(?P<kind>runnable|slow|needs AWS|run by)(?::\s*(?P<detail>[^>]*?))?|(?P<setup>setup)\n(?P<script>.*?))\s*-->", re.DOTALL)
PARSER = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Block:
    """A fenced block, with the mark before it."""

    file: Path
    line: int
    language: str
    text: str
    kind: str | None
    detail: str | None

    @property
    def place(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}"


def files() -> list[Path]:
    """Every Markdown file that is a document of this project."""
    return sorted(path for pattern in ("*.md", "docs/**/*.md", ".github/**/*.md") for path in ROOT.glob(pattern))


def walk(tokens: list[Token]) -> Iterator[Token]:
    """All tokens, in order, with those inside of others."""
    for token in tokens:
        yield token
        yield from walk(token.children or [])


def blocks(file: Path) -> Iterator[Block]:
    """The fenced blocks of a file, and its set-up scripts as blocks of the kind `setup`."""
    mark: re.Match[str] | None = None
    for token in PARSER.parse(file.read_text()):
        line = (token.map or [0])[0] + 1
        if token.type == "html_block":
            mark = MARK.fullmatch(token.content.strip())
            if mark and mark["setup"]:
                yield Block(file, line, "sh", f"{mark['script']}\n", "setup", None)
                mark = None
            continue
        if token.type == "fence":
            yield Block(file, line, token.info.strip(), token.content, mark and mark["kind"], mark and mark["detail"])
        if token.level == 0:
            mark = None


def text_of(token: Token) -> str:
    """What a reader sees of a heading or a cell."""
    return "".join(child.content for child in token.children or [] if child.type in ("text", "code_inline"))


def anchors(file: Path) -> set[str]:
    """The anchors that GitHub gives to a file's headings."""
    tokens = PARSER.parse(file.read_text())
    seen: Counter[str] = Counter()
    found = set()
    for heading, content in zip(tokens, tokens[1:], strict=False):
        if heading.type == "heading_open":
            slug = re.sub(r"[^\w\- ]", "", text_of(content).lower()).replace(" ", "-")
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return found


def check_links(file: Path) -> Iterator[str]:
    """Relative links that lead nowhere."""
    for token in walk(PARSER.parse(file.read_text())):
        target = token.attrGet("href") or token.attrGet("src")
        if not target or re.match(r"[a-z]+:", str(target)):
            continue
        path, _, anchor = unquote(str(target)).partition("#")
        linked = (file.parent / path).resolve() if path else file
        name = file.relative_to(ROOT)
        if not linked.is_relative_to(ROOT) or not linked.exists():
            yield f"{name}: the link `{target}` leads to nothing"
        elif anchor and linked.suffix == ".md" and anchor not in anchors(linked):
            yield f"{name}: the link `{target}` has the anchor of no heading"


def check_reachable() -> Iterator[str]:
    """Pages that no other page links to."""
    linked = {(file.parent / str(token.attrGet("href")).partition("#")[0]).resolve()
              for file in files() for token in walk(PARSER.parse(file.read_text())) if token.attrGet("href")}
    yield from (f"{file.relative_to(ROOT)}: no page links to it" for file in files()
                if file.is_relative_to(ROOT / "docs") and file not in linked)


class TemplateLoader(yaml.SafeLoader):
    """YAML with CloudFormation's tags, whose values are of no interest here."""


TemplateLoader.add_multi_constructor("!", lambda loader, suffix, node: f"!{suffix}")


def check_block(block: Block) -> Iterator[str]:
    """A block that nobody knows how to run, or that does not parse."""
    if block.language in SHELLS and block.kind is None:
        yield f"{block.place}: a shell block needs a mark: runnable, slow, run by or needs AWS"
    if block.kind == "run by" and not (ROOT / (block.detail or "?")).is_file():
        yield f"{block.place}: `{block.detail}`, which is to run the block, is no file"
    if block.language in SHELLS:
        named = re.findall(r"^make ([a-z]\w*)", block.text, re.MULTILINE)
        yield from (f"{block.place}: the Makefile has no target `{name}`" for name in named if name not in TARGETS)
    try:
        if block.language == "json":
            document = json.loads(block.text)
            if isinstance(document, dict) and "Rules" in document and "Match" in block.text:
                schema = json.loads((ROOT / "replication-policy.schema.json").read_text())
                yield from (f"{block.place}: {error.json_path}: {error.message}" for error in Draft7Validator(schema).iter_errors(document))
        if block.language in ("yaml", "yml"):
            yaml.load(block.text, TemplateLoader)
    except (ValueError, yaml.YAMLError) as error:
        yield f"{block.place}: {error}"


def table(file: Path, first_heading: str) -> dict[str, list[str]]:
    """The rows of the table whose first column has this heading: for each name in the first column, the row's cells."""
    tokens = PARSER.parse(file.read_text())
    rows: list[list[str]] = []
    for token, content in zip(tokens, tokens[1:], strict=False):
        if token.type == "table_open":
            rows.append([])
        elif token.type == "tr_open":
            rows.append([])
        elif token.type in ("td_open", "th_open"):
            rows[-1].append(content.content)
        elif token.type == "table_close":
            rows.append([])
    found: dict[str, list[str]] = {}
    wanted = False
    for cells in rows:
        if not cells:
            wanted = False
        elif cells[0] == first_heading:
            wanted = True
        elif wanted:
            found.update({name: cells for name in re.findall(r"`([^`]+)`", cells[0])})
    return found


def check_names(file: str, heading: str, wanted: set[str], what: str) -> Iterator[str]:
    found = set(table(ROOT / file, heading))
    yield from (f"{file}: the table `{heading}` lacks {what} `{name}`" for name in sorted(wanted - found))
    yield from (f"{file}: the table `{heading}` has `{name}`, which is no {what}" for name in sorted(found - wanted))


def check_tables() -> Iterator[str]:
    """The tables that repeat what the schema or the template says."""
    schema = json.loads((ROOT / "replication-policy.schema.json").read_text())["properties"]["Rules"]["items"]
    properties = schema["properties"]
    names = set(properties) - {"Name", "Match"} | {"SourceBucket"}
    yield from check_names("docs/cloudformation.md", "property", names, "property")
    rows = table(ROOT / "docs" / "cloudformation.md", "property")
    for name in rows.keys() & properties.keys():
        described = " ".join(rows[name])
        yield from (f"docs/cloudformation.md: `{name}` allows `{value}`, too" for value in properties[name].get("enum", [])
                    if f"`{value}`" not in described)
        default = re.search(r"\((\w+)\)\.$", properties[name].get("description", ""))
        if default and f"`{default[1]}`" not in rows[name][-1]:
            yield f"docs/cloudformation.md: the default of `{name}` is `{default[1]}`"
    yield from (f"docs/cloudformation.md: `{name}` is required" for name in schema["required"]
                if name in rows and rows[name][-1] != "required")

    template = yaml.load((ROOT / "template.yaml").read_text(), TemplateLoader)
    yield from check_names("docs/install.md", "parameter", set(template["Parameters"]), "parameter")
    for name, cells in table(ROOT / "docs" / "install.md", "parameter").items():
        default = str(template["Parameters"].get(name, {}).get("Default", ""))
        if cells[-1] != (f"`{default}`" if default else "empty"):
            yield f"docs/install.md: the default of `{name}` is `{default}`"
    yield from check_names("docs/install.md", "output", set(template["Outputs"]), "output")
    statements = set(re.findall(r"Sid: (\w+)", (ROOT / "template.yaml").read_text()))
    rights = re.findall(r"`([A-Z]\w+)`", "".join(cells[-1] for cells in table(ROOT / "docs" / "cli.md", "for").values()))
    yield from (f"docs/cli.md: the template has no statement `{name}`" for name in rights if name not in statements)
    alarms = {name for name, resource in template["Resources"].items() if resource["Type"] == "AWS::CloudWatch::Alarm"}
    yield from check_names("docs/operations.md", "alarm", alarms, "alarm")


TEST = re.compile(r"^\s*(?:async )?(?:fn|def) ((?:test_)?invariant_(\d+)_\w+)", re.MULTILINE)
LIST = re.compile(r"(<!-- tests of invariant (\d+) -->\n).*?(<!-- end of the list -->\n)", re.DOTALL)


def invariant_tests() -> dict[str, list[str]]:
    """The tests of each invariant, as lines of Markdown: those whose names begin with its number."""
    found: dict[str, list[str]] = {}
    for file in sorted([*ROOT.glob("src/**/*.rs"), *ROOT.glob("tests/**/*.rs"), *ROOT.glob("tests/local/*.py")]):
        for name, number in TEST.findall(file.read_text()):
            path = file.relative_to(ROOT)
            found.setdefault(number, []).append(f"- `{name}` in [{path}](../{path})\n")
    return found


def guarantees() -> str:
    """docs/guarantees.md with its lists as the code has them."""
    tests = invariant_tests()
    none = ["No test has this number in its name.\n"]

    def written(match: re.Match[str]) -> str:
        return f"{match[1]}\n{''.join(sorted(tests.get(match[2], none)))}\n{match[3]}"

    return LIST.sub(written, GUARANTEES.read_text())


def check_guarantees() -> Iterator[str]:
    """Lists of tests that are not those of the code, and tests of an invariant that the page does not have."""
    text = GUARANTEES.read_text()
    if guarantees() != text:
        yield "docs/guarantees.md: its lists of tests are not those of the code: `make guarantees` writes them"
    listed = {number for _, number, _ in LIST.findall(text)}
    yield from (f"docs/guarantees.md: there are tests of invariant {number}, and no list of them" for number in invariant_tests().keys() - listed)


def check() -> list[str]:
    """All that is wrong."""
    problems = [problem for file in files() for problem in check_links(file)]
    problems += [problem for file in files() for block in blocks(file) if block.kind != "setup" for problem in check_block(block)]
    lines = len(README.read_text().splitlines())
    if lines > README_LINES:
        problems.append(f"README.md has {lines} lines; {README_LINES} are allowed")
    return [*problems, *check_reachable(), *check_tables(), *check_guarantees()]


def main(command: str) -> int:
    if command == "write":
        GUARANTEES.write_text(guarantees())
        return 0
    problems = check()
    print("\n".join(problems), end="\n" if problems else "", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

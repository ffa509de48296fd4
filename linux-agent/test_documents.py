# SPDX-License-Identifier: MIT
"""The documents name what is there. And docs/SECURITY.md says nothing that no test shows: each row of its tables names
tests, and they are in the tree."""
import re

import pytest
from test_dryrun import TOP

SECURITY = (TOP / "docs/SECURITY.md").read_text()
DOCUMENTS = sorted((TOP / "docs").glob("*.md"))
PLACES = ("shared", "efi-app", "linux-agent", "ovmf-test")
SOURCES = [path for place in (*PLACES, "fuzz", "bench") for path in (TOP / place).rglob("*")
           if path.suffix in (".c", ".h", ".py") or path.name == "run"]
TEXT = "\n".join(path.read_text() for path in SOURCES)
# `one`, `two` (file): so they are named.
NAMED = re.compile(r"((?:`\w+`(?:, )?)+) \(([\w./-]+)\)")


def rows():
    """The tables of SECURITY.md that have a column for tests, as (what is said, its tests)."""
    found, wanted = [], False
    for line in SECURITY.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        wanted = bool(cells) and (wanted or cells[-1] == "test")
        if wanted and cells[-1] != "test" and not set(cells[-1]) <= {"-"}:
            found.append((cells[0], cells[-1]))
    return found


def named_tests(text):
    return [(name, file) for names, file in NAMED.findall(text) for name in re.findall(r"\w+", names)]


def source(file):
    """The one file of that name; a path counts from the top of the tree."""
    found = [TOP / file] if "/" in file else [path for place in PLACES for path in (TOP / place).rglob(file)]
    assert len(found) == 1 and found[0].is_file(), f"{file}: {found}"
    return found[0].read_text()


def test_there_are_claims():
    assert len(rows()) > 20


@pytest.mark.parametrize("claim, tests", rows())
def test_each_sentence_names_its_tests_and_they_are_in_the_tree(claim, tests):
    named = named_tests(tests)
    assert named and NAMED.sub("", tests).strip(", ") == "", tests
    for name, file in named:
        assert re.search(rf"^(static void|def) {name}\(", source(file), re.M), f"{name} is not in {file}"


def missing(pattern, document, there):
    names = set(re.findall(pattern, document.read_text(), re.M))
    return sorted(name for name in names if not there(name))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_each_function_file_and_test_that_a_document_names_is_there(document):
    words = set(re.findall(r"\w+", TEXT))
    files = {path.name for path in SOURCES}
    assert missing(r"`(\w+)\(\)", document, words.__contains__) == []
    assert missing(r"`(test_\w+|[a-z0-9]+(?:_[a-z0-9]+){3,})`", document, words.__contains__) == []
    assert missing(r"\b([a-z][a-z0-9_-]*\.(?:c|h|py))\b", document, files.__contains__) == []

# SPDX-License-Identifier: MIT
"""The documents name what is there. And docs/SECURITY.md says nothing that no test shows: each row of its tables names
tests, and they are in the tree."""
import re
import subprocess
import sys

import pytest
from drymachine import OURS, TOP

SECURITY = (TOP / "docs/SECURITY.md").read_text()
DOCUMENTS = sorted([*TOP.glob("*.md"), *(TOP / "docs").glob("*.md")])
PLACES = ("shared", "efi-app", "linux-agent", "ovmf-test")
SOURCES = [path for place in (*PLACES, "fuzz", "bench") for path in (TOP / place).rglob("*")
           if path.suffix in (".c", ".h", ".py") or path.name == "run"]
TEXT = "\n".join(path.read_text() for path in SOURCES)
# What is called or defined, in C and outside comments: a comment may be as stale as a document.
FUNCTIONS = set(re.findall(r"\b(\w+)\(", re.sub(r"/\*.*?\*/", "", "\n".join(
    path.read_text() for path in SOURCES if path.suffix in (".c", ".h")), flags=re.S)))
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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TOP)))
def test_each_function_file_and_test_that_a_document_names_is_there(document):
    words = set(re.findall(r"\w+", TEXT))
    files = {path.name for path in SOURCES}
    assert missing(r"`(\w+)\(\)", document, FUNCTIONS.__contains__) == []
    assert missing(r"`(test_\w+|[a-z0-9]+(?:_[a-z0-9]+){3,})`", document, words.__contains__) == []
    assert missing(r"\b([a-z][a-z0-9_-]*\.(?:c|h|py))\b", document, files.__contains__) == []


def test_the_program_of_the_document_reads_the_records_that_slotctl_writes(machine, tmp_path):
    program = re.search(r"```python\n(#!.*?)```", (TOP / "docs/FORMAT.md").read_text(), re.S)[1]
    (tmp_path / "slotrecord").write_text(program)
    machine.check("mark-good")
    state = machine.status()
    variable, mirror = (subprocess.run([sys.executable, tmp_path / "slotrecord", machine.top / file], check=True,
                                       capture_output=True, text=True).stdout
                        for file in (f"vars/SlotState-{OURS}", "esp/EFI/slotboot/state.bin"))
    assert f"sequence {state['state']['sequence']}, preferred {state['preferred']}, good-limit 0\nof the ESP " in variable
    assert "slot a: good, 0 of 0 tries left" in variable and state["slots"]["a"]["uki_sha256"][:16] in variable
    assert "slot b: empty" in variable and "slot a confirmed (none)" in variable
    assert mirror == 2 * variable


def agent_sources():
    return [path for path in (TOP / "linux-agent").glob("*/*.c")
            if path.parent.name != "proof" and not path.name.startswith(("test_", "fuzz_"))]


def test_slotboot_conf_5_has_the_keys_that_there_are():
    keys = re.findall(r'^\t\{ "([a-z-]+)", offsetof', (TOP / "linux-agent/machine/config.c").read_text(), re.M)
    manual = (TOP / "docs/slotboot.conf.5").read_text().split(".Ss Section [slotboot]")[1].split(".Ss Sections [image")[0]
    written = [word for line in re.findall(r"^\.It Cm ([a-z ,-]+)$", manual, re.M) for word in line.split(" , ")]
    values = {"trial", "always", "off", "refuse", "warn", "auto", "require", "no"}
    assert len(keys) > 20 and set(keys) == set(written) - values


def test_slotctl_8_has_the_options_that_there_are():
    options = {name for path in agent_sources()
               for name in re.findall(r'^\t\{ "([a-z-]+)", (?:no|required)_argument', path.read_text(), re.M)}
    written = set(re.findall(r"^\.It Fl Fl ([a-z-]+)", (TOP / "docs/slotctl.8").read_text(), re.M))
    assert len(options) > 20 and options == written


def test_slotctl_8_has_the_exit_statuses_that_there_are():
    used = {name for path in agent_sources() for name in re.findall(r"\bEX_[A-Z]+\b", path.read_text())}
    written = set(re.findall(r"^\.It \d+ Dv (EX_[A-Z]+)", (TOP / "docs/slotctl.8").read_text(), re.M))
    assert used - {"EX_OK"} == written


def test_the_deliberate_faults_of_the_document_are_those_of_the_program():
    sys.path.insert(0, str(TOP / "linux-agent/proof"))
    import faults
    told = re.findall(r"^\| ([^|`]+) \| `([^`|]+\.c)` \|$", (TOP / "docs/TESTING.md").read_text(), re.M)
    assert told == [(name, file) for name, file, *_ in faults.FAULTS + faults.WALK_FAULTS]


def test_make_help_lists_each_target_that_there_is_to_call():
    makefiles = [path.read_text() for path in (TOP / "Makefile", *TOP.glob("*/*.mk"), *TOP.glob("*/*/*.mk"))]
    targets = {name for text in makefiles for line in re.findall(r"^\.PHONY: (.*)$", text, re.M) for name in line.split()}
    told = subprocess.run(["make", "-s", "help"], cwd=TOP, check=True, capture_output=True, text=True).stdout
    assert len(targets) > 20 and set(re.findall(r"^  ([a-z0-9-]+) ", told, re.M)) == targets
    assert re.findall(r"^  ([a-z_]+[.]\S+) ", told, re.M) == ["compile_commands.json"]  # a file


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TOP)))
def test_each_make_target_that_a_document_names_is_there(document):
    told = subprocess.run(["make", "-s", "help"], cwd=TOP, check=True, capture_output=True, text=True).stdout
    targets = set(re.findall(r"^  ([a-z0-9_.-]+) ", told, re.M))
    assert missing(r"`make ([a-z][\w.-]*)", document, targets.__contains__) == []
    assert missing(r"^    (?:sudo )?make ([a-z][\w-]*)", document, targets.__contains__) == []


def test_make_takes_no_file_of_a_debian_below_its_build_directory_for_a_makefile(tmp_path):
    for place in ("ovmf-test/root/etc", "deb/tree/build", "bench/roots/old"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "invoke-rc.d").write_text("no makefile\n")
    subprocess.run(["make", "-s", "help", f"BUILD={tmp_path}"], cwd=TOP, check=True, capture_output=True)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_lines_are_wrapped_at_one_width(document):
    """But for tables, and for what is shown as it is printed or typed."""
    prose = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.M | re.S).splitlines()
    assert [line for line in prose if len(line) > 120 and not line.startswith(("    ", "|", "!["))] == []

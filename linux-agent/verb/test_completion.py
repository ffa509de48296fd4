# SPDX-License-Identifier: MIT
"""The completions of the shells know the verbs and options that `slotctl --help` and `slotctl VERB --help` tell."""
import re
import subprocess

import pytest
from drymachine import SLOTCTL, TOP

COMPLETION = TOP / "linux-agent/completion"
FILES = ["slotctl.bash", "_slotctl", "slotctl.fish"]


def rows(file):
    return dict(re.findall(r"^\t'([a-z -]+): ([^']*)'", (COMPLETION / file).read_text(), re.M))


def told(*verb):
    return subprocess.run([SLOTCTL, *verb, "--help"], check=True, capture_output=True, text=True).stdout


def options_told(*verb):
    # Less what the help says of another verb: "slotctl bundle info --manifest".
    own = re.sub(r"slotctl (?!%s\b)[a-z]+ [^\n]*" % " ".join(verb), "", told(*verb))
    return {name for name in re.findall(r"(?<![\w-])--([a-z][a-z-]*)", own)} - {"help"}


def bash(line):
    """What bash offers at the end of LINE."""
    script = f'. {COMPLETION}/slotctl.bash; COMP_LINE=$1; COMP_POINT=${{#1}}; _slotctl; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", script, "bash", line], check=True, capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.parametrize("file", FILES)
def test_each_verb_of_help_is_completed_and_no_other(file):
    verbs = re.findall(r"^  ([a-z][a-z-]*) ", told(), re.M)
    assert len(verbs) > 8 and sorted(verb for verb in rows(file) if " " not in verb) == sorted(verbs)
    verbs = re.findall(r"^  ([a-z][a-z-]*) ", told("bundle"), re.M)
    assert sorted(rows(file)["bundle"].split()) == sorted(verbs)
    assert sorted(verb for verb in rows(file) if " " in verb) == sorted(f"bundle {verb}" for verb in verbs)


@pytest.mark.parametrize("verb", rows("slotctl.bash"))
@pytest.mark.parametrize("file", FILES)
def test_each_option_of_a_verbs_help_is_completed_and_no_other(file, verb):
    completed = re.findall(r"--([a-z-]+)", rows(file)[verb])
    assert sorted(completed) == sorted(options_told(*verb.split()))


def test_the_files_of_all_shells_have_the_same_rows():
    assert rows("slotctl.bash") == rows("_slotctl") == rows("slotctl.fish")


@pytest.mark.parametrize("line, offered", [
    ("slotctl ma", ["mark-active", "mark-bad", "mark-good"]),
    ("slotctl --v", ["--version"]),
    ("slotctl install --a", ["--activate=", "--allow-downgrade"]),
    ("slotctl install --activate=", ["none", "reboot", "kexec"]),
    ("slotctl rehearse --activate=r", ["reboot"]),
    ("slotctl mark-bad ", ["--config=", "--help", "a", "b"]),
    ("slotctl bundle ", ["--help", "create", "info", "sign", "verify"]),
    ("slotctl bundle sign --", ["--help", "--signature="]),
    ("slotctl status --config=/etc/passw", ["/etc/passwd"]),
    ("slotctl nothing --", ["--help"]),
])
def test_bash_offers_what_can_follow(line, offered):
    assert [word for word in bash(line) if not word.startswith("/etc/passwd-")] == offered

# SPDX-License-Identifier: MIT
"""What slotctl prints is read on root's terminal and in logs, and much of it are words of strangers: of a server, a
certificate, a file system. The real program, told such words."""
import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from drymachine import CONFIG, DATAERR, NOINPUT, SLOTCTL, TOP, USAGE, mount
from test_https import bad, bundle, good, serve, slotctl, tls  # noqa: F401
from test_meanwhile import fetching

# A terminal obeys these; the first three also as bytes: of C0, of C1 in UTF-8, and C1 in Latin-1, which is no UTF-8.
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202ednetni\u2066\u200f\x7f"
SECRET = "X-Amz-Signature=5ecre7"


def obeyed(text):
    """What of a text a terminal would obey."""
    return [c for c in text if (ord(c) < 0x20 and c != "\n") or 0x7f <= ord(c) < 0xa0 or
            c in "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"]


def run(*argv, **options):
    done = subprocess.run([SLOTCTL, *argv], capture_output=True, check=False, timeout=600, **options)
    assert b"Sanitizer" not in done.stderr, done.stderr
    return done


def test_words_of_a_server_do_nothing_to_the_terminal(serve, slotctl):
    server = serve("http")
    server.redirects["/b.zip"] = "ftp://x/\x1b]0;owned\x07\x1b[2J\rslotctl: bundle installed"
    said = bad(slotctl(server.url()), "which is not allowed").stderr
    assert obeyed(said) == [] and said.count("\n") == 1


def test_words_on_the_command_line_do_nothing_to_the_terminal():
    for argv in ([EVIL], ["status", EVIL], ["install", EVIL, "--activate=none"], ["status", f"--{EVIL}"],
                 ["bundle", "verify", EVIL], [b"status\n\xff\xc0\x80"], ["install", b"a\n\x9b\xed\xa0\x80"]):
        done = run(*argv)
        assert obeyed(done.stderr.decode()) == [] and done.stderr.count(b"\n") == 1, argv
        assert done.returncode != 0


def test_a_name_in_a_certificate_does_nothing_to_the_terminal(machine, tmp_path, parts):
    key, cert, out = tmp_path / "key", tmp_path / "cert", tmp_path / "b.zip"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-utf8", "-subj",
                    "/CN=\u009b2Jme\u202eevil", "-days", "2", "-keyout", key, "-out", cert], check=True,
                   capture_output=True)
    subprocess.run([SLOTCTL, "bundle", "create", f"--output={out}", "--compatible=acme", "--version=2",
                    f"--uki={parts / 'good.efi'}", f"--key={key}", f"--cert={cert}"], check=True, capture_output=True)
    machine.keyring = cert
    machine.configure()
    told = machine.run("bundle", "verify", out)
    assert told[0] == 0 and "?2Jme?evil" in told[1] and obeyed(told[1]) == []
    told = machine.run("install", out, "--activate=none", "--json")[1].splitlines()
    assert "?2Jme?evil" in json.loads(told[1])["text"]


def test_where_a_slot_is_mounted_does_nothing_to_the_terminal_and_json_has_it_all(machine):
    (machine.top / "sysroot/proc/cmdline").write_bytes(b"quiet slotboot.slot=c\xe2\x80\xae\xff\033[2J\n")
    mount(machine, "20 1 0:21 / / rw - tmpfs tmpfs rw\n21 20 7:1 / /m\\033[2J\u009b\u202e ro - ext4 /dev/loop1 ro\n",
          ["a.img", "b.img"])
    for argv in (["status"], ["status", "--json"], ["mark-good"], ["kexec", "explain"],
                 ["install", "x", "--activate=none"], ["kexec", "explain", "--json"]):
        out = machine.run(*argv)
        assert obeyed(out[1] + out[2]) == []
    assert machine.status()["why"]


def put_crash(machine, place, words, time):
    path = machine.top / "sysroot" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"Panic#1 Part1\n<0>[    1.204] Kernel panic - not syncing: " + words + b"\n<4>[    1.204] CPU: 0\n")
    os.utime(path, (time, time))


BAD, TRIES, HEALTH = 5, 4, 12      # of a slot, docs/FORMAT.md


def test_the_panic_that_brought_a_slot_down_is_told(machine, create):
    machine.check("install", create(), "--activate=none")
    told = machine.status()["slots"]["b"]
    assert told["panic"] is None
    put_crash(machine, "sys/fs/pstore/dmesg-efi_pstore-1", b"of long ago", told["installed"] - 1)
    put_crash(machine, "sys/fs/pstore/dmesg-efi_pstore-2", b"of now\033[2J", told["installed"] + 1)
    assert machine.status()["slots"]["b"]["panic"] is None      # it is on trial
    machine.change_record((144, "B", BAD), (147, "B", TRIES))
    assert machine.status()["slots"]["b"]["panic"] == {"words": "of now?[2J", "time": told["installed"] + 1}
    put_crash(machine, "var/lib/systemd/pstore/176/1/dmesg.txt", b"moved away", told["installed"] + 2)
    shown = machine.check("status")
    assert "without mark-good (kernel panic: moved away); version" in shown and obeyed(shown) == []
    machine.change_record((147, "B", HEALTH))
    assert machine.status()["slots"]["b"]["panic"] is None


def test_a_path_that_is_no_utf_8_is_in_the_json_too(machine, create, tmp_path):
    bundle = tmp_path / os.fsdecode(b"b\xff\x1b.zip")
    create().rename(bundle)
    status, out, _ = machine.run("install", bundle, "--activate=none", "--json")
    assert status == 0 and json.loads(out.splitlines()[0]) == {"event": "fetch", "text": f"reading {tmp_path}/b??.zip"}


def test_the_progress_bar_is_still_drawn_on_a_terminal(machine, create):
    ours, theirs = pty.openpty()
    done = subprocess.run([SLOTCTL, "install", create(), "--activate=none",
                           f"--config={machine.top / 'slotboot.conf'}"], stdout=theirs, check=False, timeout=600,
                          stderr=subprocess.PIPE, env={**os.environ, "EFIVARFS_PATH": f"{machine.top}/vars/"})
    os.close(theirs)
    said = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0 and "\r\x1b[Kreading " in said, (said, done.stderr)


# --- signed URLs ---

def test_the_query_of_a_url_is_used_and_not_printed(serve, slotctl):
    server = serve()
    done = good(slotctl(server.url(f"/b.zip?{SECRET}")))
    assert SECRET in server.asked[-1][0]
    assert "5ecre7" not in done.stdout + done.stderr and "/b.zip?...: good" in done.stdout
    server.redirects["/b.zip"] = f"ftp://x/y?{SECRET}"
    assert "5ecre7" not in bad(slotctl(server.url()), "ftp://x/y?..., which is not allowed").stderr
    server.redirects["/b.zip"] = f"/c.zip?{SECRET}"
    server.object = b"no bundle"
    assert "5ecre7" not in bad(slotctl(server.url()), "/b.zip", DATAERR).stderr


@pytest.fixture
def url_file(tmp_path):
    def url_file(content, mode=0o600):
        path = tmp_path / "url"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path
    return url_file


def test_a_url_on_the_command_line_does_not_show_its_query_to_other_users(machine):
    with fetching(machine, what=f"x.zip?{SECRET}") as process:
        # It, and the processes that it has started.
        pids = [process.pid, *map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())]
        shown = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids]
    assert len(pids) > 1 and all(b"/x.zip?...\0" in line and b"5ecre7" not in line for line in shown), shown


@pytest.mark.parametrize("ends", ["", "\n", "\r\n", "  \n\n"])
def test_a_url_comes_from_a_file_that_nobody_else_reads(machine, create, serve, url_file, ends):
    server = serve("http")
    server.object = create().read_bytes()
    file = url_file(server.url(f"/b.zip?{SECRET}") + ends)
    told = [machine.run("install", f"--url-file={file}", "--activate=none"),
            machine.run("bundle", "verify", f"--url-file={file}"),
            machine.run("bundle", "info", "--json", f"--url-file={file}")]
    assert [status for status, _, _ in told] == [0, 0, 0], told
    assert len(server.asked) > 3 and all(SECRET in path for path, _ in server.asked)
    assert not any("5ecre7" in out + errors for _, out, errors in told)


def test_a_url_comes_from_standard_input(serve, slotctl, tmp_path):
    server = serve("http")
    good(slotctl(server.url()))     # and so there is a configuration
    done = run("bundle", "verify", "--url-file=-", f"--config={tmp_path / 'conf'}",
               input=server.url(f"/b.zip?{SECRET}").encode())
    assert done.returncode == 0 and SECRET in server.asked[-1][0] and b"5ecre7" not in done.stdout, done.stderr


@pytest.mark.parametrize("content, mode, status, words", [
    ("https://h/x", 0o640, CONFIG, "others may read it (mode 0640); chmod 600"),
    ("", 0o600, NOINPUT, "not one line with one word"),
    (" \n\n", 0o600, NOINPUT, "not one line with one word"),
    ("https://h/5ecre7 https://i/x\n", 0o600, NOINPUT, "not one line with one word"),
    ("https://h/5ecre7\nhttps://i/x\n", 0o600, NOINPUT, "not one line with one word"),
    (b"https://h/5ecre7\0\n", 0o600, NOINPUT, "not one line with one word"),
    ("x" * 16385, 0o600, NOINPUT, "File too large"),
], ids=range(7))
def test_a_url_file_is_one_word_and_nobody_elses(url_file, content, mode, status, words):
    for verb in (["install", "--activate=none"], ["bundle", "verify"], ["bundle", "info"]):
        done = run(*verb, f"--url-file={url_file(content, mode)}", "--config=/dev/null")
        assert done.returncode == status and words in done.stderr.decode(), done
        assert b"5ecre7" not in done.stderr


def test_a_bundle_is_named_once():
    for verb in (["install", "--activate=none"], ["bundle", "verify"]):
        for argv in ([], ["a", "b"], ["a", "--url-file=b"]):
            assert run(*verb, *argv).returncode == USAGE
    assert run("install", "--activate=none", "--url-file=/nowhere").returncode == NOINPUT
    assert run("status", "--url-file=x").returncode == USAGE


def test_nothing_is_printed_past_the_filter():
    """Constant texts apart: help, which fputs() prints."""
    for path in (TOP / "linux-agent").glob("*.c"):
        if path.name.startswith(("test_", "fuzz_")) or path.name in ("out.c", "report.c"):
            continue
        found = re.findall(r"\b(?:v?f?printf|puts|json_dumpf|perror|syslog)\((?!to, )", path.read_text())
        assert found == [], path.name

# SPDX-License-Identifier: MIT
"""What else may happen while an install is at work: other verbs, other installs, signals."""
import fcntl
import os
import select
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import HTTPServer

import pytest
from drymachine import CONFIG, SLOTCTL, TEMPFAIL, refuse
from stall import Stall
from test_engine import MIB, bundle, images, server  # noqa: F401 (fixtures)

# Ends a hang; no verdict depends on it.
HANG = 600
IGNORING = ("sh", "-c", 'trap "" HUP INT TERM; exec "$@"', "sh")


def start(machine, where, prefix=()):  # noqa: F811
    return subprocess.Popen([*prefix, SLOTCTL, "install", where, "--activate=none",
                             f"--config={machine.top / 'slotboot.conf'}"],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "EFIVARFS_PATH": f"{machine.top}/vars/", "LC_ALL": "C"})


def ended(process):
    out, errors = process.communicate(timeout=HANG)
    assert "Sanitizer" not in errors, errors
    return process.returncode, out + errors


@contextmanager
def fetching(machine, prefix=(), what="x.zip"):  # noqa: F811
    """An install whose server stalls before the signature."""
    Stall.reached.clear()
    Stall.release.clear()
    httpd = HTTPServer(("127.0.0.1", 0), Stall)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    process = start(machine, f"http://127.0.0.1:{httpd.server_port}/{what}", prefix)
    assert Stall.reached.wait(HANG)
    try:
        yield process
    finally:
        process.kill()
        Stall.release.set()
        httpd.shutdown()


@pytest.fixture
def stalled(machine, server, bundle, images):  # noqa: F811
    """An install whose server stalls after some bytes, by then writing slot b or not; resume() lets it go on."""
    machine.configure("deadline = 3600")
    server.content = bundle(images[0], "2", "--no-delta").read_bytes()
    server.stall = True
    started = []

    def begin(prefix=(), left=8 * MIB, status="writing"):
        server.reset(left=left)
        started.append(start(machine, server.url, prefix))
        assert server.reached.wait(HANG)
        end = time.monotonic() + HANG
        while machine.status()["slots"]["b"]["status"] != status:
            assert started[0].poll() is None and time.monotonic() < end
        return started[0]

    def resume():
        server.stall, server.left = False, None
        server.release.set()
    yield begin, resume
    for process in started:
        process.kill()


# --- other verbs ---

def test_a_server_that_stalls_keeps_nobody_from_marking(machine):
    with fetching(machine) as process:
        machine.check("mark-good")
        machine.check("mark-active", "a")
        machine.check("mark-bad", "a")
        assert process.poll() is None


def test_one_install_at_a_time(machine, create):
    with fetching(machine):
        refuse(machine, TEMPFAIL, ["another slotctl is at work (process"], "install", create(), "--activate=none")


def test_a_slot_being_written_is_left_alone_and_the_running_one_is_not(machine, stalled):  # noqa: F811
    begin, resume = stalled
    process = begin()
    machine.check("mark-good")
    for argv in (["mark-bad", "b"], ["mark-active", "b"], ["rollback", "--activate=none"]):
        status, _, errors = machine.run(*argv)
        assert status == CONFIG and "writing" in errors, errors
    machine.check("mark-bad", "a")
    resume()
    assert ended(process)[0] == 0
    # What was marked meanwhile is not undone by the record that the install began with.
    state = machine.status()
    assert state["slots"]["a"]["status"] == "bad" and state["slots"]["b"]["status"] == "trial"


def test_a_running_slot_marked_bad_meanwhile_keeps_the_slot_to_fall_back_to(machine, stalled):  # noqa: F811
    begin, resume = stalled
    process = begin(left=5000, status="empty")
    machine.check("mark-bad", "a")
    before = machine.bytes()
    resume()
    status, said = ended(process)
    assert status == CONFIG and "is not confirmed (bad)" in said, said
    assert machine.bytes() == before


def test_a_record_made_anew_meanwhile_ends_the_install(machine, stalled):  # noqa: F811
    begin, resume = stalled
    process = begin()
    for path in (machine.top / "vars").glob("SlotState-*"):
        path.unlink()
    (machine.top / "esp/EFI/slotboot/state.bin").write_bytes(bytes(8192))
    machine.check("mark-good")
    resume()
    status, said = ended(process)
    assert status == CONFIG and "not in writing any more; install again" in said, said
    assert machine.status()["slots"]["b"]["status"] == "empty"


def wait_for_file(process, path):
    """Until the process has it open."""
    while process.poll() is None:
        for fd in os.listdir(f"/proc/{process.pid}/fd"):
            try:
                if os.readlink(f"/proc/{process.pid}/fd/{fd}") == str(path):
                    return
            except OSError:
                pass


def test_mark_good_waits_for_its_turn_and_others_do_not(machine):
    with (machine.top / "run/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for argv in (["mark-bad", "a"], ["rollback", "--activate=none"], ["kexec", "unload"]):
            refuse(machine, TEMPFAIL, ["another slotctl"], *argv)
        process = machine.start("mark-good")
        wait_for_file(process, machine.top / "run/lock")
        assert process.poll() is None
    assert ended(process)[0] == 0


def test_a_lock_that_is_a_link_is_refused_and_its_target_kept(machine):
    victim, lock = machine.top / "victim", machine.top / "run/lock"
    victim.write_text("precious")
    lock.unlink()
    lock.symlink_to(victim)
    refuse(machine, CONFIG, ["failed to open the lock", "symbolic links"], "mark-good")
    assert victim.read_text() == "precious"


# --- signals ---

@pytest.mark.parametrize("sig", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_was_ignored_at_the_start_stays_ignored(machine, stalled, sig):  # noqa: F811
    """nohup; and SIGINT for what a shell runs in the background."""
    begin, resume = stalled
    process = begin(IGNORING)
    process.send_signal(sig)
    resume()
    status, said = ended(process)
    assert status == 0, said
    assert machine.status()["slots"]["b"]["status"] == "trial"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a resolv.conf of its own")
def test_a_signal_ends_a_name_that_does_not_resolve(machine, tmp_path):
    """The resolver of the C library does not come back for 150 s: five attempts of 30 s."""
    mute = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mute.bind(("127.7.7.7", 53))
    (tmp_path / "resolv.conf").write_text("nameserver 127.7.7.7\noptions timeout:30 attempts:5\n")
    (tmp_path / "nsswitch.conf").write_text("hosts: dns\n")
    process = start(machine, "http://updates.example.com/x.zip", ("unshare", "-m", "sh", "-c", f"""
        for f in resolv.conf nsswitch.conf; do
            mount --bind {tmp_path}/$f $(readlink -f /etc/$f) || exit 126
        done
        exec "$@" """, "sh"))
    begin = time.monotonic()
    while not select.select([mute], [], [], 1)[0]:
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGTERM)
    status, said = ended(process)
    assert status == TEMPFAIL and "cancelled by a signal" in said, said
    assert time.monotonic() - begin < 100

# SPDX-License-Identifier: MIT
"""systemd as a test OS's process 1, with a system bus: the host's own, and no service but the harness's two."""
from pathlib import Path

from paths import HERE
from programs import add_file, add_program

UNITS = Path("/usr/lib/systemd/system")
OURS = HERE / "guest/systemd"
# Debian's, and only what leads up and down: no journal, no udev, no logind.
WANTED = ("basic.target", "sysinit.target", "sockets.target", "paths.target", "timers.target", "slices.target",
          "local-fs.target", "local-fs-pre.target", "swap.target", "shutdown.target", "umount.target", "final.target",
          "kexec.target", "systemd-kexec.service", "reboot.target", "systemd-reboot.service", "poweroff.target",
          "systemd-poweroff.service", "dbus.service", "dbus.socket")
PROGRAMS = ("/usr/lib/systemd/systemd", "/usr/lib/systemd/systemd-shutdown", "/usr/bin/systemctl", "/usr/bin/busctl",
            "/usr/bin/dbus-daemon")
POLICY = ("/usr/share/dbus-1/system.conf", "/usr/share/dbus-1/system.d/org.freedesktop.systemd1.conf")
USERS = """root:x:0:0:root:/tmp:/bin/sh
messagebus:x:100:100::/:/usr/sbin/nologin
"""


def sources():
    return [*OURS.iterdir(), *map(Path, PROGRAMS), *map(Path, POLICY)]


def add(tree):
    """Into a tree of programs.new_tree(), in place of busybox's init."""
    for program in PROGRAMS:
        add_program(tree, program, program)
    for name in WANTED:
        add_file(tree, f"usr/lib/systemd/system/{name}", UNITS / name)
    for name in POLICY:
        add_file(tree, name, name)
    for name in ("testos.service", "command-server.service", "default.target"):
        add_file(tree, f"etc/systemd/system/{name}", OURS / name)
    add_file(tree, "etc/systemd/system.conf", OURS / "system.conf")
    add_file(tree, "etc/passwd", text=USERS)
    add_file(tree, "etc/group", text="root:x:0:\nmessagebus:x:100:\n")
    add_file(tree, "etc/machine-id", text="5107b007" * 4 + "\n")
    (tree / "var").mkdir()
    for name, target in (("init", "/usr/lib/systemd/systemd"), ("reboot", "/usr/bin/systemctl"),
                         ("poweroff", "/usr/bin/systemctl")):
        place = Path(tree) / "usr/sbin" / name
        place.unlink(missing_ok=True)
        place.symlink_to(target)

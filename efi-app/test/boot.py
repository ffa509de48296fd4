# SPDX-License-Identifier: MIT
"""One boot of a test machine and what it left behind."""
from machine import said, shown
from states import STARTED, Found, Trace


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Boot:
    """What a boot left behind, in the order in which one asks for it."""

    def __init__(self, machine, *extra, resets=False):
        log = machine.run(*extra, resets=resets)
        self.shown, self.said = shown(log), said(log)
        assert "end" in self.shown, "the test application did not run to its end"
        self.path = self.text("FilePath")
        self.options = self.text("LoadOptions")
        self.trace = Trace(self.shown["SlotTrace"]) if "SlotTrace" in self.shown else self.plain()
        self.record = Found.decode(machine.variable("SlotState"))

    def plain(self):
        """A plain boot has no SlotTrace: LoaderEntrySelected says it all."""
        entry = self.text("LoaderEntrySelected")
        return Trace.plain(entry[len("slotboot-")]) if entry else None

    def text(self, name):
        return self.shown.get(name, b"").decode("utf-16le").rstrip("\0")

    def started(self, letter):
        assert self.path == f"\\EFI\\slotboot\\{letter}\\uki.efi", self.path
        assert self.options == (f"root=x slotboot.slot={letter} label={letter.upper()}"
                                "-\u00e9\U0001f600 x"), self.options
        assert self.text("LoaderEntrySelected") == f"slotboot-{letter}.efi"
        assert self.trace.steps[-1][:2] == ("ab".index(letter), STARTED)

    def steps(self, *expected):
        """(slot, what, reason) of each step before the start."""
        assert tuple(s[:3] for s in self.trace.steps[:-1]) == expected, self.trace.steps

    def silent(self):
        assert "slotboot:" not in self.said, self.said

    def says(self, *texts):
        for text in texts:
            assert text in self.said, (text, self.said)

# SPDX-License-Identifier: MIT
"""A machine: QEMU with OVMF or AAVMF, its variable store, a disk, a network, a console and a command port.

Every wait has a deadline in seconds and ends at once when what it waits for arrives; a wait that
fails carries the tail of the console. The variable store and the disk outlive power cycles."""
import atexit
import base64
import json
import re
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from accel import accelerator
from asleep import ASLEEP, LOOK, STARTS, Sleeper
from disk import Disk
from paths import ARCH, DIE_WITH_US, ENV, FIRMWARE, copy
from streams import Stream, Streams
from varstore import VarStore

# For what an idle host of two cores does in seconds: a machine that is stuck ends the wait, a slow host does not.
BOOT = ANSWER = 3600
_running = set()


class MachineError(AssertionError):
    pass


@dataclass(frozen=True)
class Boot:
    """A TESTOS line: the test OS has come up."""
    variant: str
    slot: str
    boot_id: str
    command_line: str


class Machine:
    def __init__(self, directory, disk, storage="virtio", watchdog=None, guest_time=None):
        """watchdog: None, "i6300esb" or "itco". guest_time: a key of GUEST_TIME."""
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.disk, self.storage = disk if isinstance(disk, Disk) else Disk(disk), storage
        self.watchdog, self.guest_time = watchdog, guest_time
        self.firmware, self.machine_type = FIRMWARE / ARCH.firmware, ("-machine", ARCH.machine)
        self.vars = self.directory / "vars.fd"
        if not self.vars.exists():
            copy(FIRMWARE / ARCH.variables, self.vars)
        self.tpm = None         # a directory: there is a TPM 2.0, whose state is there
        self.process = None
        self.asleep = ASLEEP    # seconds until firmware that sleeps is switched off and on; None: it is left alone
        self._starts = 0        # in a row, of such firmware
        self._seen = 0          # how much of the console wait_for has consumed
        self._command = 0

    def secure_boot(self, certificate, kek=None, pk=None):
        """From now on the firmware starts only what this certificate's key (DER) has signed. kek, pk: who changes db and
        KEK; without them the same."""
        self.authenticate()
        copy(FIRMWARE / ARCH.secure_variables, self.vars)
        store = VarStore(self.vars)
        store.clear()
        store.enroll(certificate, kek, pk)

    def authenticate(self):
        """From now on the firmware is one that knows Secure Boot, which is off without keys. Any other lets everybody replace an
        authenticated variable."""
        self.firmware, self.machine_type = FIRMWARE / ARCH.secure_firmware, ARCH.secure_machine

    # --- power

    def start(self):
        """Switch on: a cold boot. The console and all counts begin anew."""
        self._starts = 0
        return self._start()

    def _start(self):
        assert not self.is_on()
        self._starts += 1
        self._seen = 0
        self._log = open(self.directory / "serial.log", "wb", buffering=0)
        self.streams = Streams(serial=Stream(self._log), command=Stream(), qmp=Stream())
        numbers = {name: stream.theirs.fileno() for name, stream in self.streams.by_name.items()}
        if self.tpm:
            numbers["tpm"] = self._start_tpm()
        with open(self.directory / "qemu.log", "ab") as complaints:
            self.process = subprocess.Popen([*DIE_WITH_US, *self._arguments(numbers)], pass_fds=numbers.values(),
                                            env=ENV, stdin=subprocess.DEVNULL, stdout=complaints, stderr=complaints)
        if self.tpm:
            self._tpm_end.close()
        _running.add(self)
        self.streams.start()
        self._qmp("qmp_capabilities")
        return self

    def _start_tpm(self):
        """The number of QEMU's end of the line to it."""
        ours, self._tpm_end = socket.socketpair()
        Path(self.tpm).mkdir(exist_ok=True)
        self._tpm = subprocess.Popen([*DIE_WITH_US, "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.tpm}",
                                      "--ctrl", f"type=unixio,clientfd={ours.fileno()}", "--log",
                                      f"file={self.directory}/tpm.log"],
                                     pass_fds=[ours.fileno()], env=ENV, stdin=subprocess.DEVNULL)
        ours.close()
        return self._tpm_end.fileno()

    def _arguments(self, numbers):
        accel = "tcg" if self.guest_time else accelerator()
        chardevs = [word for name, number in numbers.items()
                    for word in ("-chardev", f"socket,id={name},fd={number}")]
        return [ARCH.qemu, "-name", "slotboot-test", "-nodefaults", "-no-user-config", "-display", "none",
                *self.machine_type, "-accel", accel, "-cpu", "host" if accel == "kvm" else ARCH.cpu,
                "-smp", "1", "-m", "1024",
                *self._firmware(), *self._drive(),
                "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci",
                *(("-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0") if self.tpm else ()),
                *WATCHDOG[self.watchdog], "-action", "watchdog=reset", *GUEST_TIME[self.guest_time],
                *chardevs, "-serial", "chardev:serial", "-mon", "chardev=qmp,mode=control",
                "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=command,name=slotboot.command"]

    def _firmware(self):
        return ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={self.firmware}",
                "-drive", f"if=pflash,unit=1,format=raw,file={self.vars}"]

    def _drive(self):
        # No bootindex anywhere: with one, OVMF rewrites BootOrder at every boot.
        device = {"virtio": "virtio-blk-pci,drive=disk", "nvme": "nvme,drive=disk,serial=slotboot",
                  "virtio-4k": "virtio-blk-pci,drive=disk,logical_block_size=4096,physical_block_size=4096"}[self.storage]
        # A killed QEMU loses nothing that it has written to the file, so host flushes buy nothing.
        return ["-drive", f"if=none,id=disk,format=raw,cache=unsafe,file={self.disk.path}", "-device", device]

    def is_on(self):
        return self.process is not None and self.process.poll() is None

    def power_cut(self):
        """Pull the plug."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        if self.tpm:
            self._tpm.kill()
            self._tpm.wait()
        self.streams.finish()
        self._log.close()
        _running.discard(self)
        self.process = None

    # Not by init: it gives every process two seconds.
    def shutdown(self, command="sh /etc/rc.shutdown; poweroff -f", deadline=ANSWER):
        """Have the guest power itself off, cleanly."""
        self.start_command(command)
        try:
            self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self._fail("the guest did not power off", deadline)
        self.power_cut()

    def cold_boot(self, deadline=BOOT):
        """Switch on and wait for the test OS."""
        self.start()
        return self.wait_boot(deadline)

    # --- the console

    def _search(self, stream, pattern, start=0):
        # A copy: a match on the buffer itself would keep it from growing.
        return re.compile(pattern.encode()).search(bytes(self.streams.by_name[stream].data), start)

    def console(self):
        return self.streams.by_name["serial"].data.decode(errors="replace")

    def console_tail(self):
        """The end of the log: also of a machine that is off."""
        log = self.directory / "serial.log"
        return log.read_bytes()[-4000:].decode(errors="replace") if log.exists() else "(never switched on)"

    def _wait(self, probe, deadline):
        """What probe() returns once it is true; None when the deadline passed or the machine is off. Firmware that sleeps
        before it has started anything is started again: nothing of ours has run."""
        end, sleeper = time.monotonic() + deadline, Sleeper(self.process and self.process.pid)
        while True:
            left = end - time.monotonic()
            found = self.streams.wait(probe, min(LOOK, left))
            if found or left <= LOOK or not self.is_on():
                return found
            if self.asleep and sleeper.sleeps(self.console(), self.asleep):
                if self._starts == STARTS:
                    self._fail(f"the firmware slept before it started anything, {STARTS} times")
                self.power_cut()
                sleeper = Sleeper(self._start().process.pid)

    def wait_for(self, pattern, deadline=BOOT):
        """The first match on the console after the previous wait_for's: its text, then its groups."""
        found = self._wait(lambda: self._search("serial", pattern, self._seen), deadline)
        if not found:
            self._fail(f"the console never showed /{pattern}/", deadline)
        self._seen = found.end()
        return [text and text.decode(errors="replace") for text in (found[0], *found.groups())]

    def wait_boot(self, deadline=BOOT):
        """The next TESTOS line."""
        return Boot(*self.wait_for(_TESTOS, deadline)[1:])

    def boots(self):
        """Every TESTOS line since start()."""
        return [Boot(*fields) for fields in re.findall(_TESTOS, self.console())]

    def _fail(self, what, deadline=None):
        state = "on" if self.is_on() else f"off (exit {self.process.poll() if self.process else '-'})"
        limit = f" within {deadline} s" if deadline else ""
        raise MachineError(f"{what}{limit}; QEMU is {state}\n--- console ({self.directory}/serial.log):\n{self.console_tail()}\n---")

    # --- QMP

    def _qmp(self, command, **arguments):
        self.streams.by_name["qmp"].send(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")

    def _events(self, name):
        return self.streams.by_name["qmp"].data.count(b'"event": "%s"' % name.encode())

    def firmware_entries(self):
        """How often the firmware was entered since start(): power-on, and each reset of the platform."""
        return 1 + self._events("RESET")

    def watchdog_resets(self):
        """How often the watchdog reset the machine since start()."""
        return self._events("WATCHDOG")

    def reset(self):
        """Press the reset button."""
        self._qmp("system_reset")

    # --- commands in the guest

    def start_command(self, command):
        """Send a command and do not wait for its answer: it may well be a reboot. Returns its number."""
        self._command += 1
        line = f"{self._command} {base64.b64encode(command.encode()).decode()}\n"
        self.streams.by_name["command"].send(line.encode())
        return self._command

    def run(self, command, deadline=ANSWER):
        """Run a shell command in the guest; (exit status, its stdout and stderr together)."""
        number = self.start_command(command)
        found = self.streams.wait(lambda: self._answer(number), deadline)
        if not found:
            self._fail(f"no answer to {command!r}", deadline)
        return found

    def _answer(self, number):
        found = self._search("command", rf"BEGIN {number} (\d+)\n([^\x00]*?)END {number}\n")
        return found and (int(found[1]), base64.b64decode(found[2]).decode(errors="replace"))

    def check(self, command, deadline=ANSWER):
        """Run a command that must succeed; its output."""
        status, output = self.run(command, deadline)
        if status != 0:
            raise MachineError(f"in the guest, {command!r}: exit {status}\n{output}")
        return output

    def status(self):
        """slotctl status --json, decoded."""
        return json.loads(self.check("slotctl status --json"))

    def snapshot(self):
        """All that decides a boot: every partition's bytes, and the variables. Also of a running machine."""
        if self.is_on():
            self.check("sync")
        return {**self.disk.hashes(), **VarStore(self.vars).boot_choice()}

    def run_to_boot(self, command, deadline=BOOT):
        """Run a command that ends in a boot, and wait for it; its complaint if it refuses instead."""
        return self.wait_command_boot(self.start_command(command), deadline)

    def wait_command_boot(self, number, deadline=BOOT):
        """The boot that the command of this number ends in."""
        def probe():
            if self._search("serial", _TESTOS, self._seen):
                return True
            answer = self._answer(number)
            return answer if answer and answer[0] != 0 else None
        found = self._wait(probe, deadline)
        if found and found is not True:
            raise MachineError(f"in the guest, command {number}: exit {found[0]}\n{found[1]}")
        return self.wait_boot(0)


# By default the TCO is strapped to do nothing when it expires.
WATCHDOG = {None: (), "i6300esb": ("-device", "i6300esb"), "itco": ("-global", "ICH9-LPC.noreboot=false")}
# None: the guest's clocks are the host's. Otherwise they go by the instructions that it executes. While it is idle they
# leap to whatever it waits for (see guest/initrd-init), or, for what comes from outside, go on with the host's.
GUEST_TIME = {None: (),
              "leaps": ("-icount", "shift=5,sleep=off", "-rtc", "base=utc,clock=vm"),
              "waits": ("-icount", "shift=3,sleep=on", "-rtc", "base=utc,clock=vm")}
_TESTOS = r'TESTOS variant=(\S+) slot=(\S+) bootid=(\S+) cmdline="([^"\r\n]*)"'


@atexit.register
def _stop_all():
    for machine in list(_running):
        machine.power_cut()

# SPDX-License-Identifier: MIT
"""IMAGE_ID and IMAGE_VERSION of a UKI's .osrel: what a bundle is called by them, and what status shows."""
import json
import subprocess

import pytest

from drymachine import DATAERR, SLOTCTL, USAGE
import uki

BOTH = "ID=test\nIMAGE_ID=acme\nIMAGE_VERSION=\"7~rc1\"\n"


def create(tmp_path, identities, parts, release, *options):
    file, out = tmp_path / "uki.efi", tmp_path / "bundle.zip"
    uki.build(file, tmp_path, parts / "linux", parts / "initrd", "quiet", release, "6.1")
    done = subprocess.run([SLOTCTL, "bundle", "create", f"--output={out}", f"--uki={file}", *options,
                           f"--key={identities['signer'].key}", f"--cert={identities['signer'].cert}"],
                          capture_output=True, text=True)
    return done.returncode, done.stderr, out


@pytest.mark.parametrize("release, options", [
    (BOTH, []), (BOTH, ["--compatible=acme", "--version=7~rc1"]), ("IMAGE_ID=acme\n", ["--version=7~rc1"]),
    ("IMAGE_VERSION=7~rc1\n", ["--compatible=acme"]), ("ID=test\n", ["--compatible=acme", "--version=7~rc1"])])
def test_a_bundle_is_called_what_its_uki_says(tmp_path, identities, parts, release, options):
    status, errors, out = create(tmp_path, identities, parts, release, *options)
    assert status == 0, errors
    shown = json.loads(subprocess.run([SLOTCTL, "bundle", "info", "--json", out], check=True, capture_output=True).stdout)
    assert (shown["manifest"]["compatible"], shown["manifest"]["version"]) == ("acme", "7~rc1")


@pytest.mark.parametrize("release, options, status, words", [
    (BOTH, ["--version=8"], DATAERR, "--version=8: the UKI says IMAGE_VERSION=7~rc1"),
    (BOTH, ["--compatible=other"], DATAERR, "--compatible=other: the UKI says IMAGE_ID=acme"),
    ("ID=test\n", ["--version=8"], USAGE, "--compatible is missing"),
    ("IMAGE_ID=acme\n", [], USAGE, "--version is missing"),
    ('IMAGE_ID=acme\nIMAGE_VERSION="7 8"\n', [], DATAERR, "version")])
def test_a_bundle_that_contradicts_its_uki_or_says_too_little_is_refused(tmp_path, identities, parts, release,  # noqa: F811
                                                                         options, status, words):
    code, errors, out = create(tmp_path, identities, parts, release, *options)
    assert code == status and words in errors and not out.exists()


def test_status_shows_the_image_that_runs(machine, parts, tmp_path):
    file = machine.top / "esp/EFI/slotboot/a/uki.efi"
    for release, image, line in ((BOTH, {"id": "acme", "version": "7~rc1"}, "image      acme 7~rc1\n"),
                                 ("IMAGE_ID=\"a\x1b[2J\"\n", {"id": "a?[2J", "version": None}, "image      a?[2J (no "),
                                 ("ID=test\n", {"id": None, "version": None}, None)):
        uki.build(file, tmp_path, parts / "linux", parts / "initrd", "quiet", release, "6.1")
        assert machine.status()["image"] == image
        assert (line or "\n") in machine.check("status") and ("image  " in machine.check("status")) == bool(line)

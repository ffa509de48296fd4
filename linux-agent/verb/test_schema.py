# SPDX-License-Identifier: MIT
"""docs/schema: every --json output is as its schema says, and has nothing that its schema does not name."""
import json
import subprocess

import pytest

from test_confirm import put_check, trial  # noqa: F401 (fixture)
from drymachine import SLOTCTL, TOP

jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in (TOP / "docs/schema").glob("*.json")}


def closed(schema):
    """The same, but nothing may be there that it does not name: readers must bear more, we must not print it."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    return {**made, "additionalProperties": False} if isinstance(schema.get("properties"), dict) else made


def check(name, output):
    jsonschema.Draft202012Validator(closed(SCHEMAS[name])).validate(output)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one(name):
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


def test_each_verb_with_json_has_its_schema():
    titles = " ".join(schema["title"] for schema in SCHEMAS.values())
    synopsis = (TOP / "docs/slotctl.8").read_text().split(".Sh SYNOPSIS")[1].split("\n.Sh ")[0]
    verbs = {block.splitlines()[0].removeprefix(".Cm ") for block in synopsis.split(".Nm\n") if "Fl Fl json" in block}
    assert verbs == {"status", "install", "kexec explain", "bundle create", "bundle info", "provision", "doctor"}
    assert [verb for verb in verbs if f"slotctl {verb} --json" not in titles] == []


def test_status_is_as_its_schema_says_before_and_after_an_update(machine, create):
    check("status", machine.status())
    machine.check("mark-good")
    machine.check("install", create(), "--activate=none")
    check("status", machine.status())
    machine.boot_by("kexec", "b")
    check("status", machine.status())
    machine.check("mark-bad", "b")
    (machine.top / "sysroot/proc/cmdline").write_text("quiet\n")
    told = machine.status()
    assert told["running"] is None
    check("status", told)


def test_status_is_as_its_schema_says_after_a_failed_health_check(trial):  # noqa: F811
    put_check(trial, "50-gateway", "echo down; exit 1")
    trial.run("confirm")
    told = trial.status()
    assert told["slots"]["b"]["health"]["line"] == "down"
    check("status", told)


def test_progress_is_as_its_schema_says(machine, create, identities, parts, tmp_path):
    for line in machine.check("install", create(), "--activate=none", "--json").splitlines():
        check("progress", json.loads(line))
    made = subprocess.run([SLOTCTL, "bundle", "create", f"--output={tmp_path}/b.zip", "--compatible=acme", "--version=5",
                           f"--uki={parts / 'good.efi'}", f"--key={identities['signer'].key}",
                           f"--cert={identities['signer'].cert}", "--json"], check=True, capture_output=True, text=True)
    lines = made.stdout.splitlines()
    for line in lines:
        check("progress", json.loads(line))
    assert lines


def test_an_explanation_and_a_bundle_are_as_their_schemas_say(machine, create):
    bundle = create()
    machine.check("install", bundle, "--activate=none")
    _, out, _ = machine.run("kexec", "explain", "b", "--json")
    check("explain", json.loads(out))
    check("bundle-info", json.loads(machine.check("bundle", "info", "--json", bundle)))


@pytest.mark.parametrize("change", [lambda told: told.pop("why"), lambda told: told.update(new=1),
                                    lambda told: told["slots"]["a"].update(status="unheard"),
                                    lambda told: told["slots"]["a"].pop("health")])
def test_the_check_itself_sees_what_is_wrong(machine, change):
    told = machine.status()
    change(told)
    with pytest.raises(jsonschema.ValidationError):
        check("status", told)

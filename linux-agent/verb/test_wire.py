# SPDX-License-Identifier: MIT
"""What the wire may do: what the next answer may put right is asked for again, with an end; what it cannot is final
at once; and an error names what came."""
import io
import json
import zipfile

import pytest
from drymachine import DATAERR, UNAVAILABLE, refuse_install
from test_engine import MIB, SMALL, bundle, images, install, server  # noqa: F401 (fixtures)

WRONG = "does not have the SHA-256 that its index says"


@pytest.fixture
def served(server, bundle, images):  # noqa: F811
    server.content = bundle(images[0], "2", "--no-delta").read_bytes()
    return server


def byte_of_chunk(server, images, chunk):  # noqa: F811
    """Where the bundle has it: random bytes cannot be compressed."""
    return server.content.index(images[0][chunk * MIB + 500_000:chunk * MIB + 500_100])


@pytest.mark.parametrize("chunk, times", [(0, 1), (0, 8), (5, 1), (5, 3), (11, 1)])
def test_a_chunk_that_comes_wrong_is_fetched_again(machine, served, images, chunk, times):  # noqa: F811
    clients = set()
    served.before = lambda handler: clients.add(handler.client_address)
    served.spoil, served.spoilings = byte_of_chunk(served, images, chunk), times
    out = install(machine, served, images[0], "b")
    assert len(clients) >= 1 + times, "another of the servers may have it right"
    assert served.spoilings == 0 and "what came for a chunk does not have its SHA-256" in out, out
    # What was on its way when chunk 0 was found to be wrong came in vain: 2 MiB are held, the rest the kernel had.
    assert 12 * MIB < served.bytes < (12 + times) * MIB + SMALL + (times * 12 * MIB if chunk == 0 else 200_000)


def byte_of_index(server):  # noqa: F811
    with zipfile.ZipFile(io.BytesIO(server.content)) as z:
        index = json.loads(z.read("manifest.json"))["payloads"][1]["index"]["file"]
        at = z.getinfo(index).header_offset
        return server.content.index(z.read(index), at) + 50


@pytest.mark.parametrize("chunk, times", [(0, 1), (5, 3)])
def test_so_is_one_that_is_verified_first(machine, served, images, chunk, times):  # noqa: F811
    served.spoil, served.spoilings = byte_of_chunk(served, images, chunk), times
    out = install(machine, served, images[0], "b", "--verify-first=yes")
    assert served.spoilings == 0 and "what came for a chunk does not have its SHA-256" in out, out


@pytest.mark.parametrize("entry", ["manifest.json", "manifest.p7s"])
@pytest.mark.parametrize("times, status", [(1, 0), (2, 0), (1000, DATAERR)])
@pytest.mark.parametrize("verb", [("install", "--activate=none"), ("install", "--activate=none", "--verify-first=yes"),
                                  ("bundle", "verify")])
def test_a_manifest_or_a_signature_that_comes_wrong_is_fetched_again(machine, served, entry, times, status, verb):  # noqa: F811
    with zipfile.ZipFile(io.BytesIO(served.content)) as z:
        served.spoil = served.content.index(z.read(entry)) + 60
    served.spoilings = times
    result = machine.run(*verb, served.url)
    assert result[0] == status and (served.spoilings == 0) == (status == 0), result
    assert times - served.spoilings < 10, "it has an end"


@pytest.mark.parametrize("times, status", [(1, 0), (2, 0), (3, DATAERR)])
def test_a_chunk_that_comes_wrong_to_bundle_verify_is_fetched_again(machine, served, images, times, status):  # noqa: F811
    served.spoil, served.spoilings = byte_of_chunk(served, images, 5), times
    result = machine.run("bundle", "verify", served.url)
    assert result[0] == status and served.spoilings == 0, result


@pytest.mark.parametrize("times, status", [(1, 0), (2, 0), (3, DATAERR)])
def test_an_index_that_comes_wrong_is_fetched_again(machine, served, times, status):  # noqa: F811
    served.spoil, served.spoilings = byte_of_index(served), times
    assert machine.run("install", served.url, "--activate=none")[0] == status
    assert served.spoilings == 0


def test_a_chunk_that_comes_wrong_for_ever_is_given_up(machine, served, images):  # noqa: F811
    served.spoil, served.spoilings = byte_of_chunk(served, images, 0), 1000
    refuse_install(machine, DATAERR, ["chunk 0", WRONG], served.url)
    assert 1000 - served.spoilings == 9
    served.spoil, served.spoilings = byte_of_chunk(served, images, 5), 1000
    status, _, errors = machine.run("install", served.url, "--activate=none")
    assert status == DATAERR and "chunk 5" in errors and WRONG in errors, errors
    assert 1000 - served.spoilings == 9


def test_validators_that_differ_from_answer_to_answer_are_no_error(machine, served, images):  # noqa: F811
    def before(_):
        served.etag = f'"{served.requests}"'
    served.before = before
    install(machine, served, images[0], "b")


def test_where_bytes_are_wrong_the_error_names_the_validators(machine, served, images):  # noqa: F811
    def before(_):
        served.etag = '"new"' if served.requests > 2 else '"old"'
    served.before = before
    served.spoil, served.spoilings = byte_of_chunk(served, images, 0), 1000
    refuse_install(machine, DATAERR, [WRONG, 'ETag "old", then "new"'], served.url)


@pytest.mark.parametrize("kind, words", [
    (("Content-Type", "text/html; charset=utf-8"), "a page of HTML (Content-Type: text/html; charset=utf-8)"),
    (("Content-Encoding", "gzip"), "sent it with Content-Encoding: gzip"),
])
def test_what_is_no_bundle_is_named_by_what_came(machine, server, kind, words):  # noqa: F811
    server.kind = kind
    for ranges in (True, False):
        for content in (b"<html>Sign in</html>", b"<html>" + b" " * MIB):
            server.ranges, server.content = ranges, content
            refuse_install(machine, DATAERR, [words], server.url)


def test_a_server_that_answers_each_third_range_with_the_whole(machine, served, images):  # noqa: F811
    def before(_):
        served.ranges = served.requests % 3 != 0
    served.before = before
    out = install(machine, served, images[0], "b")
    assert "answered a request for a range with the whole of it; trying again" in out, out


def test_each_try_of_a_presigned_url_begins_at_the_url_that_was_named(machine, served, images):  # noqa: F811
    """What the first URL leads to is good for one request."""
    signed = set()

    def before(handler):
        assert handler.command == "GET"
        if "?" in handler.path:
            if handler.path in signed:
                signed.remove(handler.path)
                return False
            handler.send_error(403)
        else:
            signed.add(f"/x?X-Amz-Signature={served.requests}")
            handler.send_response(302)
            handler.send_header("Location", f"/x?X-Amz-Signature={served.requests}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        return True
    served.before = before
    served.reset(left=5 * MIB)
    install(machine, served, images[0], "b")
    assert not signed


def test_a_presigned_url_that_is_over_is_final_at_once(machine, served):  # noqa: F811
    def before(handler):
        handler.send_error(403)
        return True
    served.before = before
    refuse_install(machine, UNAVAILABLE, ["the server answered 403 Forbidden"], served.url)
    assert served.requests == 1

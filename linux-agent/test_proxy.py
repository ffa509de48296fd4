# SPDX-License-Identifier: MIT
"""Which proxy is used: slotboot.conf before the environment, and no_proxy before both."""
from test_dryrun import identities, parts  # noqa: F401
from test_https import Proxy, bundle, good, serve, slotctl, tls  # noqa: F401


def test_the_key_goes_before_the_environment(serve, slotctl):  # noqa: F811
    server, ours, theirs = serve(), Proxy(), Proxy()
    good(slotctl(server.url(), {"https_proxy": f"http://127.0.0.1:{theirs.port}"},
                 proxy=f"http://127.0.0.1:{ours.port}"))
    assert ours.requests and not theirs.requests


def test_a_host_in_no_proxy_is_reached_directly_with_the_key_and_without(serve, slotctl):  # noqa: F811
    server, proxy = serve(), Proxy()
    address = f"http://127.0.0.1:{proxy.port}"
    good(slotctl(server.url(), {"no_proxy": "127.0.0.1"}, proxy=address))
    good(slotctl(server.url(), {"no_proxy": "127.0.0.1", "https_proxy": address}))
    assert not proxy.requests


def test_http_proxy_in_capitals_is_not_looked_at(serve, slotctl):  # noqa: F811
    server, proxy = serve("http"), Proxy()
    good(slotctl(server.url(), {"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}"}, ca_file=None))
    assert not proxy.requests

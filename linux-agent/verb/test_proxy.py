# SPDX-License-Identifier: MIT
"""Which proxy is used: slotboot.conf before the environment, and no_proxy before both; and what its answers mean."""
import pytest
from test_https import Proxy, bad, bundle, good, serve, slotctl, tls  # noqa: F401


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


@pytest.mark.parametrize("answer", ["403 Forbidden", "407 Proxy Authentication Required", "501 Not Implemented"])
def test_what_the_proxy_refuses_is_final_at_once(serve, slotctl, answer):  # noqa: F811
    server, proxy = serve(), Proxy(*[answer] * 9)
    bad(slotctl(server.url(), proxy=f"http://127.0.0.1:{proxy.port}"),
        f"the proxy 127.0.0.1 port {proxy.port} answered {answer} to CONNECT")
    assert len(proxy.requests) == 1 and not server.asked


@pytest.mark.parametrize("answer", ["502 Bad Gateway", "503 Service Unavailable", "429 Too Many Requests"])
def test_a_proxy_that_is_busy_is_asked_again(serve, slotctl, answer):  # noqa: F811
    server, proxy = serve(), Proxy(answer)
    good(slotctl(server.url(), proxy=f"http://127.0.0.1:{proxy.port}"))
    assert len(proxy.requests) > 1

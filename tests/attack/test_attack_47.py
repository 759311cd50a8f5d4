"""Attack 47: pages and strangers that use a server they should not reach.

A foreign Host (a name that was pointed here), an Origin of null or localhost.evil.com; ids of
sessions that are guessed, chosen by the client, used after DELETE, or by somebody else. Expected:
403 and nothing done, and 404; the session they were after goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from driver import Program
from http_server import HttpServer
from raw_http import RawClient

HOSTS = [
    "evil.com",
    "localhost.evil.com",
    "127.0.0.1.evil.com",
    "evil.com:3001",
    "0.0.0.0",
    "10.0.0.1",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "127.1",
    "localhost.",
    "localhost:3001:80",
]
NO_HOSTS = ["", "localhost@evil.com", "localhost evil.com", "localhost/evil.com"]
ORIGINS = [
    "null",
    "http://evil.com",
    "http://localhost.evil.com",
    "https://127.0.0.1.evil.com",
    "http://localhost@evil.com",
    "http://localhost:3001.evil.com",
    "file://",
    "localhost",
    "http://localhost/evil.com",
    "",
]
MARK = "open('/tmp/mark', 'w').write('x')"


@pytest.fixture(scope="module")
def running(vitrine: Program) -> Iterator[HttpServer]:
    with HttpServer(vitrine) as server:
        yield server


@pytest.fixture
def client(running: HttpServer) -> Iterator[RawClient]:
    """Whose session is attacked; afterwards it works, and nothing has run but what it asked for."""
    client = RawClient(running.root)
    client.initialize()
    before = client.metrics()
    yield client
    after = client.metrics()
    name = "vitrine_call_duration_seconds_count"
    assert after[name] == before[name]
    assert after["vitrine_sessions_total"] == before["vitrine_sessions_total"]
    assert client.call("'mine'")["return_value"] == "mine"


def refused(client: RawClient, fields: dict[str, str | None]) -> None:
    """All that may be asked is refused with 403."""
    body = json.dumps(client.call_message(MARK)).encode()
    answers = [
        client.ask("POST", body=body, fields=fields),
        client.ask("GET", fields=fields),
        client.ask("DELETE", fields=fields),
        client.ask("OPTIONS", fields=fields),
        client.ask("GET", "/sse", fields=fields),
        client.ask("POST", "/messages?sessionId=" + "0" * 48, body=body, fields=fields),
        client.ask("GET", "/healthz", fields=fields),
        client.ask("GET", "/metrics", fields=fields),
        client.ask("GET", "/nothing", fields=fields),
    ]
    assert [answer.status for answer in answers] == [403] * len(answers)
    for answer in answers:
        assert "access-control-allow-origin" not in answer.fields


@pytest.mark.parametrize("host", HOSTS)
def test_foreign_hosts(client: RawClient, host: str) -> None:
    refused(client, {"Host": host})


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_is_no_host(client: RawClient, host: str) -> None:
    assert client.ask("GET", "/healthz", fields={"Host": host}).status in (400, 403)


def test_no_host_and_two_hosts(client: RawClient) -> None:
    assert client.ask("GET", "/healthz", fields={"Host": None}).status in (400, 403)
    connection = client.connect()
    connection.putrequest("GET", "/healthz", skip_host=True)
    connection.putheader("Host", "127.0.0.1")
    connection.putheader("Host", "evil.com")
    connection.endheaders()
    assert connection.getresponse().status == 400


def test_a_host_in_the_target(client: RawClient) -> None:
    """The absolute form names a host too (RFC 9112, 3.2.2), which must not be another way in."""
    connection = client.connect()
    connection.putrequest("GET", "http://evil.com/healthz", skip_host=True)
    connection.putheader("Host", "127.0.0.1")
    connection.endheaders()
    assert connection.getresponse().status in (400, 403, 404)


@pytest.mark.parametrize("origin", ORIGINS)
def test_foreign_origins(client: RawClient, origin: str) -> None:
    refused(client, {"Origin": origin})


def test_pictures_of_pages(client: RawClient) -> None:
    """A page may ask for a picture anywhere, and such a request has no Origin."""
    refused(client, {"Sec-Fetch-Site": "cross-site", "Accept": "image/avif,image/webp,*/*;q=0.8"})


def test_forms_of_pages_are_no_requests(client: RawClient) -> None:
    """What a page may send without asking first (CORS) is of these types."""
    body = json.dumps(client.call_message(MARK)).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert client.ask("POST", body=body, fields={"Content-Type": kind}).status == 415


def attempts(root: str, session: str | None, source: str = "127.0.0.1") -> list[int]:
    stranger = RawClient(root, source=source, session=session)
    body = json.dumps(stranger.call_message(MARK)).encode()
    query = f"/messages?sessionId={session}"
    return [
        stranger.ask("POST", body=body).status,
        stranger.ask("GET").status,
        stranger.ask("GET", fields={"Last-Event-ID": "1-0"}).status,
        stranger.ask("POST", query, body=body).status,
        stranger.ask("DELETE").status,
    ]


def test_guessed_ids(client: RawClient) -> None:
    assert client.session is not None
    near = [
        client.session[:-1] + ("0" if client.session[-1] != "0" else "1"),
        client.session[:-1],
        client.session + "0",
        client.session.upper(),
        f"{client.session},{client.session}",
        "0" * 48,
        "*",
    ]
    for guess in near:
        if guess != client.session:
            assert attempts(client.root, guess) == [404] * 5


def test_fixed_ids(client: RawClient) -> None:
    """A client does not choose its id: one that was planted must not become a session."""
    planted = "f" * 48
    stranger = RawClient(client.root, session=planted)
    params = {"protocolVersion": "2025-11-25", "capabilities": {}}
    assert stranger.post(stranger.message("initialize", params)).status == 404
    assert attempts(client.root, planted) == [404] * 5
    # Nor is a session begun twice, to change what was agreed on.
    thief = RawClient(client.root, session=client.session)
    assert thief.post(thief.message("initialize", params)).status == 400


def test_another_client(client: RawClient) -> None:
    assert attempts(client.root, client.session, source="127.0.0.2") == [404] * 5


def test_ids_do_not_cross_transports(client: RawClient) -> None:
    other = RawClient(client.root, path=f"/messages?sessionId={client.session}")
    assert other.post(other.message("ping")).status == 404


def test_ids_are_not_used_again(running: HttpServer) -> None:
    client = RawClient(running.root)
    client.initialize()
    session = client.session
    assert client.ask("DELETE").status == 204
    assert attempts(client.root, session) == [404] * 5


def test_streams_of_others_are_out_of_reach(running: HttpServer) -> None:
    """Ids of events are small numbers; they mean something within their session alone."""
    client = RawClient(running.root)
    client.initialize()
    client.listen_to_logs()
    with client.post_stream(client.call_message("print('secret')")) as stream:
        [*_, last] = list(stream.events())
    other = RawClient(client.root)
    other.initialize()
    number = last.id.split("-")[0]
    for at in range(5):
        answer = other.ask("GET", fields={"Last-Event-ID": f"{number}-{at}"})
        assert answer.status == 400
        assert b"secret" not in answer.body


def test_ids_are_random(running: HttpServer) -> None:
    seen = set()
    for _ in range(20):
        client = RawClient(running.root)
        client.initialize()
        assert client.session is not None
        seen.add(client.session)
        client.ask("DELETE")
    columns = [{session[at] for session in seen} for at in range(48)]
    assert len(seen) == 20
    assert all(len(column) > 4 for column in columns)

"""`vitrine http`, rule by rule: sessions, streams that are lost and taken up again, who may ask.

The rules are those of MCP's basic/transports, revisions 2024-11-05 to 2026-07-28.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest
from driver import Program
from http_server import HttpServer
from raw_http import LEVEL, Answer, RawClient, Stream

GONE_SECONDS_MAX = 20.0


@pytest.fixture(scope="module")
def running(vitrine: Program) -> Iterator[HttpServer]:
    with HttpServer(vitrine) as server:
        yield server


@pytest.fixture
def client(running: HttpServer) -> RawClient:
    """One with a session of its own."""
    client = RawClient(running.root)
    client.initialize()
    return client


def wait_for(client: RawClient, name: str, value: float) -> None:
    """Until a figure of the server's has grown so far."""
    deadline = time.monotonic() + GONE_SECONDS_MAX
    while client.metrics()[name] < value:
        assert time.monotonic() < deadline, client.metrics()
        time.sleep(0.05)


# ---- Sessions -----------------------------------------------------------------------------------


def test_session_from_initialize_to_delete(running: HttpServer) -> None:
    client = RawClient(running.root)
    answer = client.initialize()
    assert answer.json["result"]["protocolVersion"] == "2025-11-25"
    assert client.session is not None
    assert len(client.session) == 48
    assert set(client.session) <= set("0123456789abcdef")
    assert client.call("6 * 7")["return_value"] == 42
    assert client.ask("DELETE").status == 204
    answer = client.post(client.message("ping"))
    assert answer.status == 404
    assert answer.json["id"] is None
    assert client.ask("GET").status == 404
    assert client.ask("DELETE").status == 404


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_every_old_revision_has_sessions(running: HttpServer, version: str) -> None:
    client = RawClient(running.root)
    assert client.initialize(version).json["result"]["protocolVersion"] == version
    result = client.post(client.call_message("6 * 7")).json["result"]
    assert "42" in result["content"][0]["text"]


def test_a_session_must_be_named(running: HttpServer) -> None:
    client = RawClient(running.root)
    assert client.post(client.message("tools/list")).status == 400
    assert client.ask("GET").status == 400
    assert client.ask("DELETE").status == 400


def test_version_header(client: RawClient) -> None:
    ping = client.message("ping")
    assert client.post(ping, MCP_Protocol_Version="2025-11-25").status == 200
    assert client.post(ping, MCP_Protocol_Version="1999-01-01").status == 400
    assert client.ask("GET", fields={"MCP-Protocol-Version": "1999-01-01"}).status == 400


def test_notifications_are_accepted(client: RawClient) -> None:
    answer = client.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (answer.status, answer.body) == (202, b"")


def test_messages_are_checked(client: RawClient) -> None:
    answer = client.ask("POST", body=b"{")
    assert (answer.status, answer.json["error"]["code"]) == (400, -32700)
    # A batch is of 2025-03-26 alone.
    assert client.post([client.message("ping")]).status == 400
    other = RawClient(client.root)
    other.initialize("2025-03-26")
    answer = other.post([other.message("ping"), other.message("tools/list")])
    assert (answer.status, len(json.loads(answer.body))) == (200, 2)


# ---- Streams ------------------------------------------------------------------------------------


def read_call(stream: Stream) -> tuple[list[str], list[object], object]:
    """Ids, log lines, and the answer's value."""
    ids: list[str] = []
    logs: list[object] = []
    value: object = None
    for event in stream.events():
        ids.append(event.id)
        if not event.data:
            continue
        message = event.json
        if message.get("method") == "notifications/message":
            logs.append(message["params"]["data"])
        else:
            value = message["result"]["structuredContent"]["return_value"]
    return ids, logs, value


def test_logs_come_as_events_before_the_answer(client: RawClient) -> None:
    client.listen_to_logs()
    with client.post_stream(client.call_message("print('one'); print('two'); 3")) as stream:
        assert stream.fields["content-type"] == "text/event-stream"
        assert stream.fields["x-accel-buffering"] == "no"
        assert stream.fields["cache-control"] == "no-cache"
        ids, logs, value = read_call(stream)
    assert (logs, value) == (["one", "two"], 3)
    assert len(set(ids)) == len(ids) == 4  # with the first, which has no data


def test_the_first_event_tells_how_to_come_back(client: RawClient) -> None:
    client.listen_to_logs()
    with client.post_stream(client.call_message("print('x')")) as stream:
        first = next(stream.events())
    assert first.data == ""
    assert first.id != ""
    assert int(first.retry) > 0


def test_older_clients_get_no_empty_event(running: HttpServer) -> None:
    client = RawClient(running.root)
    client.initialize("2025-06-18")
    client.listen_to_logs()
    with client.post_stream(client.call_message("print('x'); 1")) as stream:
        events = list(stream.events())
    assert all(event.data for event in events)
    assert all(event.id for event in events)


def test_a_long_call_becomes_a_stream(client: RawClient) -> None:
    with client.post_stream(client.call_message("import time; time.sleep(7); 1")) as stream:
        assert stream.fields["content-type"] == "text/event-stream"
        assert read_call(stream)[2] == 1


def test_a_lost_stream_is_taken_up_again(client: RawClient) -> None:
    client.listen_to_logs()
    code = "import time\nfor i in range(8):\n    print(i)\n    time.sleep(0.25)\n'end'"
    with client.post_stream(client.call_message(code)) as stream:
        events = stream.events()
        next(events)
        first = next(events)
        assert first.json["params"]["data"] == "0"
    time.sleep(0.5)
    with client.stream("GET", fields={"Last-Event-ID": first.id}) as again:
        assert again.status == 200
        ids, logs, value = read_call(again)
    assert logs == [str(number) for number in range(1, 8)]
    assert value == "end"
    # It is over, and may be asked for once more.
    with client.stream("GET", fields={"Last-Event-ID": ids[-2]}) as again:
        assert read_call(again)[2] == "end"


def test_only_the_lost_stream_is_repeated(client: RawClient) -> None:
    client.listen_to_logs()
    with client.post_stream(client.call_message("print('mine'); 1")) as stream:
        first = next(stream.events())
    with client.post_stream(client.call_message("print('other'); 2")) as stream:
        assert read_call(stream)[2] == 2
    with client.stream("GET", fields={"Last-Event-ID": first.id}) as again:
        assert read_call(again)[1:] == (["mine"], 1)
    assert client.ask("GET", fields={"Last-Event-ID": "77-1"}).status == 400
    assert client.ask("GET", fields={"Last-Event-ID": "nonsense"}).status == 400


def test_one_stream_listens(client: RawClient) -> None:
    with client.stream("GET") as listening:
        assert listening.status == 200
        assert client.ask("GET").status == 409
        assert client.call("1")["return_value"] == 1
    wait_until_free(client)


def wait_until_free(client: RawClient) -> None:
    deadline = time.monotonic() + GONE_SECONDS_MAX
    while True:
        with client.stream("GET") as listening:
            if listening.status == 200:
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_cancellation_from_another_request(client: RawClient) -> None:
    before = client.metrics()['vitrine_calls_total{status="cancelled"}']
    client.listen_to_logs()
    message = client.call_message("print('x')\nwhile True: pass")
    with client.post_stream(message) as stream:
        events = stream.events()
        while not next(events).data:
            pass
        cancel = {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": message["id"]},
        }
        assert client.post(cancel).status == 202
        assert list(events) == []
    wait_for(client, 'vitrine_calls_total{status="cancelled"}', before + 1)


def test_a_client_that_goes_does_not_cancel(client: RawClient) -> None:
    before = client.metrics()['vitrine_calls_total{status="success"}']
    client.listen_to_logs()
    with client.post_stream(client.call_message("print(1)\nimport time; time.sleep(1)")) as stream:
        next(stream.events())
    wait_for(client, 'vitrine_calls_total{status="success"}', before + 1)


def test_a_slow_reader_holds_up_nobody(running: HttpServer, client: RawClient) -> None:
    client.listen_to_logs()
    code = "for i in range(8000):\n    print('x' * 100)\n'y' * 900_000"
    slow = [client.post_stream(client.call_message(code)) for _ in range(4)]
    other = RawClient(running.root)
    other.initialize()
    for number in range(20):
        assert other.call(f"{number}")["return_value"] == number
    for stream in slow:  # and in the end each has its answer
        assert read_call(stream)[2] == "y" * 900_000
        stream.close()


# ---- Without sessions ---------------------------------------------------------------------------


def modern(client: RawClient, method: str, params: dict[str, object] | None = None) -> Answer:
    connection = client.post_modern(client.message(method, params))
    answer = connection.getresponse()
    fields = {name.lower(): value for name, value in answer.getheaders()}
    return Answer(answer.status, fields, answer.read())


def test_modern_requests_stand_alone(running: HttpServer) -> None:
    client = RawClient(running.root)
    answer = modern(client, "tools/list")
    assert answer.status == 200
    assert "mcp-session-id" not in answer.fields
    call = {"name": "run_python_code", "arguments": {"python_code": "40 + 2"}}
    result = modern(client, "tools/call", call).json["result"]
    assert result["structuredContent"]["return_value"] == 42
    assert result["resultType"] == "complete"
    answer = modern(client, "tools/swim")
    assert (answer.status, answer.json["error"]["code"]) == (404, -32601)
    for method in ("GET", "DELETE"):
        answer = client.ask(method, fields={"MCP-Protocol-Version": "2026-07-28"})
        assert (answer.status, answer.fields["allow"]) == (405, "POST")


def test_modern_headers_must_match(running: HttpServer) -> None:
    client = RawClient(running.root)
    message = client.message("tools/list")
    message["params"] = {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    }
    good = {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": "tools/list"}
    assert client.post(message, **good).status == 200
    for wrong in (
        {"Mcp_Method": "tools/call"},
        {"Mcp_Method": None},
        {"MCP_Protocol_Version": "2025-11-25"},
        {"MCP_Protocol_Version": None},
    ):
        answer = client.post(message, **(good | wrong))
        assert (answer.status, answer.json["error"]["code"]) == (400, -32020)


@pytest.mark.parametrize("begins", [True, False])
def test_modern_clients_cancel_by_going(running: HttpServer, begins: bool) -> None:
    client = RawClient(running.root)
    before = client.metrics()['vitrine_calls_total{status="cancelled"}']
    call = {
        "name": "run_python_code",
        "arguments": {"python_code": "print('x')\nwhile True: pass"},
    }
    meta = {LEVEL: "info"} if begins else {}
    connection = client.post_modern(client.message("tools/call", call), **meta)
    if begins:
        stream = Stream(connection)
        assert next(stream.events()).id == ""  # there is nothing to come back to
        stream.close()
    else:
        wait_for(client, "vitrine_running", 1)
        connection.close()
    wait_for(client, 'vitrine_calls_total{status="cancelled"}', before + 1)


def test_a_stateless_server(vitrine: Program) -> None:
    with HttpServer(vitrine, command=("streamable-http-stateless",)) as server:
        client = RawClient(server.root)
        assert "mcp-session-id" not in client.initialize().fields
        assert client.session is None
        assert client.call("5")["return_value"] == 5
        for method in ("GET", "DELETE"):
            assert client.ask(method).status == 405
        assert client.metrics()["vitrine_sessions_total"] == 0


# ---- The transport of 2024-11-05 ----------------------------------------------------------------


def test_the_old_transport(running: HttpServer) -> None:
    client = RawClient(running.root)
    with client.stream("GET", "/sse", fields={"Accept": "text/event-stream"}) as stream:
        events = stream.events()
        first = next(events)
        assert first.name == "endpoint"
        assert first.data.startswith("/messages?sessionId=")
        client.path = first.data
        params = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {}}
        message = client.message("initialize", params)
        assert client.post(message).status == 202
        answer = next(events)
        assert (answer.name, answer.json["id"]) == ("message", message["id"])
        assert client.post(client.call_message("6 * 7", number="a")).status == 202
        assert next(events).json["result"]["content"][0]["text"].count("42") == 1
        # Nobody else's messages get in.
        other = RawClient(running.root, path="/messages?sessionId=" + "0" * 48)
        assert other.post(other.message("ping")).status == 404
        other.path = "/messages"
        assert other.post(other.message("ping")).status == 400
    deadline = time.monotonic() + GONE_SECONDS_MAX
    while client.post(client.message("ping")).status != 404:
        assert time.monotonic() < deadline
        time.sleep(0.05)


# ---- What is checked first ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": None}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Accept": "application/json"}, 406),
        ({"Accept": "text/event-stream"}, 406),
        ({"Accept": None}, 200),
        ({"Accept": "*/*"}, 200),
    ],
)
def test_media_types(client: RawClient, fields: dict[str, str | None], status: int) -> None:
    body = json.dumps(client.message("ping")).encode()
    assert client.ask("POST", body=body, fields=fields).status == status


def test_methods_and_paths(client: RawClient) -> None:
    answer = client.ask("PUT", body=b"{}")
    assert answer.status == 405
    assert answer.fields["allow"] == "GET, POST, DELETE, OPTIONS"
    assert client.ask("GET", "/").status == 404
    assert client.ask("GET", "/mcp/../etc/passwd").status == 404
    assert client.ask("GET", fields={"Accept": "text/html"}).status == 406


def test_pages_of_this_machine_may_use_it(client: RawClient) -> None:
    origin = "http://localhost:6274"
    preflight = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "mcp-session-id, content-type",
    }
    answer = client.ask("OPTIONS", fields=preflight)
    assert answer.status == 204
    assert answer.fields["access-control-allow-origin"] == origin
    assert "Mcp-Session-Id" in answer.fields["access-control-allow-headers"]
    answer = client.post(client.message("ping"), Origin=origin)
    assert answer.fields["access-control-allow-origin"] == origin
    assert answer.fields["access-control-expose-headers"] == "Mcp-Session-Id"
    assert "access-control-allow-origin" not in client.post(client.message("ping")).fields


def test_allowed_hosts_and_origins(vitrine: Program) -> None:
    options = ("--allow-host", "mcp.example.com", "--allow-origin", "https://app.example.com")
    with HttpServer(vitrine, *options) as server:
        client = RawClient(server.root)
        good = {"Host": "mcp.example.com", "Origin": "https://app.example.com"}
        assert client.ask("GET", "/healthz", fields=good).status in (200, 503)
        for name, value in (("Host", "x.example.com"), ("Origin", "http://app.example.com")):
            assert client.ask("GET", "/healthz", fields=good | {name: value}).status == 403


# ---- Calls that are too many --------------------------------------------------------------------


def test_sessions_have_caps(vitrine: Program) -> None:
    with HttpServer(vitrine, "--max-sessions", "3", "--client-sessions", "2") as server:
        for status in (200, 200, 429):
            client = RawClient(server.root)
            answer = client.post(
                client.message("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}})
            )
            assert answer.status == status
        assert answer.fields["retry-after"] == "5"


def test_a_full_queue_says_when_to_come_back(vitrine: Program) -> None:
    options = ("--max-cells", "1", "--client-cells", "1", "--client-queue", "1")
    with HttpServer(vitrine, *options) as server:
        client = RawClient(server.root)
        client.initialize()
        client.listen_to_logs()
        long = client.call_message("print(1)\nimport time; time.sleep(8)")
        with client.post_stream(long) as stream:
            next(stream.events())
            waiting = client.send("POST", body=json.dumps(client.call_message("1")).encode())
            wait_for(client, "vitrine_queued", 1)
            refused = client.call("2")
            assert refused["status"] == "refused"
            assert refused["retry_after_ms"] > 0
            # Another client has its own turn.
            other = RawClient(server.root)
            other.initialize()
            assert other.call("3")["return_value"] == 3
            assert waiting.getresponse().status == 200


def test_many_clients_at_once(running: HttpServer) -> None:
    wrong: list[object] = []

    def talk(which: int) -> None:
        client = RawClient(running.root)
        client.initialize()
        for number in range(10):
            value = client.call(f"{which} * 1000 + {number}")["return_value"]
            if value != which * 1000 + number:
                wrong.append((which, number, value))

    threads = [threading.Thread(target=talk, args=(which,)) for which in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert wrong == []
    assert not any(thread.is_alive() for thread in threads)

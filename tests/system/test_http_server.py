"""`vitrine http` as a service: where it listens, health, metrics, TLS, and how it ends."""

from __future__ import annotations

import signal
import socket
import ssl
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from driver import Program
from fetcher import make_certificate
from http_server import HttpServer
from raw_http import RawClient, Stream

READY_SECONDS_MAX = 30.0


def wait_until_ready(client: RawClient) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while client.ask("GET", "/healthz").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_health(vitrine: Program) -> None:
    with HttpServer(vitrine) as server:
        client = RawClient(server.root)
        first = client.ask("GET", "/healthz")
        assert first.status in (200, 503)
        assert first.json["status"] in ("ready", "starting")
        wait_until_ready(client)
        answer = client.ask("GET", "/healthz")
        assert answer.json["status"] == "ready"
        assert answer.json["version"]
        head = client.ask("HEAD", "/healthz")
        assert (head.status, head.body) == (200, b"")
        assert client.ask("POST", "/healthz", body=b"").status == 405


def test_metrics(vitrine: Program) -> None:
    with HttpServer(vitrine) as server:
        client = RawClient(server.root)
        client.initialize()
        assert client.call("1")["status"] == "success"
        assert client.call("1 / 0")["status"] == "run-error"
        answer = client.ask("GET", "/metrics")
        assert answer.fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        for line in answer.text.splitlines():
            assert line.startswith(("# HELP vitrine_", "# TYPE vitrine_", "vitrine_"))
        figures = client.metrics()
        assert figures['vitrine_calls_total{status="success"}'] == 1
        assert figures['vitrine_calls_total{status="run-error"}'] == 1
        assert figures['vitrine_call_duration_seconds_bucket{le="+Inf"}'] == 2
        assert figures["vitrine_call_duration_seconds_count"] == 2
        assert 0 < figures["vitrine_call_duration_seconds_sum"] < 60
        assert figures["vitrine_sessions"] == 1
        assert figures["vitrine_http_connections"] >= 1
        assert figures['vitrine_http_requests_total{method="POST"}'] == 4
        assert figures["vitrine_zygotes"] >= 1
        assert any(name.startswith("vitrine_build_info{") for name in figures)
        assert client.ask("GET", "/metrics", fields={"Host": "evil.example"}).status == 403


def test_metrics_can_be_left_out(vitrine: Program) -> None:
    with HttpServer(vitrine, "--no-metrics") as server:
        assert RawClient(server.root).ask("GET", "/metrics").status == 404


@pytest.mark.parametrize("command", ["http", "streamable-http", "sse"])
def test_every_form_is_on_one_port(vitrine: Program, command: str) -> None:
    with HttpServer(vitrine, command=(command,)) as server:
        assert server.path == ("/sse" if command == "sse" else "/mcp")
        client = RawClient(server.root)
        client.initialize()
        with client.stream("GET", "/sse") as stream:
            assert next(stream.events()).name == "endpoint"


def test_options_may_come_first(vitrine: Program) -> None:
    command = ("--return-mode", "json", "--verbose", "--disable-networking", "streamable-http")
    with HttpServer(vitrine, command=command) as server:
        client = RawClient(server.root)
        client.initialize()
        answer = client.post(client.call_message("1"))
        assert answer.json["result"]["content"][0]["text"].startswith("{")


def test_a_port_that_is_taken(vitrine: Program) -> None:
    with HttpServer(vitrine) as server:
        port = server.root.rsplit(":", 1)[1]
        second = vitrine("http", "--port", port)
        assert second.returncode == 125
        assert port.encode() in second.stderr


def test_an_open_address_is_warned_of(vitrine: Program) -> None:
    with HttpServer(vitrine, "--host", "0.0.0.0") as server:
        client = RawClient(server.root.replace("0.0.0.0", "127.0.0.1"))
        assert client.ask("GET", "/healthz").status in (200, 503)
        assert client.ask("GET", "/healthz", fields={"Host": "10.1.2.3:80"}).status in (200, 503)
        assert client.ask("GET", "/healthz", fields={"Host": "evil.example"}).status == 403
        assert "there is no TLS" in server.said


def test_tls(vitrine: Program, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    options = ("--tls-cert", str(certificate), "--tls-key", str(certificate))
    with HttpServer(vitrine, *options) as server:
        assert server.root.startswith("https://")
        context = ssl.create_default_context(cafile=certificate)
        context.check_hostname = False
        request = urllib.request.Request(f"{server.root}/metrics")
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            assert b"vitrine_build_info" in answer.read()


def wait_until_draining(client: RawClient) -> None:
    """A signal takes its time."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while (health := client.ask("GET", "/healthz")).status == 200:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (health.status, health.json["status"]) == (503, "draining")


# ---- The end ------------------------------------------------------------------------------------


def test_running_calls_finish(vitrine: Program) -> None:
    with HttpServer(vitrine) as server:
        client = RawClient(server.root)
        client.initialize()
        client.listen_to_logs()
        code = "print('begun')\nimport time; time.sleep(4)\n'finished'"
        with client.post_stream(client.call_message(code)) as stream:
            events = stream.events()
            while not next(events).data:
                pass
            server.process.send_signal(signal.SIGTERM)
            wait_until_draining(client)
            refused = client.post(client.call_message("1"))
            assert refused.status == 503
            assert refused.fields["retry-after"] == "5"
            [last] = list(events)
            assert last.json["result"]["structuredContent"]["return_value"] == "finished"
        assert server.process.wait(20) == 0


def test_what_does_not_finish_is_answered(vitrine: Program) -> None:
    with HttpServer(vitrine, "--drain-time", "0.5") as server:
        client = RawClient(server.root)
        client.initialize()
        client.listen_to_logs()
        with client.post_stream(client.call_message("print(1)\nwhile True: pass")) as stream:
            events = stream.events()
            while not next(events).data:
                pass
            server.process.send_signal(signal.SIGTERM)
            [last] = list(events)
            assert last.json["result"]["structuredContent"]["status"] == "cancelled"
        assert server.process.wait(20) == 0


def test_a_second_signal_ends_at_once(vitrine: Program) -> None:
    with HttpServer(vitrine, "--drain-time", "1h") as server:
        client = RawClient(server.root)
        client.initialize()
        client.listen_to_logs()
        with client.post_stream(client.call_message("print(1)\nwhile True: pass")) as stream:
            events = stream.events()
            while not next(events).data:
                pass
            server.process.send_signal(signal.SIGTERM)
            wait_until_draining(client)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(20) == 0


def test_listeners_do_not_delay_the_end(vitrine: Program) -> None:
    with HttpServer(vitrine) as server:
        client = RawClient(server.root)
        client.initialize()
        with client.stream("GET") as listening, client.stream("GET", "/sse") as old:
            ended = threading.Event()

            def read() -> None:
                list(listening.events())
                list(old.events())
                ended.set()

            threading.Thread(target=read, daemon=True).start()
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(20) == 0
            assert ended.wait(20)


def test_a_silent_connection_does_not_delay_the_end(vitrine: Program) -> None:
    with HttpServer(vitrine) as server:
        port = int(server.root.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)):
            assert server.stop() == 0


def test_a_sandbox_that_cannot_start_ends_it(vitrine: Program) -> None:
    """Nobody reads its standard error, so clients should find out by its absence."""
    result = vitrine("http", "--port", "0", "--cell", "/bin/false")
    assert result.returncode == 125
    assert result.stderr.count(b"the sandbox cannot start") == 1


def test_example(vitrine: Program) -> None:
    """It needs NumPy; where that cannot be had, it says so and does not succeed."""
    result = vitrine("example", timeout=300)
    assert result.returncode == 0, result.stderr
    assert b"<status>success</status>" in result.stdout


def test_subscriptions_do_not_delay_the_end(vitrine: Program) -> None:
    with HttpServer(vitrine, "--drain-time", "1h") as server:
        client = RawClient(server.root)
        params = {"notifications": {"toolsListChanged": True}}
        connection = client.post_modern(client.message("subscriptions/listen", params))
        with Stream(connection) as stream:
            assert stream.fields["content-type"] == "text/event-stream"
            next(stream.events())
            assert server.stop() == 0
            [last] = list(stream.events())
            assert "result" in last.json

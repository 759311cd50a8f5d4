"""Attack 25: the same JSON-RPC id used twice at once, by two clients or by one.

Expected: each client gets its own answer. In one connection an id that is under way is refused a
second time, and the first call still gets its own answer; 1 and "1" are two ids.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from driver import Json, Program, RawServer
from http_server import HttpServer
from raw_http import RawClient
from target import Target

CLIENTS = 4
ROUNDS = 25


@pytest.fixture
def clients(tmp_path: Path, vitrine: Program) -> Iterator[list[RawServer]]:
    """Servers that share a cache and nothing else."""
    started = []
    try:
        for _ in range(CLIENTS):
            started.append(RawServer(vitrine))
            started[-1].initialize()
        yield started
    finally:
        for server in started:
            server.__exit__(None, None, None)


def test_clients_with_the_same_ids(clients: list[RawServer]) -> None:
    wrong: list[object] = []

    def talk(which: int, server: RawServer) -> None:
        for number in range(1000, 1000 + ROUNDS):
            server.send(server.call_message(f"import os; ({which}, {number})", number))
        left = set(range(1000, 1000 + ROUNDS))
        while left:
            message = server.receive()
            found = message["result"]["structuredContent"]["return_value"]
            if found != [which, message["id"]] or message["id"] not in left:
                wrong.append((which, message))
                return
            left.remove(message["id"])

    threads = [threading.Thread(target=talk, args=pair) for pair in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == [] and not any(thread.is_alive() for thread in threads)


def answers(server: RawServer, count: int) -> list[Json]:
    return [server.receive() for _ in range(count)]


def test_one_client_uses_an_id_twice(target: Target) -> None:
    server = target.server
    server.send(server.call_message("import time; time.sleep(0.5); 'first'", "same"))
    server.send(server.call_message("'second'", "same"))
    found = answers(server, 2)
    assert [message["id"] for message in found] == ["same", "same"]
    refused, answered = sorted(found, key=lambda message: "result" in message)
    assert refused["error"]["code"] == -32600
    assert answered["result"]["structuredContent"]["return_value"] == "first"
    # Afterwards the id is free again.
    server.send(server.call_message("'third'", "same"))
    assert answers(server, 1)[0]["result"]["structuredContent"]["return_value"] == "third"


def test_numbers_and_texts_are_different_ids(target: Target) -> None:
    server = target.server
    server.send(server.call_message("import time; time.sleep(0.3); 'number'", 77))
    server.send(server.call_message("'text'", "77"))
    found = {repr(m["id"]): m["result"]["structuredContent"] for m in answers(server, 2)}
    assert found["77"]["return_value"] == "number"
    assert found["'77'"]["return_value"] == "text"


def test_cancelling_one_leaves_the_other(target: Target) -> None:
    server = target.server
    server.send(server.call_message("while True: pass", "9"))
    server.send(server.call_message("import time; time.sleep(0.5); 'alive'", 9))
    time.sleep(0.2)
    params = {"requestId": "9"}
    server.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
    [message] = answers(server, 1)
    assert (message["id"], message["result"]["structuredContent"]["return_value"]) == (9, "alive")


def test_sessions_with_the_same_ids(vitrine: Program) -> None:
    """Over HTTP the same server answers all of them, so here an id alone says nothing."""
    wrong: list[object] = []

    def talk(which: int, client: RawClient) -> None:
        for number in range(1000, 1000 + ROUNDS):
            answer = client.post(client.call_message(f"({which}, {number})", number)).json
            found = answer["result"]["structuredContent"]["return_value"]
            if (answer["id"], found) != (number, [which, number]):
                wrong.append((which, answer))

    with HttpServer(vitrine) as server:
        connected = [RawClient(server.root) for _ in range(CLIENTS)]
        for client in connected:
            client.initialize()
        threads = [threading.Thread(target=talk, args=pair) for pair in enumerate(connected)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert wrong == []
    assert not any(thread.is_alive() for thread in threads)


def test_one_cannot_cancel_the_call_of_another(vitrine: Program) -> None:
    with HttpServer(vitrine) as server:
        victim, attacker = RawClient(server.root), RawClient(server.root)
        victim.initialize()
        attacker.initialize()
        victim.listen_to_logs()
        code = "print('begun')\nimport time; time.sleep(1)\n'alive'"
        with victim.post_stream(victim.call_message(code, 1000)) as stream:
            events = stream.events()
            while not next(events).data:
                pass
            params = {"requestId": 1000}
            message = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
            assert attacker.post(message).status == 202
            [last] = list(events)
        assert last.json["result"]["structuredContent"]["return_value"] == "alive"

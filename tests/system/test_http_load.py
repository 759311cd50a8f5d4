"""Many clients at once over HTTP: no error, no mix-up, and nobody is held up by who is slow.

Times are printed, not judged; what is judged is who gets which answer, and in which order.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Iterator
from typing import TypeVar

import pytest
from driver import Program
from http_server import HttpServer
from load_client import LEGACY, MODERN, LoadClient

Result = TypeVar("Result")
CLIENTS = 200
SLOW = 40  # clients that read, or write, next to nothing
OTHERS = 20  # clients beside them
LIMITS = ("--client-cells", "16", "--client-queue", "1024", "--client-connections", "1024")


def run(task: Awaitable[Result]) -> Result:
    return asyncio.run(asyncio.wait_for(task, 240))


@pytest.fixture(scope="module")
def server(vitrine: Program) -> Iterator[HttpServer]:
    with HttpServer(vitrine, *LIMITS) as running:
        yield running


def era_of(which: int) -> str:
    return LEGACY if which % 2 else MODERN


async def sleep_compute_print(url: str, which: int, seconds: list[float]) -> None:
    """A client's three calls. The answer of each tells whose it is."""
    async with LoadClient(url, era_of(which), level="info") as client:
        for code, value, lines in (
            (f"import time\ntime.sleep(0.2)\n'slept {which}'", f"slept {which}", []),
            (f"sum(n * n for n in range(20000)) + {which}", 2666466670000 + which, []),
            (
                f"for n in range(5):\n    print('line', n, 'of', {which})\n{which}",
                which,
                [f"line {n} of {which}" for n in range(5)],
            ),
        ):
            begin = time.monotonic()
            result, before = await client.call(code)
            seconds.append(time.monotonic() - begin)
            content = result["structuredContent"]
            assert content["status"] == "success", content
            assert content["return_value"] == value
            logs = [m["params"]["data"] for m in before if m["method"] == "notifications/message"]
            assert logs == lines
            assert content["stdout"] == "".join(f"{line}\n" for line in lines)


def test_two_hundred_clients(server: HttpServer, capsys: pytest.CaptureFixture[str]) -> None:
    async def talk() -> tuple[list[float], float]:
        async with LoadClient(server.url) as first:
            await first.call("'warm'")
        seconds: list[float] = []
        begin = time.monotonic()
        await asyncio.gather(
            *(sleep_compute_print(server.url, which, seconds) for which in range(CLIENTS))
        )
        return seconds, time.monotonic() - begin

    seconds, total = run(talk())
    assert len(seconds) == 3 * CLIENTS
    hundredths = statistics.quantiles(seconds, n=100)
    with capsys.disabled():
        print(
            f"\n{CLIENTS} clients, {len(seconds)} calls: p50 {1000 * hundredths[49]:.0f} ms,"
            f" p99 {1000 * hundredths[98]:.0f} ms, {len(seconds) / total:.0f} calls/s"
        )


def pause(client: LoadClient) -> None:
    """Read nothing more from the system; its buffers fill, and the server's."""
    transport = client.writer.transport
    assert isinstance(transport, asyncio.ReadTransport)
    transport.pause_reading()


def resume(client: LoadClient) -> None:
    transport = client.writer.transport
    assert isinstance(transport, asyncio.ReadTransport)
    transport.resume_reading()


async def many_calls(url: str, which: int) -> None:
    """What the others do meanwhile."""
    async with LoadClient(url, era_of(which)) as client:
        for number in range(10):
            result, _ = await client.call(f"{which} * 1000 + {number}")
            assert result["structuredContent"]["return_value"] == which * 1000 + number


def test_slow_readers_hold_up_nobody(server: HttpServer) -> None:
    """Each has a large answer waiting and reads none of it until all the others are done."""
    code = "for n in range(5000):\n    print('x' * 100)\n'y' * 900_000"

    async def talk() -> None:
        slow = [LoadClient(server.url, era_of(which), level="info") for which in range(SLOW)]
        messages = []
        for client in slow:
            await client.__aenter__()
            messages.append(client.call_message(code))
            pause(client)
            await client.send(messages[-1])
        await asyncio.gather(*(many_calls(server.url, which) for which in range(OTHERS)))
        for client, message in zip(slow, messages, strict=True):
            resume(client)
            result, before = client.judge(message, await client.read_messages())
            content = result["structuredContent"]
            assert content["return_value"] == "y" * 900_000
            lines = [m for m in before if m["method"] == "notifications/message"]
            assert all(line["params"]["data"] == "x" * 100 for line in lines)
            await client.__aexit__()

    run(talk())


@pytest.mark.parametrize("part", ["head", "body"])
def test_slow_writers_hold_up_nobody(server: HttpServer, part: str) -> None:
    """Each has sent half of its request, and sends the rest when all the others are done."""

    async def talk() -> None:
        slow = [LoadClient(server.url, era_of(which)) for which in range(SLOW)]
        rests = []
        for which, client in enumerate(slow):
            await client.__aenter__()
            message = client.call_message(f"'late {which}'")
            data = client.bytes_of(message)
            body = data.index(b"\r\n\r\n") + 4
            cut = body // 2 if part == "head" else (body + len(data)) // 2
            client.writer.write(data[:cut])
            rests.append((message, data[cut:]))
        await asyncio.gather(*(many_calls(server.url, which) for which in range(OTHERS)))
        for which, (client, (message, rest)) in enumerate(zip(slow, rests, strict=True)):
            client.writer.write(rest)
            result, _ = client.judge(message, await client.read_messages())
            assert result["structuredContent"]["return_value"] == f"late {which}"
            await client.__aexit__()

    run(talk())


def test_a_slow_writer_is_not_waited_for_without_end(vitrine: Program) -> None:
    """Byte by byte is no way to keep a connection for ever."""

    async def talk(url: str) -> float:
        async with LoadClient(url) as client:
            data = client.bytes_of(client.call_message("1"))
            begin = time.monotonic()
            for byte in data:
                client.writer.write(bytes([byte]))
                if client.reader.at_eof() or client.writer.is_closing():
                    break
                try:
                    answer = await asyncio.wait_for(client.reader.read(1), 1)
                except TimeoutError:
                    continue
                except ConnectionError:
                    break
                assert answer in (b"", b"H")  # closed, or told so
                break
            return time.monotonic() - begin

    with HttpServer(vitrine) as server:
        assert run(talk(server.url)) < 100


def test_answers_are_json_of_one_line(server: HttpServer) -> None:
    """What the light client here reads is what any client of event streams would."""

    async def talk() -> None:
        async with LoadClient(server.url, level="info") as client:
            result, before = await client.call("print('a\\nb')\n'c\\r\\n\\u2028d'")
            assert result["structuredContent"]["return_value"] == "c\r\n\u2028d"
            assert [json.dumps(m["params"]["data"]) for m in before] == ['"a"', '"b"']

    run(talk())

"""What a server may have beside tools that only answer: the official client uses all of it.

The server is the one of the conformance suites, whose fixtures ask, tell of changes and have
resources and prompts; in both eras, over stdio and over HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import mcp_types as types
import pytest
from driver import Program, build_folder, clean_environment
from http_server import HttpServer
from mcp import Client, MCPError, StdioServerParameters

Result = TypeVar("Result")
PROGRAM = build_folder() / "tests/conformance/vitrine-conformance"
SECONDS_MAX = 60
WATCHED = "test://watched-resource"

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")


def run(task: Awaitable[Result]) -> Result:
    return asyncio.run(asyncio.wait_for(task, SECONDS_MAX))


class Person:
    """Who is asked through the client, and what has been heard."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.heard: list[Any] = []

    async def fill_form(self, _context: object, params: Any) -> types.ElicitResult:
        self.asked.append(params)
        content = dict.fromkeys(params.requested_schema["properties"], "Ada")
        return types.ElicitResult(action="accept", content=content)

    async def complete(self, _context: object, params: Any) -> types.CreateMessageResult:
        self.asked.append(params)
        text = types.TextContent(type="text", text="Paris")
        return types.CreateMessageResult(role="assistant", content=text, model="none")

    async def list_roots(self, _context: object) -> types.ListRootsResult:
        self.asked.append("roots")
        return types.ListRootsResult(roots=[types.Root(uri="file:///work", name="work")])

    async def hear(self, message: object) -> None:
        self.heard.append(message)

    def options(self) -> dict[str, Any]:
        return {
            "elicitation_callback": self.fill_form,
            "sampling_callback": self.complete,
            "list_roots_callback": self.list_roots,
            "message_handler": self.hear,
        }


@pytest.fixture(params=["stdio", "http"])
def transport(request: pytest.FixtureRequest) -> Any:
    """What the client is pointed at."""
    if request.param == "http":
        with HttpServer(Program(PROGRAM)) as server:
            yield server.url
    else:
        yield StdioServerParameters(command=str(PROGRAM), args=["stdio"], env=clean_environment())


@pytest.fixture(params=["legacy", "2026-07-28"])
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


@asynccontextmanager
async def connected(transport: Any, mode: str, person: Person) -> AsyncIterator[Client]:
    async with Client(transport, mode=mode, **person.options()) as client:
        yield client


def text_of(result: Any) -> str:
    return result.content[0].text


def test_resources(transport: Any, mode: str) -> None:
    async def talk() -> None:
        async with connected(transport, mode, Person()) as client:
            first = await client.list_resources()
            assert len(first.resources) == 100
            rest = await client.list_resources(cursor=first.next_cursor)
            assert rest.next_cursor is None
            uris = {resource.uri for resource in [*first.resources, *rest.resources]}
            assert len(uris) == 123
            read = await client.read_resource("test://template/a%2Fb/data")
            assert '"a/b"' in read.contents[0].text
            picture = await client.read_resource("test://static-binary")
            assert picture.contents[0].blob.startswith("iVBOR")
            with pytest.raises(MCPError):
                await client.read_resource("test://no/such")
            templates = (await client.list_resource_templates()).resource_templates
            assert "test://template/{id}/data" in [each.uri_template for each in templates]

    run(talk())


def test_prompts_and_completion(transport: Any, mode: str) -> None:
    async def talk() -> None:
        async with connected(transport, mode, Person()) as client:
            names = [prompt.name for prompt in (await client.list_prompts()).prompts]
            assert "test_prompt_with_arguments" in names
            arguments = {"arg1": 'a"', "arg2": "\u20ac"}
            prompt = await client.get_prompt("test_prompt_with_arguments", arguments)
            assert prompt.messages[0].content.text.endswith("arg1='a\"', arg2='\u20ac'")
            ref = types.PromptReference(type="ref/prompt", name="test_prompt_with_arguments")
            found = await client.complete(ref, {"name": "arg1", "value": "par"})
            assert found.completion.values == ["paris", "park", "party"]

    run(talk())


def test_questions_of_the_old_revisions(transport: Any) -> None:
    async def talk() -> None:
        person = Person()
        async with connected(transport, "legacy", person) as client:
            said = await client.call_tool("test_sampling", {"prompt": "The capital?"})
            assert "Paris" in text_of(said)
            assert person.asked[0].messages[0].content.text == "The capital?"
            said = await client.call_tool("test_elicitation", {"message": "Who?"})
            assert "Ada" in text_of(said)
            # Several calls that ask at the same time get their own answers.
            many = [client.call_tool("test_elicitation", {"message": f"{i}?"}) for i in range(8)]
            assert all("Ada" in text_of(result) for result in await asyncio.gather(*many))
            assert {params.message for params in person.asked[2:]} == {f"{i}?" for i in range(8)}

    run(talk())


def test_questions_of_the_new_revision(transport: Any) -> None:
    async def talk() -> None:
        person = Person()
        head = "test_input_required_result"
        async with connected(transport, "2026-07-28", person) as client:
            assert text_of(await client.call_tool(f"{head}_elicitation")) == "Hello, Ada!"
            said = await client.call_tool(f"{head}_multi_round")
            assert text_of(said) == "Multi-round complete for Ada who likes Ada"
            assert not (await client.call_tool(f"{head}_multiple_inputs")).is_error
            assert "roots" in person.asked
            prompt = await client.get_prompt(f"{head}_prompt")
            assert "Ada" in prompt.messages[0].content.text

    run(talk())


def test_clients_that_cannot_be_asked(transport: Any, mode: str) -> None:
    async def talk() -> None:
        async with Client(transport, mode=mode) as client:
            if mode == "legacy":
                assert (await client.call_tool("test_elicitation", {"message": "Who?"})).is_error
            else:
                with pytest.raises(MCPError) as raised:
                    await client.call_tool("test_missing_capability")
                assert raised.value.error.code == -32021

    run(talk())


def test_changes_by_subscription(transport: Any) -> None:
    async def talk() -> None:
        person = Person()
        async with connected(transport, "legacy", person) as client:
            await client.subscribe_resource(WATCHED)
            # Over HTTP the stream for what belongs to no request is opened beside the requests.
            for _ in range(50):
                await client.call_tool("test_trigger_resource_change")
                await asyncio.sleep(0.1)
                if len({type(message) for message in person.heard}) >= 2:
                    break
            kinds = {type(message).__name__ for message in person.heard}
            assert "ResourceUpdatedNotification" in kinds
            assert "ResourceListChangedNotification" in kinds
            await client.unsubscribe_resource(WATCHED)

    run(talk())


def test_changes_by_listening(transport: Any) -> None:
    async def talk() -> None:
        async with connected(transport, "2026-07-28", Person()) as client:
            asked = {"tools_list_changed": True, "resource_subscriptions": [WATCHED, "test://no"]}
            async with client.listen(**asked) as subscription:
                assert subscription.honored.tools_list_changed
                assert list(subscription.honored.resource_subscriptions) == [WATCHED]
                await client.call_tool("test_trigger_prompt_change")
                await client.call_tool("test_trigger_tool_change")
                await client.call_tool("test_trigger_resource_change")
                events = [await anext(aiter(subscription)) for _ in range(2)]
                names = {type(event).__name__ for event in events}
                assert names == {"ToolsListChanged", "ResourceUpdated"}

    run(talk())

"""Agents that call the tool: pydantic-ai, OpenAI Agents and LangChain, each by its own MCP client.

The models are stand-ins that ask for what a test wants; everything between them and the server is
the library's own.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from agents import Agent as OpenAIAgent
from agents import Runner, Usage
from agents.items import ModelResponse as OpenAIModelResponse
from agents.mcp import MCPServer, MCPServerSse, MCPServerStdio, MCPServerStreamableHttp
from agents.models.interface import Model
from agents.run import RunConfig
from driver import Program, clean_environment
from fastmcp.client.transports import StdioTransport
from http_server import HttpServer
from langchain.agents import create_agent
from langchain.mcp import MCPAdapter
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.tools import ToolDefinition

Result = TypeVar("Result")
TOOL = "run_python_code"
WAYS = ("stdio", "http", "sse")
LANGCHAIN = Path(__file__).parent / "clients" / "langchain_adapters.py"


def run(task: Awaitable[Result]) -> Result:
    return asyncio.run(asyncio.wait_for(task, 60))


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def server(vitrine: Program) -> Iterator[HttpServer]:
    with HttpServer(vitrine, "--client-cells", "16") as running:
        yield running


@pytest.fixture
def toolset(vitrine: Program, server: HttpServer) -> Callable[..., MCPToolset]:
    """Makes pydantic-ai's view of a server."""

    def make(way: str, **options: Any) -> MCPToolset:
        if way == "http":
            return MCPToolset(server.url, **options)
        if way == "sse":
            return MCPToolset(server.sse_url, **options)
        transport = StdioTransport(
            str(vitrine.path), ["stdio"], env=clean_environment(), keep_alive=False
        )
        return MCPToolset(transport, **options)

    return make


class CallingTestModel(TestModel):
    """pydantic-ai's test model, whose arguments make a program (its own are the letter a)."""

    def gen_tool_args(self, tool_def: ToolDefinition) -> Any:
        arguments = super().gen_tool_args(tool_def)
        assert isinstance(arguments["python_code"], str)
        return arguments | {"python_code": "sorted('vitrine')"}


def test_pydantic_ai_with_its_test_model(toolset: Callable[..., MCPToolset], way: str) -> None:
    async def talk() -> str:
        agent = Agent(CallingTestModel(call_tools=[TOOL]), toolsets=[toolset(way)])
        return (await agent.run("sort the letters")).output

    answer = json.loads(run(talk()))
    assert answer[TOOL]["status"] == "success"
    assert answer[TOOL]["return_value"] == sorted("vitrine")


def returned(messages: list[ModelMessage]) -> list[Any]:
    """What the tools gave back last."""
    return [part for part in messages[-1].parts if isinstance(part, ToolReturnPart)]


def test_pydantic_ai_calls_side_by_side(toolset: Callable[..., MCPToolset], way: str) -> None:
    """A model that asks for five runs at once gets five answers, each its own."""
    codes = [f"import time\ntime.sleep(0.3)\n{number} ** 2" for number in range(5)]

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        assert TOOL in [tool.name for tool in info.function_tools]
        if results := returned(messages):
            text = json.dumps([part.content["return_value"] for part in results])
            return ModelResponse(parts=[TextPart(text)])
        calls = [ToolCallPart(TOOL, {"python_code": code}) for code in codes]
        return ModelResponse(parts=calls)

    async def talk() -> str:
        return (await Agent(FunctionModel(model), toolsets=[toolset(way)]).run("go")).output

    assert json.loads(run(talk())) == [0, 1, 4, 9, 16]


def test_pydantic_ai_tries_again_after_an_error(
    toolset: Callable[..., MCPToolset], way: str
) -> None:
    """A failing program is what the library takes for a reason to ask the model once more."""
    seen: list[str] = []

    def model(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        code = "1 / 0"
        for part in returned(messages):
            if part.outcome == "success":
                return ModelResponse(parts=[TextPart(str(part.content["return_value"]))])
            seen.append(str(part.content))
            code = "1 / 1"
        return ModelResponse(parts=[ToolCallPart(TOOL, {"python_code": code})])

    async def talk() -> str:
        return (await Agent(FunctionModel(model), toolsets=[toolset(way)]).run("go")).output

    assert run(talk()) == "1.0"
    assert len(seen) == 1
    assert "ZeroDivisionError" in seen[0]


def test_pydantic_ai_sees_what_is_printed(toolset: Callable[..., MCPToolset], way: str) -> None:
    logs: list[Any] = []

    async def keep(message: Any) -> None:
        logs.append((message.level, message.data))

    def model(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        if returned(messages):
            return ModelResponse(parts=[TextPart("done")])
        return ModelResponse(parts=[ToolCallPart(TOOL, {"python_code": "print('one')\nprint(2)"})])

    async def talk() -> None:
        # The era of SSE sets a level for the connection; later, this client asks for all.
        options = {"log_level": "info"} if way == "sse" else {}
        tools = toolset(way, log_handler=keep, **options)
        await Agent(FunctionModel(model), toolsets=[tools]).run("go")

    run(talk())
    assert logs == [("info", "one"), ("info", "2")]


def test_pydantic_ai_with_several_servers(toolset: Callable[..., MCPToolset], way: str) -> None:
    """Three at once, told apart by a prefix."""
    names = ["a", "b", "c"]

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if results := returned(messages):
            text = json.dumps([part.content["return_value"] for part in results])
            return ModelResponse(parts=[TextPart(text)])
        offered = [tool.name for tool in info.function_tools]
        tools = sorted(tool for tool in offered if tool.endswith(TOOL))
        return ModelResponse(
            parts=[ToolCallPart(tool, {"python_code": repr(tool)}) for tool in tools]
        )

    async def talk() -> str:
        toolsets = [toolset(way).prefixed(name) for name in names]
        return (await Agent(FunctionModel(model), toolsets=toolsets).run("go")).output

    assert json.loads(run(talk())) == [f"{name}_{TOOL}" for name in names]


class StandIn(Model):
    """A model for OpenAI Agents: asks for runs of some code, then says what they gave."""

    def __init__(self, codes: list[str]) -> None:
        self.codes = codes
        self.seen: list[Any] = []

    async def get_response(
        self, system_instructions: Any, input: Any, *rest: Any, **others: Any
    ) -> OpenAIModelResponse:
        outputs = [item["output"] for item in input if isinstance(item, dict) and "output" in item]
        self.seen = outputs
        output: list[Any] = [
            ResponseFunctionToolCall(
                type="function_call",
                call_id=f"call-{number}",
                name=TOOL,
                arguments=json.dumps({"python_code": code}),
            )
            for number, code in enumerate(self.codes)
        ]
        if outputs:
            text = ResponseOutputText(type="output_text", text="done", annotations=[])
            output = [
                ResponseOutputMessage(
                    id="1", type="message", role="assistant", status="completed", content=[text]
                )
            ]
        return OpenAIModelResponse(output=output, usage=Usage(), response_id=None)

    def stream_response(self, *rest: Any, **others: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def openai_server(vitrine: Program, server: HttpServer) -> Callable[[str], MCPServer]:
    """Makes OpenAI Agents' view of a server."""

    def make(way: str) -> MCPServer:
        if way == "http":
            return MCPServerStreamableHttp({"url": server.url})
        if way == "sse":
            return MCPServerSse({"url": server.sse_url})
        return MCPServerStdio(
            {"command": str(vitrine.path), "args": ["stdio"], "env": clean_environment()}
        )

    return make


def test_openai_agents(openai_server: Callable[[str], MCPServer], way: str) -> None:
    model = StandIn(["6 * 7", "1 / 0", "'né'"])

    async def talk() -> Any:
        async with openai_server(way) as python:
            assert TOOL in [tool.name for tool in await python.list_tools()]
            agent = OpenAIAgent(name="tester", model=model, mcp_servers=[python])
            without_traces = RunConfig(tracing_disabled=True)
            return (await Runner.run(agent, "go", run_config=without_traces)).final_output

    assert run(talk()) == "done"
    texts = [json.dumps(output, ensure_ascii=False) for output in model.seen]
    assert "42" in texts[0]
    assert "ZeroDivisionError" in texts[1]
    assert "né" in texts[2]


class LangChainStandIn(BaseChatModel):
    """A model for LangChain: asks for runs of some code, then says that it is done."""

    codes: list[str]

    @property
    def _llm_type(self) -> str:
        return "stand-in"

    def bind_tools(self, *rest: Any, **others: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *rest: Any, **others: Any) -> ChatResult:
        calls = [
            {"name": TOOL, "args": {"python_code": code}, "id": f"call-{number}"}
            for number, code in enumerate(self.codes)
        ]
        if any(isinstance(message, ToolMessage) for message in messages):
            calls = []
        message = AIMessage(content="" if calls else "done", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.fixture
def langchain_target(vitrine: Program, server: HttpServer) -> Callable[[str], Any]:
    def make(way: str) -> Any:
        if way != "stdio":
            return server.url if way == "http" else server.sse_url
        entry = {"command": str(vitrine.path), "args": ["stdio"], "env": clean_environment()}
        return {"mcpServers": {"vitrine": entry}}

    return make


def test_langchain_agent(langchain_target: Callable[[str], Any], way: str) -> None:
    """An agent of LangChain, by the client that comes with it."""

    async def talk() -> list[BaseMessage]:
        async with MCPAdapter(langchain_target(way)) as adapter:
            tools = await adapter.list_tools()
            assert TOOL in [tool.name for tool in tools]
            agent = create_agent(LangChainStandIn(codes=["6 * 7", "1 / 0", "'né'"]), tools)
            result = await agent.ainvoke({"messages": [{"role": "user", "content": "go"}]})
            return result["messages"]

    messages = run(talk())
    assert messages[-1].content == "done"
    answers = [message for message in messages if isinstance(message, ToolMessage)]
    assert "42" in answers[0].content[0]["text"]
    assert answers[0].artifact["structured_content"]["return_value"] == 42
    assert answers[1].status == "error"
    assert "ZeroDivisionError" in str(answers[1].content)
    assert "né" in answers[2].content[0]["text"]


def langchain(connections: dict[str, Any]) -> dict[str, Any]:
    """What clients/langchain_adapters.py saw, in its own environment."""
    done = subprocess.run(
        [os.environ["VITRINE_TEST_MCP1_PYTHON"], LANGCHAIN, json.dumps(connections)],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.fixture
def langchain_connection(vitrine: Program, server: HttpServer) -> Callable[[str], dict[str, Any]]:
    def make(way: str) -> dict[str, Any]:
        if way != "stdio":
            return {"transport": way, "url": server.url if way == "http" else server.sse_url}
        return {
            "transport": "stdio",
            "command": str(vitrine.path),
            "args": ["stdio"],
            "env": clean_environment(),
        }

    return make


def test_langchain_adapters(
    langchain_connection: Callable[[str], dict[str, Any]], way: str
) -> None:
    """The older package. Two servers; the tool of each is loaded and invoked."""
    seen = langchain({"one": langchain_connection(way), "two": langchain_connection(way)})
    assert seen["tools"].count(TOOL) == 2
    assert set(seen["schema"]["required"]) == {"python_code"}
    assert seen["value"] == "<status>success</status>\n<return_value>\n45\n</return_value>"
    number, text, artifact = seen["message"]
    assert number == "call-1"
    assert "néné" in text
    assert artifact["structured_content"]["return_value"] == "néné"
    assert "ZeroDivisionError" in seen["failed"]
    assert [text.split("\n")[2] for text in seen["many"]] == ["0", "1", "2", "3"]
    assert [text.split("\n")[2] for text in seen["again"]] == ["1", "2"]
    assert seen["logs"] == [["one", "info", "seen"]]

"""Run a program of the guide with a stand-in for the model that it names.

    stand_ins.py PROGRAM

The model calls the tool with `6 * 7` and answers with what came back, for pydantic-ai, LangChain
and OpenAI Agents, each by the hook that the library has for models by name.
"""

from __future__ import annotations

import contextlib
import json
import runpy
import sys
from typing import Any

TOOL = "run_python_code"
CODE = {"python_code": "6 * 7"}


def for_pydantic_ai() -> None:
    from pydantic_ai import models
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import FunctionModel

    def answer(messages: Any, _info: Any) -> ModelResponse:
        for part in messages[-1].parts:
            if isinstance(part, ToolReturnPart):
                return ModelResponse(parts=[TextPart(str(part.content["return_value"]))])
        return ModelResponse(parts=[ToolCallPart(TOOL, CODE)])

    models.infer_model = lambda *_rest, **_others: FunctionModel(answer)


def for_langchain() -> None:
    from langchain.agents import factory
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage, ToolMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    class StandIn(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "stand-in"

        def bind_tools(self, *_rest: Any, **_others: Any) -> Any:
            return self

        def _generate(self, messages: Any, *_rest: Any, **_others: Any) -> ChatResult:
            results = [message for message in messages if isinstance(message, ToolMessage)]
            call = {"name": TOOL, "args": CODE, "id": "call-1"}
            message = AIMessage(content="", tool_calls=[call])
            if results:
                message = AIMessage(content=results[0].content[0]["text"])
            return ChatResult(generations=[ChatGeneration(message=message)])

    factory.init_chat_model = lambda *_rest, **_others: StandIn()


def for_openai_agents() -> None:
    from agents import Usage, set_tracing_disabled
    from agents.items import ModelResponse
    from agents.models.interface import Model
    from agents.models.multi_provider import MultiProvider
    from openai.types.responses import (
        ResponseFunctionToolCall,
        ResponseOutputMessage,
        ResponseOutputText,
    )

    class StandIn(Model):
        async def get_response(
            self, system_instructions: Any, input: Any, *rest: Any, **others: Any
        ) -> ModelResponse:
            outputs = [item["output"] for item in input if "output" in item]
            output: list[Any] = [
                ResponseFunctionToolCall(
                    type="function_call", call_id="1", name=TOOL, arguments=json.dumps(CODE)
                )
            ]
            if outputs:
                text = ResponseOutputText(
                    type="output_text", text=json.dumps(outputs), annotations=[]
                )
                output = [
                    ResponseOutputMessage(
                        id="1", type="message", role="assistant", status="completed", content=[text]
                    )
                ]
            return ModelResponse(output=output, usage=Usage(), response_id=None)

        def stream_response(self, *rest: Any, **others: Any) -> Any:
            raise NotImplementedError

    set_tracing_disabled(True)
    MultiProvider.get_model = lambda *_rest, **_others: StandIn()


if __name__ == "__main__":
    for prepare in (for_pydantic_ai, for_langchain, for_openai_agents):
        with contextlib.suppress(ImportError):  # each environment has some of them
            prepare()
    runpy.run_path(sys.argv[1], run_name="__main__")

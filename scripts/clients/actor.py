"""Unmodified clients against the scripted model "actor" (server/scripted_test.go), which thinks, calls and fills in forms:
each does what its users do, by the route that it takes by default.

usage: actor.py http://127.0.0.1:8080 [CLIENT ...]   (default: all that are installed)
"""

import asyncio
import importlib.metadata
import json
import os
import sys

import pydantic

BASE = sys.argv[1].rstrip("/")
V1 = BASE + "/v1"
os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", OPENAI_API_KEY="none", OPENAI_BASE_URL=V1, OPENAI_AGENTS_DISABLE_TRACING="1", DO_NOT_TRACK="1")
ECHO, THOUGHT, TOLD = "You said: hi", "Let me think.", "The tool says: sunny in Paris"
THINK = {"chat_template_kwargs": {"enable_thinking": True}}


class Town(pydantic.BaseModel):
    """A town, as JSON."""

    city: str
    degrees: int


PARIS = Town(city="Paris", degrees=21)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def check(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: got {got!r}, want {want!r}")
    print(f"  {what}")


def with_openai():
    import openai

    c = openai.OpenAI(max_retries=0)
    r = c.responses.create(model="actor", input="hi", instructions="be brief", max_output_tokens=99, metadata={"a": "b"}, extra_body={"loops": 3})
    check("responses.create", (r.output_text, r.status, r.metadata, r.usage.output_tokens_details.model_extra["loops"]["max"]), (ECHO, "completed", {"a": "b"}, 3))
    with c.responses.stream(model="actor", input="hi", reasoning={"effort": "high", "summary": "auto"}, extra_body=THINK) as s:
        kinds = {e.type for e in s}
        r = s.get_final_response()
    check("responses.stream: summary and text", (r.output[0].summary[0].text, r.output_text, "response.reasoning_summary_text.delta" in kinds), (THOUGHT, ECHO, True))
    r = c.responses.create(model="actor", input="hi", extra_body=THINK)
    check("a thought in full", r.output[0].content[0].text, THOUGHT)
    text = "".join(e.delta for e in c.responses.create(model="actor", input="hi", stream=True) if e.type == "response.output_text.delta")
    check("responses.create, streamed", text, ECHO)
    check("responses.parse with pydantic", c.responses.parse(model="actor", input="hi as JSON", text_format=Town).output_parsed, PARIS)
    r = c.responses.create(model="actor", input="hi", max_output_tokens=4)
    check("cut short", (r.status, r.incomplete_details.reason, r.output_text), ("incomplete", "max_output_tokens", "You "))
    r = c.responses.create(model="actor", input="hi", include=["message.output_text.logprobs"], top_logprobs=1)
    check("logprobs", len(r.output[0].content[0].logprobs), len(ECHO))

    tools = [{"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": True}]
    talk = [{"role": "user", "content": "weather?"}]
    r = c.responses.create(model="actor", input=talk, tools=tools)
    call = r.output[0]
    check("a call", (call.name, json.loads(call.arguments)), ("get_weather", {"city": "Paris"}))
    result = {"type": "function_call_output", "call_id": call.call_id, "output": get_weather("Paris")}
    check("its result, with the history", c.responses.create(model="actor", input=[*talk, *r.output, result], tools=tools).output_text, TOLD)
    check("its result, by previous_response_id", c.responses.create(model="actor", input=[result], tools=tools, previous_response_id=r.id).output_text, TOLD)
    check("retrieved", c.responses.retrieve(r.id).output, r.output)
    c.responses.delete(r.id)
    for what, body, param in [("deleted", {"previous_response_id": r.id}, "previous_response_id"), ("another's field", {"background": True}, "background"), ("loops", {"loops": 99}, "loops")]:
        try:
            c.responses.create(model="actor", input="hi", extra_body=body)
        except openai.BadRequestError as err:
            check(f"{what} is refused", err.param, param)
        else:
            raise SystemExit(f"{body} was taken")


def with_agents():
    import agents
    import openai

    tool = agents.function_tool(get_weather)
    chats = agents.OpenAIChatCompletionsModel("actor", openai.AsyncOpenAI())
    helper = agents.Agent(name="a", model="actor", tools=[tool], instructions="Help.")
    plain = agents.Agent(name="b", model="actor")

    async def ask():
        run = agents.Runner.run
        check("Runner.run: a loop with a tool", (await run(helper, "weather?")).final_output, TOLD)
        streamed = agents.Runner.run_streamed(helper, "weather?")
        async for _ in streamed.stream_events():
            pass
        check("Runner.run_streamed", streamed.final_output, TOLD)
        check("output_type", (await run(agents.Agent(name="c", model="actor", output_type=Town, instructions="JSON"), "hi")).final_output, PARIS)
        session = agents.SQLiteSession("s")
        first = await run(plain, "first", session=session)
        check("a session's second turn", (await run(plain, "hi", session=session)).final_output, ECHO)
        check("previous_response_id", (await run(plain, "hi", previous_response_id=first.last_response_id)).final_output, ECHO)
        check("by chat completions", (await run(agents.Agent(name="d", model=chats, tools=[tool]), "weather?")).final_output, TOLD)

    asyncio.run(ask())


def langchain(m):
    from langchain_core.tools import tool

    def text(message):
        return message.text if isinstance(message.text, str) else message.text()

    check("invoke", text(m.invoke("hi")), ECHO)
    check("stream", "".join(text(c) for c in m.stream("hi")), ECHO)
    bound = m.bind_tools([tool(get_weather)])
    asked = bound.invoke("weather?")
    check("bind_tools", (asked.tool_calls[0]["name"], asked.tool_calls[0]["args"]), ("get_weather", {"city": "Paris"}))
    result = {"role": "tool", "content": get_weather("Paris"), "tool_call_id": asked.tool_calls[0]["id"]}
    check("the call and its result sent back", text(bound.invoke([("user", "weather?"), asked, result])), TOLD)
    whole = None
    for chunk in bound.stream("weather?"):
        whole = chunk if whole is None else whole + chunk
    check("a call, streamed", whole.tool_calls[0]["args"], {"city": "Paris"})
    check("with_structured_output", m.with_structured_output(Town).invoke("hi as JSON"), PARIS)


def with_langchain_openai():
    from langchain_openai import ChatOpenAI

    langchain(ChatOpenAI(model="actor", use_responses_api=True))
    m = ChatOpenAI(model="actor", use_responses_api=True, use_previous_response_id=True)
    first = m.invoke("first")
    check("use_previous_response_id", m.invoke([("user", "first"), first, ("user", "hi")]).text, ECHO)


def with_langchain_anthropic():
    from langchain_anthropic import ChatAnthropic

    langchain(ChatAnthropic(model="actor", base_url=BASE, api_key="none", max_tokens=999))


def with_dspy():
    import dspy

    for kind in ("chat", "responses"):
        dspy.configure(lm=dspy.LM("openai/actor", model_type=kind, api_base=V1, api_key="none", cache=False))
        check(f"Predict, by {kind}", dspy.Predict("question -> answer")(question="capital?").answer, "Paris")


def with_anthropic():
    import anthropic

    c = anthropic.Anthropic(base_url=BASE, api_key="none", max_retries=0)
    ask = dict(model="actor", max_tokens=999, messages=[{"role": "user", "content": "hi"}])
    m = c.messages.create(**ask, system=[{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}], extra_body={"loops": 3, "top_k": 5})
    check("messages.create", (m.content[0].text, m.stop_reason, m.usage.output_tokens), (ECHO, "end_turn", len(ECHO) + 1))
    with c.messages.stream(**ask) as s:
        check("messages.stream", "".join(s.text_stream), ECHO)
        check("its final message", (s.get_final_message().content[0].text, s.get_final_message().usage.output_tokens), (ECHO, len(ECHO) + 1))
    with c.messages.stream(**ask, thinking={"type": "enabled", "budget_tokens": 1024}) as s:
        blocks = s.get_final_message().content
    check("a thought, streamed", [(b.type, getattr(b, "thinking", getattr(b, "text", ""))) for b in blocks], [("thinking", THOUGHT), ("text", ECHO)])
    check("sent back", c.messages.create(**{**ask, "messages": [*ask["messages"], {"role": "assistant", "content": blocks}, {"role": "user", "content": "hi"}]}).content[0].text, ECHO)
    m = c.messages.create(**ask, stop_sequences=["said"])
    check("stop_sequences", (m.content[0].text, m.stop_reason, m.stop_sequence), ("You ", "stop_sequence", "said"))
    check("max_tokens", c.messages.create(**{**ask, "max_tokens": 3}).stop_reason, "max_tokens")
    check("an answer that is begun", c.messages.create(**{**ask, "messages": [*ask["messages"], {"role": "assistant", "content": "So"}]}).stop_reason, "end_turn")
    check("count_tokens", c.messages.count_tokens(model="actor", messages=ask["messages"]).input_tokens > 3, True)
    check("messages.parse", c.messages.parse(**{**ask, "messages": [{"role": "user", "content": "JSON"}]}, output_format=Town).parsed_output, PARIS)

    tools = [{"name": "get_weather", "description": "The weather.", "input_schema": SCHEMA}]
    for choice in ({"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "get_weather"}):
        m = c.messages.create(**ask, tools=tools, tool_choice=choice)
        check(f"tools, {choice['type']}", (m.stop_reason, m.content[0].name, m.content[0].input), ("tool_use", "get_weather", {"city": "Paris"}))
    with c.messages.stream(**ask, tools=tools) as s:
        check("a call, streamed", s.get_final_message().content[0].input, {"city": "Paris"})
    result = {"type": "tool_result", "tool_use_id": m.content[0].id, "content": [{"type": "text", "text": get_weather("Paris")}]}
    back = [*ask["messages"], {"role": "assistant", "content": m.content}, {"role": "user", "content": [result]}]
    check("the result sent back", c.messages.create(**{**ask, "messages": back}, tools=tools).content[0].text, TOLD)
    runner = c.beta.messages.tool_runner(**ask, tools=[anthropic.beta_tool(get_weather)])
    check("tool_runner", runner.until_done().content[0].text, TOLD)
    try:
        c.messages.create(**ask, extra_body={"loops": 99})
    except anthropic.BadRequestError as err:
        check("an error", (err.body["error"]["type"], err.body["error"]["param"], bool(err.request_id)), ("invalid_request_error", "loops", True))
    else:
        raise SystemExit("99 loops were taken")


def with_litellm():
    import litellm

    kw = dict(model="openai/actor", api_base=V1, api_key="none")
    check("responses", litellm.responses(input="hi", **kw).output[0].content[0].text, ECHO)
    r = litellm.completion(messages=[{"role": "user", "content": "weather?"}], tools=[{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}], **kw)
    check("completion with a tool", r.choices[0].message.tool_calls[0].function.name, "get_weather")
    m = litellm.anthropic_messages
    r = asyncio.run(m(model="anthropic/actor", api_base=BASE, api_key="none", max_tokens=99, messages=[{"role": "user", "content": "hi"}]))
    check("anthropic_messages", r["content"][0]["text"], ECHO)
    r = litellm.completion(model="anthropic/actor", api_base=BASE, api_key="none", messages=[{"role": "user", "content": "hi"}])
    check("completion, as anthropic", r.choices[0].message.content, ECHO)


def with_llama_index():
    from llama_index.core.tools import FunctionTool
    from llama_index.llms.openai_like import OpenAILike

    m = OpenAILike(model="actor", api_base=V1, api_key="none", is_chat_model=True, is_function_calling_model=True)
    check("complete", m.complete("hi").text, ECHO)
    check("stream_complete", [c.text for c in m.stream_complete("hi")][-1], ECHO)
    check("predict_and_call", str(m.predict_and_call([FunctionTool.from_defaults(get_weather)], "weather?").response), "sunny in Paris")
    check("as_structured_llm", m.as_structured_llm(Town).complete("hi").raw, PARIS)


def with_pydantic_ai():
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    for m in (
        OpenAIChatModel("actor", provider=OpenAIProvider(V1)),
        OpenAIResponsesModel("actor", provider=OpenAIProvider(V1)),
        AnthropicModel("actor", provider=AnthropicProvider(api_key="none", base_url=BASE)),
    ):
        name = type(m).__name__
        check(f"{name}: a loop with a tool", Agent(m, tools=[get_weather]).run_sync("weather?").output, TOLD)
        check(f"{name}: output_type", Agent(m, output_type=Town).run_sync("hi").output, PARIS)


def with_instructor():
    import instructor

    for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON, instructor.Mode.RESPONSES_TOOLS):
        c = instructor.from_provider("openai/actor", mode=mode)
        town = c.create(response_model=Town, messages=[{"role": "user", "content": "hi as JSON"}])
        check(f"create, {mode.name}", town.model_dump(), PARIS.model_dump())


def with_outlines():
    import openai
    import outlines

    m = outlines.from_openai(openai.OpenAI(), "actor")
    check("a pydantic model", Town.model_validate_json(m("hi as JSON", Town)), PARIS)


def with_guidance():
    import guidance

    m = guidance.models.OpenAI("actor", base_url=V1, api_key="none")
    with guidance.user():
        m += "hi as JSON"
    with guidance.assistant():
        m += guidance.json(schema=Town, name="town")
    check("json", Town.model_validate_json(m["town"]), PARIS)


# of each client: its distribution, and what is run
CLIENTS = {
    "openai": ("openai", with_openai),
    "agents": ("openai-agents", with_agents),
    "langchain-openai": ("langchain-openai", with_langchain_openai),
    "langchain-anthropic": ("langchain-anthropic", with_langchain_anthropic),
    "dspy": ("dspy", with_dspy),
    "anthropic": ("anthropic", with_anthropic),
    "litellm": ("litellm", with_litellm),
    "llama-index": ("llama-index-llms-openai-like", with_llama_index),
    "pydantic-ai": ("pydantic-ai-slim", with_pydantic_ai),
    "instructor": ("instructor", with_instructor),
    "outlines": ("outlines", with_outlines),
    "guidance": ("guidance", with_guidance),
}


def version(distribution):
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


wanted = sys.argv[2:] or [n for n, (distribution, _) in CLIENTS.items() if version(distribution)]
for name in wanted:
    distribution, run = CLIENTS[name]
    print(distribution, version(distribution))
    run()
print("all as expected:", ", ".join(wanted))

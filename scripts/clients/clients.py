"""Unmodified clients against a running loopserve: each does what its users do, and the answers are compared.

usage: clients.py http://127.0.0.1:8080 [openai|litellm|langchain ...]   (default: all that are installed)
"""

import asyncio
import importlib.util
import os
import re
import sys

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # no fetch at import
BASE = sys.argv[1].rstrip("/") + "/v1"
PROMPT, RIGHT = "123+456+789=", "1368"


def check(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: got {got!r}, want {want!r}")
    print(f"  {what}: {got!r}")


def with_openai():
    import openai

    print("openai-python", openai.__version__)
    c = openai.OpenAI(base_url=BASE, api_key="none", max_retries=0)
    ids = [m.id for m in c.models.list()]
    check("models", {"adder", "adder@8", "adder@auto"} <= set(ids), True)

    r = c.completions.create(model="adder", prompt=PROMPT, max_tokens=8, temperature=0)
    check("completion", r.choices[0].text, RIGHT)
    check("finish_reason", r.choices[0].finish_reason, "stop")
    one = c.completions.create(model="adder", prompt=PROMPT, max_tokens=8, temperature=0, extra_body={"loops": 1, "return_loops": True})
    check("extra_body loops=1 is worse", one.choices[0].text != RIGHT, True)
    check("loops of each token", set(one.choices[0].model_extra["loops"]), {1})
    check("loops in usage", one.usage.completion_tokens_details.model_extra["loops"]["max"], 1)

    text, usage = "", None
    for chunk in c.completions.create(model="adder@8", prompt=PROMPT, max_tokens=8, temperature=0, stream=True, stream_options={"include_usage": True}):
        text += "".join(ch.text for ch in chunk.choices)
        usage = chunk.usage or usage
    check("completion, streamed", text, RIGHT)
    check("usage in the stream", usage.completion_tokens, 5)

    r = c.chat.completions.create(model="adder", messages=[{"role": "user", "content": PROMPT}], temperature=0, max_completion_tokens=8)
    check("chat", r.choices[0].message.content, RIGHT)
    text = ""
    for chunk in c.chat.completions.create(model="adder@auto", messages=[{"role": "user", "content": PROMPT}], temperature=0, stream=True):
        text += "".join(ch.delta.content or "" for ch in chunk.choices)
    check("chat at adder@auto, streamed", text, RIGHT)
    with c.chat.completions.stream(model="adder", messages=[{"role": "user", "content": PROMPT}], temperature=0) as s:
        check("the library's own stream helper", s.get_final_completion().choices[0].message.content, RIGHT)
    r = c.chat.completions.create(model="adder", messages=[{"role": "user", "content": PROMPT}], temperature=0, reasoning_effort="high", logprobs=True, top_logprobs=2)
    check("reasoning_effort and logprobs", len(r.choices[0].logprobs.content[0].top_logprobs), 2)

    r = c.completions.create(model="adder", prompt=[[4, 5, 6, 13, 7, 8, 9, 14]], max_tokens=1, temperature=0, echo=True, logprobs=1)
    lp = r.choices[0].logprobs
    check("echoed prompt logprobs", (len(lp.token_logprobs), lp.token_logprobs[0]), (9, None))
    r = c.completions.create(model="adder", prompt=PROMPT, n=3, best_of=3, max_tokens=8, seed=1)
    check("n", len(r.choices), 3)
    e = c.embeddings.create(model="adder", input=[PROMPT, "1+1="])
    check("embeddings", [len(d.embedding) for d in e.data], [128, 128])

    raw = c.completions.with_raw_response.create(model="adder@3", prompt=PROMPT, max_tokens=8, temperature=0)
    check("headers: model, loops, request", (raw.headers["x-model"], raw.headers["x-loops-applied"], raw.request_id == raw.headers["x-request-id"]), ("adder", "3", True))
    check("the raw response, parsed", raw.parse().usage.completion_tokens_details.model_extra["loops"]["granted"], 3)
    with c.chat.completions.with_streaming_response.create(model="adder", messages=[{"role": "user", "content": PROMPT}], temperature=0, stream=True) as raw:
        lines = [line for line in raw.iter_lines() if line]
    check("a stream as bytes", (raw.headers["content-type"].split(";")[0], lines[-1], {line[:6] for line in lines}), ("text/event-stream", "data: [DONE]", {"data: "}))

    with_forms(c, openai)
    asyncio.run(with_async(openai))

    for body, status, param in [({"loops": 99}, 400, "loops"), ({"num_loops": 3}, 400, "num_loops")]:
        try:
            c.completions.create(model="adder", prompt=PROMPT, extra_body=body)
        except openai.BadRequestError as err:
            check(f"{body} is refused", (err.status_code, err.param, bool(err.request_id)), (status, param, True))
        else:
            raise SystemExit(f"{body} was taken")
    try:
        c.completions.create(model="nobody", prompt=PROMPT)
    except openai.NotFoundError as err:
        check("unknown model", err.code, "model_not_found")


def with_forms(c, openai):
    """The library's own helper for structured output, and vLLM's fields. The adder's vocabulary is digits, + and =: a
    number is the JSON that it can write; a form that it cannot write is refused at once."""
    import pydantic

    class Sum(pydantic.RootModel[int]):
        pass

    class Report(pydantic.BaseModel):
        total: int

    ask = dict(model="adder", messages=[{"role": "user", "content": PROMPT}], temperature=0)
    check("parse with a pydantic model", c.chat.completions.parse(**ask, response_format=Sum).choices[0].message.parsed, Sum(int(RIGHT)))
    with c.chat.completions.stream(**ask, response_format=Sum) as s:
        check("the same, streamed", s.get_final_completion().choices[0].message.parsed, Sum(int(RIGHT)))
    try:
        c.chat.completions.parse(**ask, response_format=Report)
    except openai.BadRequestError as err:
        check("a form that no text of the model has", err.param, "response_format")
    else:
        raise SystemExit("a form that no text of the model has was taken")
    for form, pattern in [({"regex": "[0-9]{2}"}, "[0-9]{2}"), ({"choice": ["42", "1369"]}, "42|1369")]:
        for body in ({"structured_outputs": form}, {"guided_" + k: v for k, v in form.items()}):
            r = c.completions.create(model="adder", prompt=PROMPT, max_tokens=8, temperature=0, extra_body=body)
            text = r.choices[0].text
            check(f"{body}: {text}", bool(re.fullmatch(pattern, text)), True)


async def with_async(openai):
    async with openai.AsyncOpenAI(base_url=BASE, api_key="none", max_retries=0) as a:
        jobs = [a.completions.create(model=f"adder@{4 + i % 5}", prompt=PROMPT, max_tokens=8, temperature=0) for i in range(20)]
        check("20 at one time, at five depths", {r.choices[0].text for r in await asyncio.gather(*jobs)}, {RIGHT})

        async def streamed(depth):
            chunks = await a.chat.completions.create(model=f"adder@{depth}", messages=[{"role": "user", "content": PROMPT}], temperature=0, stream=True)
            return "".join([ch.delta.content or "" async for chunk in chunks for ch in chunk.choices])

        check("five async streams", set(await asyncio.gather(*map(streamed, range(4, 9)))), {RIGHT})
        async with a.chat.completions.stream(model="adder", messages=[{"role": "user", "content": PROMPT}], temperature=0) as s:
            check("the stream helper, async", (await s.get_final_completion()).choices[0].message.content, RIGHT)
        left = await a.completions.create(model="adder", prompt=PROMPT, max_tokens=32, extra_body={"ignore_eos": True, "loops": 32}, stream=True)
        await anext(left)
        await left.close()  # a reader that goes away must not hold the server up
        r = await a.with_options(timeout=30).completions.create(model="adder", prompt=PROMPT, max_tokens=8, temperature=0)
        check("after a stream left half read", r.choices[0].text, RIGHT)


def with_litellm():
    import litellm

    print("litellm")
    kw = dict(api_base=BASE, api_key="none", temperature=0)
    msgs = [{"role": "user", "content": PROMPT}]
    r = litellm.completion(model="openai/adder", messages=msgs, extra_body={"loops": 8}, **kw)
    check("chat", r.choices[0].message.content, RIGHT)
    text = "".join(c.choices[0].delta.content or "" for c in litellm.completion(model="openai/adder@8", messages=msgs, stream=True, **kw))
    check("chat, streamed", text, RIGHT)
    r = litellm.text_completion(model="text-completion-openai/adder", prompt=PROMPT, max_tokens=8, **kw)
    check("text completion", r.choices[0].text, RIGHT)
    r = litellm.completion(model="hosted_vllm/adder", messages=msgs, **kw)
    check("as hosted_vllm", r.choices[0].message.content, RIGHT)


async def with_astream(model):
    return "".join([c.content async for c in model.astream(PROMPT)])


def with_langchain():
    import pydantic
    from langchain_openai import ChatOpenAI, OpenAI

    class Sum(pydantic.RootModel[int]):
        """A sum."""

    print("langchain-openai")
    m = ChatOpenAI(base_url=BASE, api_key="none", model="adder", temperature=0, extra_body={"loops": 8})
    check("ChatOpenAI.invoke", m.invoke(PROMPT).content, RIGHT)
    check("ChatOpenAI.stream", "".join(c.content for c in m.stream(PROMPT)), RIGHT)
    check("ChatOpenAI.astream", asyncio.run(with_astream(m)), RIGHT)
    check("ChatOpenAI.batch", [r.content for r in m.batch([PROMPT, "100+200="])], [RIGHT, "300"])
    check("ChatOpenAI.with_structured_output", m.with_structured_output(Sum, method="json_schema").invoke(PROMPT), Sum(int(RIGHT)))
    llm = OpenAI(base_url=BASE, api_key="none", model="adder@8", temperature=0, max_tokens=8)
    check("OpenAI.invoke", llm.invoke(PROMPT), RIGHT)


CLIENTS = {"openai": ("openai", with_openai), "litellm": ("litellm", with_litellm), "langchain": ("langchain_openai", with_langchain)}
wanted = sys.argv[2:] or [n for n, (module, _) in CLIENTS.items() if importlib.util.find_spec(module)]
for name in wanted:
    CLIENTS[name][1]()
print("all as expected:", ", ".join(wanted))

// Unmodified clients of JavaScript against the scripted model "actor" (server/scripted_test.go), each by the route that it
// takes by default. usage: node actor.mjs http://127.0.0.1:8080, where openai, zod, ai and the two providers are installed
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const baseURL = process.argv[2].replace(/\/$/, "") + "/v1";
const [echo, told, paris] = ["You said: hi", "The tool says: sunny in Paris", { city: "Paris", degrees: 21 }];
const Town = z.object({ city: z.string(), degrees: z.number().int() });
const think = { chat_template_kwargs: { enable_thinking: true } };
const version = (name) => JSON.parse(require("node:fs").readFileSync(`node_modules/${name}/package.json`)).version;
const require = createRequire(import.meta.url);

function check(what, got, want) {
  assert.deepEqual(got, want, what);
  console.log("  " + what);
}

async function withOpenAI() {
  const c = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
  check("responses.create", (await c.responses.create({ model: "actor", input: "hi", loops: 3 })).output_text, echo);
  const stream = c.responses.stream({ model: "actor", input: "hi", reasoning: { summary: "auto" }, ...think });
  let text = "";
  for await (const e of stream) if (e.type === "response.output_text.delta") text += e.delta;
  check("responses.stream", [text, (await stream.finalResponse()).output.map((o) => o.type)], [echo, ["reasoning", "message"]]);
  const parsed = await c.responses.parse({ model: "actor", input: "JSON", text: { format: zodTextFormat(Town, "town") } });
  check("responses.parse with zod", parsed.output_parsed, paris);
  const messages = [{ role: "user", content: "JSON" }];
  const chat = await c.chat.completions.parse({ model: "actor", messages, response_format: zodResponseFormat(Town, "town") });
  check("chat.completions.parse with zod", chat.choices[0].message.parsed, paris);
  const run = c.chat.completions.runTools({
    model: "actor",
    messages: [{ role: "user", content: "weather?" }],
    tools: [{ type: "function", function: { name: "get_weather", parse: JSON.parse, function: ({ city }) => `sunny in ${city}`, parameters: z.toJSONSchema(z.object({ city: z.string() })) } }],
  });
  check("chat.completions.runTools", await run.finalContent(), told);
}

async function withAI(model, providerOptions) {
  check("generateText", (await generateText({ model, prompt: "hi" })).text, echo);
  let text = "";
  for await (const piece of streamText({ model, prompt: "hi" }).textStream) text += piece;
  check("streamText", text, echo);
  const tools = { get_weather: tool({ description: "weather", inputSchema: z.object({ city: z.string() }), execute: ({ city }) => `sunny in ${city}` }) };
  const asked = { model, tools, prompt: "weather?", stopWhen: stepCountIs(3) };
  check("generateText with a tool, to its end", (await generateText(asked)).text, told);
  check("streamText with a tool, to its end", await streamText(asked).text, told);
  check("generateObject", (await generateObject({ model, schema: Town, prompt: "JSON" })).object, paris);
  check("a system's word and a history", (await generateText({ model, system: "be brief", messages: [{ role: "user", content: "a" }, { role: "assistant", content: "b" }, { role: "user", content: "hi" }], providerOptions })).text, echo);
}

const openai = createOpenAI({ baseURL, apiKey: "none" });
const compatible = createOpenAICompatible({ name: "loopserve", baseURL, apiKey: "none", supportsStructuredOutputs: true });
for (const [name, run] of [
  ["openai", withOpenAI],
  ["@ai-sdk/openai", () => withAI(openai("actor"), { openai: { store: false, instructions: "x" } })],
  ["@ai-sdk/openai", () => withAI(openai.chat("actor"))],
  ["@ai-sdk/openai-compatible", () => withAI(compatible("actor"))],
]) {
  console.log(name, version(name));
  await run();
}
console.log("all as expected");

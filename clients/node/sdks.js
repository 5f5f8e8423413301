// The SDKs behind one face, so that a conversation is written once and held through each of them, unmodified.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

export const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
};
const FUNCTION = { name: "get_weather", description: "Weather of a city" };
const CLIENT = { apiKey: "client-key", maxRetries: 0, timeout: 20_000 };
const OPENAI_ERRORS = {
  400: OpenAI.BadRequestError,
  401: OpenAI.AuthenticationError,
  403: OpenAI.PermissionDeniedError,
  404: OpenAI.NotFoundError,
  422: OpenAI.UnprocessableEntityError,
  429: OpenAI.RateLimitError,
  500: OpenAI.InternalServerError,
};

// An object without what the SDK has added to an answer and the API does not take, and without nulls.
const without = (object, ...names) =>
  Object.fromEntries(Object.entries(object).filter(([name, value]) => value !== null && !names.includes(name)));

class OpenAiChat {
  static label = "openai chat";
  errors = OPENAI_ERRORS;
  error = OpenAI.OpenAIError;
  history = [];

  constructor(url) {
    this.client = new OpenAI({ baseURL: `${url}/v1`, ...CLIENT });
  }

  user(text, image) {
    const url = `data:image/png;base64,${PIXEL}`;
    const parts = [{ type: "text", text }, { type: "image_url", image_url: { url } }];
    this.history.push({ role: "user", content: image ? parts : text });
  }

  async turn(model, stream, { tools, thinking, shape } = {}) {
    const json_schema = { name: "forecast", schema: SCHEMA, strict: true };
    const options = {
      model,
      messages: this.history,
      ...(tools && { tools: [{ type: "function", function: { ...FUNCTION, parameters: SCHEMA } }] }),
      ...(thinking && { reasoning_effort: "low" }),
      ...(shape && { response_format: { type: "json_schema", json_schema } }),
    };
    let shown = "";
    let answer;
    if (stream) {
      const events = this.client.chat.completions.stream(options);
      events.on("chunk", (chunk) => (shown += chunk.choices[0]?.delta?.reasoning_content ?? ""));
      answer = await events.finalChatCompletion();
    } else {
      answer = await this.client.chat.completions.create(options);
    }
    const { message } = answer.choices[0];
    if (!stream) shown = message.reasoning_content ?? "";
    const said = without(message, "parsed", "annotations");
    if (said.tool_calls)
      said.tool_calls = said.tool_calls.map((call) => ({
        ...without(call, "index"),
        function: without(call.function, "parsed_arguments"),
      }));
    this.history.push(said);
    const calls = (message.tool_calls ?? []).map(({ id, function: { name, arguments: text } }) => ({
      id,
      name,
      input: JSON.parse(text),
    }));
    return { text: message.content ?? "", calls, thinking: shown };
  }

  results(calls, texts) {
    calls.forEach(({ id }, at) => this.history.push({ role: "tool", tool_call_id: id, content: texts[at] }));
  }
}

class OpenAiResponses extends OpenAiChat {
  static label = "openai responses";

  user(text, image) {
    const picture = { type: "input_image", image_url: `data:image/png;base64,${PIXEL}`, detail: "auto" };
    const content = [{ type: "input_text", text }, ...(image ? [picture] : [])];
    this.history.push({ type: "message", role: "user", content });
  }

  async turn(model, stream, { tools, thinking, shape } = {}) {
    const options = {
      model,
      input: this.history,
      store: false,
      ...(tools && { tools: [{ type: "function", ...FUNCTION, parameters: SCHEMA, strict: true }] }),
      ...(thinking && {
        reasoning: { effort: "low", summary: "auto" },
        include: ["reasoning.encrypted_content"],
      }),
      ...(shape && { text: { format: { type: "json_schema", name: "forecast", schema: SCHEMA, strict: true } } }),
    };
    const answer = stream
      ? await this.client.responses.stream(options).finalResponse()
      : await this.client.responses.create(options);
    for (const item of answer.output) {
      const said = without(item, "parsed_arguments");
      if (said.type === "message") said.content = said.content.map((part) => without(part, "parsed"));
      this.history.push(said);
    }
    const of = (type) => answer.output.filter((item) => item.type === type);
    return {
      text: answer.output_text,
      calls: of("function_call").map(({ call_id, name, arguments: text }) => ({
        id: call_id,
        name,
        input: JSON.parse(text),
      })),
      thinking: of("reasoning").flatMap(({ summary }) => summary.map(({ text }) => text)).join(""),
    };
  }

  results(calls, texts) {
    calls.forEach(({ id }, at) =>
      this.history.push({ type: "function_call_output", call_id: id, output: texts[at] }),
    );
  }
}

class AnthropicMessages {
  static label = "anthropic";
  errors = {
    400: Anthropic.BadRequestError,
    401: Anthropic.AuthenticationError,
    403: Anthropic.PermissionDeniedError,
    404: Anthropic.NotFoundError,
    422: Anthropic.UnprocessableEntityError,
    429: Anthropic.RateLimitError,
    500: Anthropic.InternalServerError,
    529: Anthropic.InternalServerError,
  };
  error = Anthropic.AnthropicError;
  history = [];

  constructor(url) {
    this.client = new Anthropic({ baseURL: url, ...CLIENT });
  }

  user(text, image) {
    const source = { type: "base64", media_type: "image/png", data: PIXEL };
    this.history.push({ role: "user", content: image ? [{ type: "image", source }, { type: "text", text }] : text });
  }

  async turn(model, stream, { tools, thinking, shape } = {}) {
    const options = {
      model,
      max_tokens: 4096,
      messages: this.history,
      ...(tools && { tools: [{ ...FUNCTION, input_schema: SCHEMA }] }),
      ...(thinking && { thinking: { type: "enabled", budget_tokens: 1024 } }),
      ...(shape && { output_config: { format: { type: "json_schema", schema: SCHEMA } } }),
    };
    const answer = stream
      ? await this.client.messages.stream(options).finalMessage()
      : await this.client.messages.create(options);
    this.history.push({ role: "assistant", content: answer.content.map((block) => without(block, "parsed_output")) });
    const of = (type) => answer.content.filter((block) => block.type === type);
    return {
      text: of("text").map(({ text }) => text).join(""),
      calls: of("tool_use").map(({ id, name, input }) => ({ id, name, input })),
      thinking: of("thinking").map((block) => block.thinking).join(""),
    };
  }

  results(calls, texts) {
    const content = calls.map(({ id }, at) => ({ type: "tool_result", tool_use_id: id, content: texts[at] }));
    this.history.push({ role: "user", content });
  }
}

export const ALL = [OpenAiChat, OpenAiResponses, AnthropicMessages];

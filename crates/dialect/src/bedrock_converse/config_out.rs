//! Writing what is asked of the answer: `inferenceConfig`, `outputConfig`, and what only some models take, in
//! `additionalModelRequestFields`.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InferenceConfiguration.html>

use super::models::Maker;
use crate::anthropic_messages::DEFAULT_MAX_TOKENS;
use crate::chat::{ChatRequest, Json, ResponseFormat, Thinking, effort_of_budget};
use crate::claude::{self, Sampling, Thought};
use crate::dialect::DialectId;
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::names;
use crate::turns::Conversation;

/// Fields of Messages that go to Anthropic's models as they came, under `thinking`.
const INNER_THINKING: &str = "thinking.";

/// What the three places hold, as they depend on one another.
#[derive(Debug, Default)]
struct Wanted<'r> {
    max_tokens: Option<u64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    effort: Option<&'r str>,
    additional: Option<Json>,
}

pub(super) fn write(
    request: &ChatRequest,
    conversation: &Conversation<'_>,
    maker: Maker,
    loss: &mut Loss,
    out: &mut Writer<'_>,
) {
    let wanted = match maker {
        Maker::Claude => of_claude(request, conversation, loss),
        Maker::Nova | Maker::Nova2 => of_nova(request, maker, loss),
        Maker::GptOss | Maker::Other | Maker::Opaque => of_others(request, maker, loss),
    };
    inference(request, &wanted, maker, loss, out);
    output(request, wanted.effort, loss, out);
    if let Some(json) = wanted.additional.filter(|json| !json.is_void()) {
        out.json_field("additionalModelRequestFields", &json);
    }
}

fn lose(request: &ChatRequest, field: &'static str, reason: Reason, loss: &mut Loss) {
    loss.add(names::field(request.source, field), reason);
}

fn inference(
    request: &ChatRequest,
    wanted: &Wanted<'_>,
    maker: Maker,
    loss: &mut Loss,
    out: &mut Writer<'_>,
) {
    // Some models refuse stop texts of white space only, all refuse empty ones.
    let is_sent = |stop: &&String| {
        if maker.may_be_claude() { !stop.trim().is_empty() } else { !stop.is_empty() }
    };
    if request.stop.iter().any(|stop| !is_sent(&stop)) {
        lose(request, "stop", Reason::Refused, loss);
    }
    let config = Json::object(|out| {
        out.optional_count("maxTokens", wanted.max_tokens);
        out.number_field("temperature", wanted.temperature);
        out.number_field("topP", wanted.top_p);
        if request.stop.iter().any(|stop| is_sent(&stop)) {
            out.key("stopSequences").list(|out| {
                request.stop.iter().filter(is_sent).for_each(|stop| out.string(stop));
            });
        }
    });
    if let Some(config) = config.filter(|config| !config.is_void()) {
        out.json_field("inferenceConfig", &config);
    }
}

fn output(request: &ChatRequest, effort: Option<&str>, loss: &mut Loss, out: &mut Writer<'_>) {
    let config = Json::object(|out| {
        match &request.response_format {
            None | Some(ResponseFormat::Text) => {}
            Some(ResponseFormat::JsonObject | ResponseFormat::JsonSchema { schema: None, .. }) => {
                lose(request, "format", Reason::NoPlace, loss);
            }
            Some(ResponseFormat::JsonSchema { name, description, schema: Some(schema), .. }) => {
                out.key("textFormat").object(|out| {
                    out.text_field("type", "json_schema");
                    out.key("structure").object(|out| {
                        out.key("jsonSchema").object(|out| {
                            out.text_field("schema", schema.get());
                            out.optional_text("name", name.as_deref());
                            out.optional_text("description", description.as_deref());
                        });
                    });
                });
            }
        }
        out.optional_text("effort", effort);
    });
    if let Some(config) = config.filter(|config| !config.is_void()) {
        out.json_field("outputConfig", &config);
    }
}

/// Anthropic's models, as their own API has it.
fn of_claude<'r>(request: &'r ChatRequest, conversation: &Conversation<'_>, loss: &mut Loss) -> Wanted<'r> {
    // A client of their own API knows its model: what it says of thinking and sampling stays.
    let is_own = request.source == Some(DialectId::AnthropicMessages);
    let Thought { thinking, effort } = if is_own {
        Thought { thinking: request.thinking.clone(), effort: None }
    } else {
        claude::thought(request, conversation, loss)
    };
    let thinks = matches!(thinking, Some(Thinking::Adaptive | Thinking::Budget(_)));
    if thinking.is_none() && request.summary.is_some() {
        lose(request, "summary", Reason::Refused, loss);
    }
    let Sampling { temperature, top_p, top_k } = if is_own {
        Sampling { temperature: request.temperature, top_p: request.top_p, top_k: request.top_k }
    } else {
        claude::sampling(request, thinks, loss)
    };
    let additional = Json::object(|out| {
        out.optional_count("top_k", top_k);
        if let Some(thinking) = &thinking {
            write_thinking(request, thinking, is_own, out);
        }
    });
    let max_tokens = match (request.max_tokens, &thinking) {
        (None, Some(Thinking::Budget(tokens))) => Some(DEFAULT_MAX_TOKENS.saturating_add(*tokens)),
        (limit, _) => limit,
    };
    let effort = if is_own { request.effort.as_deref() } else { effort };
    Wanted { max_tokens, temperature, top_p, effort, additional }
}

fn write_thinking(request: &ChatRequest, thinking: &Thinking, is_own: bool, out: &mut Writer<'_>) {
    out.key("thinking").object(|out| {
        match thinking {
            Thinking::Disabled => out.text_field("type", "disabled"),
            Thinking::Adaptive => out.text_field("type", "adaptive"),
            Thinking::Budget(tokens) => {
                out.text_field("type", "enabled");
                out.key("budget_tokens").count(*tokens);
            }
        }
        if is_own {
            request.extra.write_inner(INNER_THINKING, out);
        } else if request.summary.is_some() && *thinking == Thinking::Adaptive {
            // Newer models show no thinking unless they are asked to.
            out.text_field("display", "summarized");
        }
    });
}

/// The fields of the client's dialect that were written.
pub(super) fn is_written(request: &ChatRequest, maker: Maker, field: &str) -> bool {
    maker == Maker::Claude
        && request.source == Some(DialectId::AnthropicMessages)
        && request.thinking.is_some()
        && field.starts_with(INNER_THINKING)
}

/// Amazon's models: <https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html>.
fn of_nova<'r>(request: &'r ChatRequest, maker: Maker, loss: &mut Loss) -> Wanted<'r> {
    let (temperature, top_p) = capped(request, loss);
    let wish = match maker {
        Maker::Nova2 => word(request, loss),
        _ => {
            refuse_thinking(request, Reason::Refused, loss);
            None
        }
    };
    let is_limited = request.max_tokens.is_some() || temperature.is_some() || top_p.is_some();
    let wish = match wish {
        // Refused beside any of them.
        Some("high") if is_limited => {
            lose(request, wish_name(request), Reason::Nearest, loss);
            Some("medium")
        }
        wish => wish,
    };
    let additional = Json::object(|out| {
        if let Some(top_k) = request.top_k {
            out.key("inferenceConfig").object(|out| out.key("topK").count(top_k));
        }
        if let Some(word) = wish {
            out.key("reasoningConfig").object(|out| {
                out.text_field("type", if word == "none" { "disabled" } else { "enabled" });
                out.optional_text("maxReasoningEffort", Some(word).filter(|word| *word != "none"));
            });
        }
    });
    Wanted { max_tokens: request.max_tokens, temperature, top_p, effort: None, additional }
}

fn of_others<'r>(request: &'r ChatRequest, maker: Maker, loss: &mut Loss) -> Wanted<'r> {
    let (temperature, top_p) = capped(request, loss);
    if request.top_k.is_some() {
        lose(request, "top_k", Reason::NoPlace, loss);
    }
    let wish = if maker == Maker::GptOss {
        word(request, loss)
    } else {
        refuse_thinking(request, Reason::NoPlace, loss);
        None
    };
    let additional = Json::object(|out| match wish {
        Some("none") => lose(request, wish_name(request), Reason::NoPlace, loss),
        word => out.optional_text("reasoning_effort", word),
    });
    Wanted { max_tokens: request.max_tokens, temperature, top_p, effort: None, additional }
}

/// The API takes temperatures up to 1, which mean the same in all dialects.
fn capped(request: &ChatRequest, loss: &mut Loss) -> (Option<f64>, Option<f64>) {
    if request.temperature.is_some_and(|temperature| temperature > 1.0) {
        lose(request, "temperature", Reason::Limit, loss);
    }
    (request.temperature.map(|temperature| temperature.min(1.0)), request.top_p)
}

fn wish_name(request: &ChatRequest) -> &'static str {
    if request.effort.is_some() { "effort" } else { "thinking" }
}

/// How hard to think in a word, for models that know three.
fn word(request: &ChatRequest, loss: &mut Loss) -> Option<&'static str> {
    match (request.effort.as_deref(), &request.thinking) {
        (Some("none"), _) | (None, Some(Thinking::Disabled)) => Some("none"),
        (Some("minimal" | "low"), _) => Some("low"),
        (Some("medium"), _) => Some("medium"),
        (Some("high"), _) => Some("high"),
        (Some(_), _) => {
            lose(request, "effort", Reason::Nearest, loss);
            Some("high")
        }
        (None, Some(Thinking::Budget(tokens))) => {
            lose(request, "thinking.budget", Reason::Nearest, loss);
            Some(effort_of_budget(*tokens))
        }
        (None, Some(Thinking::Adaptive) | None) => None,
    }
}

/// The model does not think, or nobody knows how to ask it to.
fn refuse_thinking(request: &ChatRequest, reason: Reason, loss: &mut Loss) {
    for (name, is_set) in [
        ("effort", request.effort.as_deref().is_some_and(|word| word != "none")),
        ("thinking", matches!(request.thinking, Some(Thinking::Adaptive | Thinking::Budget(_)))),
        ("summary", request.summary.is_some()),
    ] {
        if is_set {
            lose(request, name, reason, loss);
        }
    }
}

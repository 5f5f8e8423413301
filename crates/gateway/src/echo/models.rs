//! What models refuse by their families, whichever API serves them, as far as their makers say it.

use serde_json::Value;

use super::ask::Choice;

/// What a request to one of Anthropic's models says, wherever its API has it.
pub(super) struct Asked<'a> {
    pub(super) model: &'a str,
    pub(super) thinking: &'a Value,
    pub(super) max_tokens: &'a Value,
    pub(super) temperature: &'a Value,
    pub(super) top_p: &'a Value,
    pub(super) top_k: &'a Value,
    pub(super) choice: &'a Choice,
    /// JSON Schema of the answer.
    pub(super) schema: Option<&'a Value>,
}

/// The version by the name, such as 407 for `claude-opus-4-7`; `None` for other makers' models.
fn version(model: &str) -> Option<u32> {
    let (_, name) = model.split_once("claude-")?;
    let words = name.split(['-', '.', '@', ':']).filter_map(|word| word.parse::<u32>().ok());
    let mut numbers = words.filter(|number| *number < 100);
    Some(numbers.next().unwrap_or(99) * 100 + numbers.next().unwrap_or(0))
}

/// <https://platform.claude.com/docs/en/build-with-claude/extended-thinking>
pub(super) fn check(asked: &Asked<'_>) -> Result<(), String> {
    let version = version(asked.model);
    let refuse = |message: &str| Err(message.to_owned());
    let kind = asked.thinking["type"].as_str();
    let thinks = matches!(kind, Some("enabled" | "adaptive"));
    match kind {
        Some("enabled") if version.is_some_and(|version| version >= 407) => {
            return refuse(
                "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \
                 \"output_config.effort\" to control thinking behavior.",
            );
        }
        Some("adaptive") if version.is_some_and(|version| version <= 405) => {
            return refuse("adaptive thinking is not supported on this model");
        }
        Some("enabled") => {
            let budget = asked.thinking["budget_tokens"].as_u64().unwrap_or(0);
            if budget < 1024 {
                return refuse(
                    "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
                );
            }
            if asked.max_tokens.as_u64().is_some_and(|most| most <= budget) {
                return refuse("`max_tokens` must be greater than `thinking.budget_tokens`.");
            }
        }
        None | Some("disabled" | "adaptive" | "between_tools") => {}
        Some(_) => return refuse("thinking.type: Input should be 'enabled', 'disabled' or 'adaptive'"),
    }
    if thinks && matches!(asked.choice, Choice::Any | Choice::Named(_)) {
        return refuse("Thinking may not be enabled when tool_choice forces tool use.");
    }
    let is_new = version.is_some_and(|version| version >= 407);
    for (name, value) in [("temperature", asked.temperature), ("top_p", asked.top_p), ("top_k", asked.top_k)]
    {
        let is_default = value.is_null() || (name != "top_k" && value.as_f64() == Some(1.0));
        // While it thinks, the API takes a `top_p` near its end.
        let is_near = name == "top_p" && value.as_f64().is_some_and(|value| value >= 0.95);
        if is_new && !is_default {
            return Err(format!("`{name}` is deprecated for this model."));
        }
        if thinks && !is_default && !is_near {
            return Err(format!("`{name}` may only be set to 1 when thinking is enabled."));
        }
    }
    asked.schema.map_or(Ok(()), |schema| check_schema(schema, 0))
}

/// <https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations>
pub(super) fn check_schema(schema: &Value, depth: usize) -> Result<(), String> {
    const REFUSED: [&str; 9] = [
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "oneOf",
    ];
    let Some(fields) = schema.as_object().filter(|_| depth < 64) else { return Ok(()) };
    let at = "output_config.format.schema";
    let kind = &schema["type"];
    let is_object =
        kind == "object" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "object"));
    if is_object && schema["additionalProperties"] != false {
        return Err(format!(
            "{at}: For 'object' type, 'additionalProperties' must be explicitly set to false"
        ));
    }
    if let Some(word) = REFUSED.iter().find(|word| fields.contains_key(**word)) {
        return Err(format!("{at}: property '{word}' is not supported"));
    }
    let named = ["properties", "$defs"]
        .into_iter()
        .filter_map(|key| schema[key].as_object())
        .flat_map(|all| all.values());
    let listed = ["anyOf", "allOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
    named.chain(listed).chain([&schema["items"]]).try_for_each(|inner| check_schema(inner, depth + 1))
}

/// What one of OpenAI's models that think does not take beside its effort: the field.
/// <https://platform.openai.com/docs/guides/latest-model>
pub(super) fn refused_by_thinker<'f>(
    model: &str,
    effort: Option<&str>,
    body: &Value,
    fields: &[&'f str],
) -> Option<&'f str> {
    let is_old = ["o1", "o3", "o4"].iter().any(|line| model.starts_with(line));
    let minor = model.strip_prefix("gpt-5").filter(|rest| !rest.contains("chat")).map(|rest| {
        let digits: String = rest.trim_start_matches('.').chars().take_while(char::is_ascii_digit).collect();
        if rest.starts_with('.') { digits.parse::<u32>().unwrap_or(0) } else { 0 }
    });
    if !is_old && minor.is_none() {
        return None;
    }
    let is_idle = match effort {
        Some(word) => word == "none",
        None => {
            minor.is_some_and(|minor| (1..=4).contains(&minor))
                && !model.contains("-pro")
                && !model.contains("-codex")
        }
    };
    fields.iter().copied().find(|field| {
        let value = &body[*field];
        let is_default = match *field {
            "temperature" | "top_p" => value.is_null() || value.as_f64() == Some(1.0) || is_idle,
            "logprobs" => value != true || is_idle,
            "top_logprobs" => value.is_null() || value == 0 || is_idle,
            "stop" => value.is_null(),
            _ => value.is_null() || value.as_f64() == Some(0.0),
        };
        !is_default
    })
}

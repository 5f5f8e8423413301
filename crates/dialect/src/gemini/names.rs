//! What this dialect calls the fields whose loss is named in [`crate::names`].

/// Fields of a request.
const FIELDS: &[(&str, &str)] = &[
    ("choices", "generationConfig.candidateCount"),
    ("effort", "generationConfig.thinkingConfig.thinkingLevel"),
    ("format", "generationConfig.responseMimeType"),
    ("format.schema", "generationConfig.responseSchema"),
    ("frequency_penalty", "generationConfig.frequencyPenalty"),
    ("logprobs", "generationConfig.responseLogprobs"),
    ("max_tokens", "generationConfig.maxOutputTokens"),
    ("presence_penalty", "generationConfig.presencePenalty"),
    ("seed", "generationConfig.seed"),
    ("service_tier", "serviceTier"),
    ("stop", "generationConfig.stopSequences"),
    ("summary", "generationConfig.thinkingConfig.includeThoughts"),
    ("system", "systemInstruction"),
    ("temperature", "generationConfig.temperature"),
    ("thinking", "generationConfig.thinkingConfig.thinkingBudget"),
    ("thinking.budget", "generationConfig.thinkingConfig.thinkingBudget"),
    ("tool_choice", "toolConfig.functionCallingConfig"),
    ("top_k", "generationConfig.topK"),
    ("top_logprobs", "generationConfig.logprobs"),
    ("top_p", "generationConfig.topP"),
];

/// Parts of a message, under the message.
const PARTS: &[(&str, &str)] = &[
    ("annotations", "groundingMetadata"),
    ("audio", "parts[].inlineData"),
    ("audio.format", "parts[].inlineData.mimeType"),
    ("call", "parts[].functionCall"),
    ("call.arguments", "parts[].functionCall.args"),
    ("call.id", "parts[].functionCall.id"),
    ("file", "parts[].fileData"),
    ("image", "parts[].inlineData"),
    ("logprobs", "logprobsResult"),
    ("made_image", "parts[].inlineData"),
    ("reasoning", "parts[].thought"),
    ("result", "parts[].functionResponse"),
    ("result.error", "parts[].functionResponse.response.error"),
    ("result.image", "parts[].functionResponse.parts"),
    ("seal", "parts[].thoughtSignature"),
    ("text", "parts[].text"),
];

pub(crate) fn field(name: &'static str) -> &'static str {
    word(FIELDS, name)
}

pub(crate) fn part(name: &'static str) -> &'static str {
    word(PARTS, name)
}

fn word(table: &[(&'static str, &'static str)], name: &'static str) -> &'static str {
    table.iter().find(|(key, _)| *key == name).map_or(name, |(_, word)| word)
}

//! Reading `generationConfig`: <https://ai.google.dev/api/generate-content#generationconfig>.

use crate::json::Raw;

use super::{keys, schema};
use crate::chat::{ChatRequest, Json, ResponseFormat, Thinking};
use crate::json::{Fault, Node, Path};

/// What stands before the names of fields that ride along.
pub(super) const INNER: &str = "generationConfig.";
pub(super) const INNER_THINKING: &str = "generationConfig.thinkingConfig.";

pub(super) fn read(node: Node<'_, '_>, path: &Path<'_>, request: &mut ChatRequest) -> Result<(), Fault> {
    let mut format = Format::default();
    for (key, raw) in keys::fields(node)?.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "temperature" => request.temperature = node.optional(Node::number)?,
            "topP" => request.top_p = node.optional(Node::number)?,
            "topK" => request.top_k = node.optional(Node::count)?,
            "maxOutputTokens" => request.max_tokens = node.optional(Node::count)?,
            "stopSequences" => request.stop = node.optional(Node::strings)?.unwrap_or_default(),
            "candidateCount" => request.choices = node.optional(Node::count)?,
            "seed" => request.seed = node.optional(Node::integer)?,
            "presencePenalty" => request.presence_penalty = node.optional(Node::number)?,
            "frequencyPenalty" => request.frequency_penalty = node.optional(Node::number)?,
            "responseLogprobs" => request.logprobs = node.optional(Node::boolean)?,
            "logprobs" => request.top_logprobs = node.optional(Node::count)?,
            "thinkingConfig" => {
                node.optional(|node| thinking(node, &path, request))?;
            }
            "responseMimeType" => {
                format.media_type = node.optional(Node::string)?.map(|word| (word, node.json()))
            }
            "responseSchema" => format.subset = node.optional(|node| node.fields().map(|_| raw))?,
            "responseJsonSchema" => format.schema = node.optional(|node| node.fields().map(|_| raw))?,
            _ => request.extra.keep(&format!("{INNER}{key}"), node.json()),
        }
    }
    format.put(request);
    Ok(())
}

/// The fields that together say what the answer has to look like.
#[derive(Default)]
struct Format<'a> {
    media_type: Option<(String, Json)>,
    subset: Option<Raw<'a>>,
    schema: Option<Raw<'a>>,
}

impl Format<'_> {
    fn put(self, request: &mut ChatRequest) {
        let schema =
            self.schema.map(Json::from_raw).or_else(|| Some(schema::of_subset(Json::from_raw(self.subset?))));
        let word = self.media_type.as_ref().map(|(word, _)| word.as_str());
        request.response_format = match (word, schema) {
            (None, None) => None,
            (None | Some("application/json"), schema @ Some(_)) => {
                Some(ResponseFormat::JsonSchema { name: None, description: None, schema, strict: None })
            }
            (Some("application/json"), None) => Some(ResponseFormat::JsonObject),
            (Some("text/plain"), None) => Some(ResponseFormat::Text),
            // Such as one word of a list.
            (Some(_), _) => {
                for (name, json) in [
                    ("responseMimeType", self.media_type.map(|(_, json)| json)),
                    ("responseSchema", self.subset.map(Json::from_raw)),
                    ("responseJsonSchema", self.schema.map(Json::from_raw)),
                ] {
                    json.into_iter().for_each(|json| request.extra.keep(&format!("{INNER}{name}"), json));
                }
                None
            }
        };
    }
}

fn thinking(node: Node<'_, '_>, path: &Path<'_>, request: &mut ChatRequest) -> Result<(), Fault> {
    for (key, raw) in keys::fields(node)?.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "thinkingBudget" => {
                request.thinking = node.optional(Node::integer)?.map(|tokens| match u64::try_from(tokens) {
                    Ok(0) => Thinking::Disabled,
                    Ok(tokens) => Thinking::Budget(tokens),
                    Err(_) => Thinking::Adaptive,
                });
            }
            "thinkingLevel" => {
                let word = node.optional(Node::string)?.map(|word| word.to_ascii_lowercase());
                request.effort = word.filter(|word| word != "thinking_level_unspecified");
            }
            "includeThoughts" => {
                let is_wanted = node.optional(Node::boolean)? == Some(true);
                request.summary = is_wanted.then(|| "auto".to_owned());
            }
            _ => request.extra.keep(&format!("{INNER_THINKING}{key}"), node.json()),
        }
    }
    Ok(())
}

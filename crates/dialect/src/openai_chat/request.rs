//! Reading a request: <https://platform.openai.com/docs/api-reference/chat/create>.

use super::message;
use crate::chat::{ChatRequest, CustomFormat, CustomTool, Function, ResponseFormat, Tool, ToolChoice};
use crate::dialect::DialectId;
use crate::json::{Fault, Fields, Node, Path};
use crate::openai_choice;

pub(super) fn decode(body: &[u8]) -> Result<ChatRequest, Fault> {
    let root = Path::Root;
    let mut request = ChatRequest { source: Some(DialectId::OpenAiChat), ..ChatRequest::default() };
    let mut has_messages = false;
    for (key, raw) in Fields::of_body(body)?.0 {
        let path = root.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "model" => request.model = node.optional(Node::string)?.unwrap_or_default(),
            "messages" => {
                has_messages = true;
                request.messages = message::list(node, &path)?;
            }
            "tools" => request.tools = node.optional(|node| tools(node, &path))?.unwrap_or_default(),
            "tool_choice" => request.tool_choice = node.optional(|node| tool_choice(node, &path))?,
            "parallel_tool_calls" => request.parallel_tool_calls = node.optional(Node::boolean)?,
            "max_completion_tokens" => {
                // The newer of the two names wins, whichever stands first.
                request.max_tokens = node.optional(Node::count)?.or(request.max_tokens);
            }
            "max_tokens" => {
                let limit = node.optional(Node::count)?;
                request.max_tokens = request.max_tokens.or(limit);
            }
            "temperature" => request.temperature = node.optional(Node::number)?,
            "top_p" => request.top_p = node.optional(Node::number)?,
            "top_k" => request.top_k = node.optional(Node::count)?,
            "frequency_penalty" => request.frequency_penalty = node.optional(Node::number)?,
            "presence_penalty" => request.presence_penalty = node.optional(Node::number)?,
            "seed" => request.seed = node.optional(Node::integer)?,
            "stop" => request.stop = node.optional(stop)?.unwrap_or_default(),
            "n" => request.choices = node.optional(Node::count)?,
            "stream" => request.stream = node.optional(Node::boolean)?.unwrap_or(false),
            "stream_options" => stream_options(node, &path, &mut request)?,
            "response_format" => match node.optional(|node| response_format(node, &path))? {
                Some(Some(format)) => request.response_format = Some(format),
                Some(None) => request.extra.keep(&key, node.json()),
                None => {}
            },
            "logprobs" => request.logprobs = node.optional(Node::boolean)?,
            "top_logprobs" => request.top_logprobs = node.optional(Node::count)?,
            "reasoning_effort" => request.effort = node.optional(Node::string)?,
            "verbosity" => request.verbosity = node.optional(Node::string)?,
            "service_tier" => request.service_tier = node.optional(Node::string)?,
            "store" => request.state.store = node.optional(Node::boolean)?,
            "metadata" => request.metadata = node.optional(|node| node.fields().map(|_| node.json()))?,
            "user" => request.user = node.optional(Node::string)?,
            "safety_identifier" => request.safety_identifier = node.optional(Node::string)?,
            "prompt_cache_key" => request.prompt_cache_key = node.optional(Node::string)?,
            "prompt_cache_retention" => request.prompt_cache_retention = node.optional(Node::string)?,
            _ => request.extra.keep(&key, node.json()),
        }
    }
    if has_messages { Ok(request) } else { Err(root.missing("messages")) }
}

fn stop(node: Node<'_, '_>) -> Result<Vec<String>, Fault> {
    match node.first_byte() {
        b'"' => Ok(vec![node.string()?]),
        b'[' => node.strings(),
        _ => Err(node.expected("a string or a list of strings")),
    }
}

fn stream_options(node: Node<'_, '_>, path: &Path<'_>, request: &mut ChatRequest) -> Result<(), Fault> {
    for (key, raw) in node.optional(Node::fields)?.unwrap_or_default().0 {
        let node = Node::new(raw, path);
        match key.as_ref() {
            "include_usage" => {
                let path = path.key(&key);
                request.include_usage = Node::new(raw, &path).optional(Node::boolean)?.unwrap_or(false);
            }
            _ => request.extra.keep(&format!("stream_options.{key}"), node.json()),
        }
    }
    Ok(())
}

/// `None` for a type that is not known.
fn response_format(node: Node<'_, '_>, path: &Path<'_>) -> Result<Option<ResponseFormat>, Fault> {
    let fields = node.fields()?;
    Ok(match fields.string("type", path)?.as_str() {
        "text" => Some(ResponseFormat::Text),
        "json_object" => Some(ResponseFormat::JsonObject),
        "json_schema" => {
            let path = path.key("json_schema");
            let raw = fields.get("json_schema").ok_or_else(|| path.fault("missing field `json_schema`"))?;
            let (mut name, mut description, mut schema, mut strict) = (None, None, None, None);
            for (key, raw) in Node::new(raw, &path).fields()?.0 {
                let path = path.key(&key);
                let node = Node::new(raw, &path);
                match key.as_ref() {
                    "name" => name = node.optional(Node::string)?,
                    "description" => description = node.optional(Node::string)?,
                    "schema" => schema = node.optional(|node| node.fields().map(|_| node.json()))?,
                    "strict" => strict = node.optional(Node::boolean)?,
                    _ => {}
                }
            }
            Some(ResponseFormat::JsonSchema { name, description, schema, strict })
        }
        _ => None,
    })
}

fn tools(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Tool>, Fault> {
    let mut tools = Vec::new();
    for (position, raw) in node.list()?.into_iter().enumerate() {
        let path = path.index(position);
        let node = Node::new(raw, &path);
        let fields = node.fields()?;
        let kind = fields
            .get("type")
            .map_or_else(|| Ok("function".to_owned()), |raw| Node::new(raw, &path.key("type")).string())?;
        tools.push(match kind.as_str() {
            "function" => Tool::Function(function(fields, &path)?),
            "custom" => Tool::Custom(custom(fields, &path)?),
            _ => Tool::Other { kind, json: node.json() },
        });
    }
    Ok(tools)
}

fn function(tool: Fields<'_>, path: &Path<'_>) -> Result<Function, Fault> {
    let mut function = Function::default();
    let mut inner = None;
    for (key, raw) in tool.0 {
        match key.as_ref() {
            "type" => {}
            "function" => inner = Some(raw),
            "cache_control" => {
                function.cache_control = Node::new(raw, path).optional(|node| Ok(node.json()))?
            }
            _ => function.extra.keep(&key, Node::new(raw, path).json()),
        }
    }
    let path = path.key("function");
    let inner = inner.ok_or_else(|| path.fault("missing field `function`"))?;
    for (key, raw) in Node::new(inner, &path).fields()?.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "name" => function.name = node.string()?,
            "description" => function.description = node.optional(Node::string)?,
            "parameters" => {
                function.parameters = node.optional(|node| node.fields().map(|_| node.json()))?;
            }
            "strict" => function.strict = node.optional(Node::boolean)?,
            _ => function.extra.keep(&format!("function.{key}"), node.json()),
        }
    }
    if function.name.is_empty() {
        return Err(path.key("name").fault("expected the function's name"));
    }
    Ok(function)
}

fn custom(tool: Fields<'_>, path: &Path<'_>) -> Result<CustomTool, Fault> {
    let mut custom = CustomTool::default();
    for (key, raw) in tool.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "type" => {}
            "custom" => {
                for (key, raw) in node.fields()?.0 {
                    let path = path.key(&key);
                    let node = Node::new(raw, &path);
                    match key.as_ref() {
                        "name" => custom.name = node.string()?,
                        "description" => custom.description = node.optional(Node::string)?,
                        "format" => {
                            custom.format = node.fields().ok().and_then(|format| custom_format(&format));
                            if custom.format.is_none() {
                                custom.extra.keep("custom.format", node.json());
                            }
                        }
                        _ => custom.extra.keep(&format!("custom.{key}"), node.json()),
                    }
                }
            }
            _ => custom.extra.keep(&key, node.json()),
        }
    }
    if custom.name.is_empty() {
        return Err(path.key("custom").fault("expected the tool with its name"));
    }
    Ok(custom)
}

fn custom_format(format: &Fields<'_>) -> Option<CustomFormat> {
    match format.text("type")?.as_str() {
        "grammar" => {
            let grammar = format.object("grammar")?;
            Some(CustomFormat::Grammar {
                syntax: grammar.text("syntax")?,
                definition: grammar.text("definition")?,
            })
        }
        "text" => Some(CustomFormat::Text),
        _ => None,
    }
}

fn tool_choice(node: Node<'_, '_>, path: &Path<'_>) -> Result<ToolChoice, Fault> {
    if node.first_byte() == b'"' {
        return openai_choice::word(node, path);
    }
    let fields = node.fields()?;
    let kind = fields.string("type", path)?;
    let path = path.key(&kind);
    let inner = || fields.get(&kind).ok_or_else(|| path.fault(format!("missing field `{kind}`")));
    Ok(match kind.as_str() {
        "function" => ToolChoice::Function(Node::new(inner()?, &path).fields()?.string("name", &path)?),
        "custom" => ToolChoice::Custom(Node::new(inner()?, &path).fields()?.string("name", &path)?),
        "allowed_tools" => openai_choice::allowed(&Node::new(inner()?, &path).fields()?, &path)?,
        _ => ToolChoice::Other(node.json()),
    })
}

//! Reading a request: <https://platform.openai.com/docs/api-reference/responses/create>.

use super::items;
use crate::chat::{
    ChatRequest, CustomFormat, CustomTool, Function, Message, Part, ResponseFormat, Role, Tool, ToolChoice,
};
use crate::dialect::DialectId;
use crate::json::{Fault, Fields, Node, Path};
use crate::openai_choice;

pub(super) fn decode(body: &[u8]) -> Result<ChatRequest, Fault> {
    let root = Path::Root;
    let mut request = ChatRequest {
        source: Some(DialectId::OpenAiResponses),
        // A stream of this dialect always tells.
        include_usage: true,
        ..ChatRequest::default()
    };
    let mut has_input = false;
    for (key, raw) in Fields::of_body(body)?.0 {
        let path = root.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "model" => request.model = node.optional(Node::string)?.unwrap_or_default(),
            "input" => {
                if let Some(messages) = node.optional(|node| input(node, &path))? {
                    has_input = true;
                    request.messages = messages;
                }
            }
            "instructions" => {
                request.system = node.optional(Node::string)?.map(Part::text).into_iter().collect();
            }
            "tools" => request.tools = node.optional(|node| tools(node, &path))?.unwrap_or_default(),
            "tool_choice" => request.tool_choice = node.optional(|node| tool_choice(node, &path))?,
            "parallel_tool_calls" => request.parallel_tool_calls = node.optional(Node::boolean)?,
            "max_output_tokens" => request.max_tokens = node.optional(Node::count)?,
            "temperature" => request.temperature = node.optional(Node::number)?,
            "top_p" => request.top_p = node.optional(Node::number)?,
            "top_logprobs" => request.top_logprobs = node.optional(Node::count)?,
            "stream" => request.stream = node.optional(Node::boolean)?.unwrap_or(false),
            "text" => {
                node.optional(|node| text(node, &path, &mut request))?;
            }
            "reasoning" => {
                node.optional(|node| reasoning(node, &path, &mut request))?;
            }
            "include" => request.include = node.optional(Node::strings)?.unwrap_or_default(),
            "service_tier" => request.service_tier = node.optional(Node::string)?,
            "metadata" => request.metadata = node.optional(|node| node.fields().map(|_| node.json()))?,
            "user" => request.user = node.optional(Node::string)?,
            "safety_identifier" => request.safety_identifier = node.optional(Node::string)?,
            "prompt_cache_key" => request.prompt_cache_key = node.optional(Node::string)?,
            "prompt_cache_retention" => request.prompt_cache_retention = node.optional(Node::string)?,
            "previous_response_id" => request.state.previous_response_id = node.optional(Node::string)?,
            "conversation" => request.state.conversation = node.optional(|node| Ok(node.json()))?,
            "store" => request.state.store = node.optional(Node::boolean)?,
            "background" => request.state.background = node.optional(Node::boolean)?,
            "truncation" => request.state.truncation = node.optional(Node::string)?,
            _ => request.extra.keep(&key, node.json()),
        }
    }
    let asks = request.include.iter().any(|wish| wish == "message.output_text.logprobs");
    request.logprobs = (asks || request.top_logprobs.is_some_and(|count| count > 0)).then_some(true);
    // What came before, or a prompt that the provider keeps, may be all there is.
    let is_elsewhere = request.state.previous_response_id.is_some()
        || request.state.conversation.is_some()
        || request.extra.get("prompt").is_some_and(|prompt| !prompt.is_void());
    if has_input || is_elsewhere { Ok(request) } else { Err(root.missing("input")) }
}

fn input(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Message>, Fault> {
    match node.first_byte() {
        b'"' => {
            let parts = vec![Part::text(node.string()?)];
            Ok(vec![Message { parts, ..Message::new(Role::User) }])
        }
        b'[' => items::list(node, path),
        _ => Err(node.expected("a string or a list of items")),
    }
}

fn text(node: Node<'_, '_>, path: &Path<'_>, request: &mut ChatRequest) -> Result<(), Fault> {
    for (key, raw) in node.fields()?.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "verbosity" => request.verbosity = node.optional(Node::string)?,
            "format" => match node.optional(|node| format(node, &path))? {
                Some(None) => request.extra.keep("text.format", node.json()),
                Some(format) => request.response_format = format,
                None => {}
            },
            _ => request.extra.keep(&format!("text.{key}"), node.json()),
        }
    }
    Ok(())
}

/// `None` for a type that is not known.
fn format(node: Node<'_, '_>, path: &Path<'_>) -> Result<Option<ResponseFormat>, Fault> {
    let fields = node.fields()?;
    Ok(match fields.string("type", path)?.as_str() {
        "text" => Some(ResponseFormat::Text),
        "json_object" => Some(ResponseFormat::JsonObject),
        "json_schema" => {
            let (mut name, mut description, mut schema, mut strict) = (None, None, None, None);
            for (key, raw) in fields.0 {
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

fn reasoning(node: Node<'_, '_>, path: &Path<'_>, request: &mut ChatRequest) -> Result<(), Fault> {
    for (key, raw) in node.fields()?.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "effort" => request.effort = node.optional(Node::string)?,
            "summary" => {
                if let Some(word) = node.optional(Node::string)? {
                    request.summary = Some(word);
                }
            }
            // Its older name.
            "generate_summary" => {
                let word = node.optional(Node::string)?;
                request.summary = request.summary.take().or(word);
            }
            _ => request.extra.keep(&format!("reasoning.{key}"), node.json()),
        }
    }
    Ok(())
}

fn tools(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Tool>, Fault> {
    let mut tools = Vec::new();
    for (position, raw) in node.list()?.into_iter().enumerate() {
        let path = path.index(position);
        let node = Node::new(raw, &path);
        let fields = node.fields()?;
        let kind = fields.string("type", &path)?;
        tools.push(match kind.as_str() {
            "function" => Tool::Function(function(fields, &path)?),
            "custom" => Tool::Custom(custom(fields, &path)?),
            _ => Tool::Other { kind, json: node.json() },
        });
    }
    Ok(tools)
}

fn function(fields: Fields<'_>, path: &Path<'_>) -> Result<Function, Fault> {
    let mut function = Function::default();
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "type" => {}
            "name" => function.name = node.string()?,
            "description" => function.description = node.optional(Node::string)?,
            "parameters" => {
                function.parameters = node.optional(|node| node.fields().map(|_| node.json()))?;
            }
            "strict" => function.strict = node.optional(Node::boolean)?,
            _ => function.extra.keep(&key, node.json()),
        }
    }
    if function.name.is_empty() {
        return Err(path.key("name").fault("expected the function's name"));
    }
    Ok(function)
}

fn custom(fields: Fields<'_>, path: &Path<'_>) -> Result<CustomTool, Fault> {
    let mut custom = CustomTool::default();
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "type" => {}
            "name" => custom.name = node.string()?,
            "description" => custom.description = node.optional(Node::string)?,
            "format" => {
                custom.format = node.fields().ok().and_then(|format| custom_format(&format));
                if custom.format.is_none() {
                    custom.extra.keep(&key, node.json());
                }
            }
            _ => custom.extra.keep(&key, node.json()),
        }
    }
    if custom.name.is_empty() {
        return Err(path.key("name").fault("expected the tool's name"));
    }
    Ok(custom)
}

fn custom_format(format: &Fields<'_>) -> Option<CustomFormat> {
    match format.text("type")?.as_str() {
        "grammar" => Some(CustomFormat::Grammar {
            syntax: format.text("syntax")?,
            definition: format.text("definition")?,
        }),
        "text" => Some(CustomFormat::Text),
        _ => None,
    }
}

fn tool_choice(node: Node<'_, '_>, path: &Path<'_>) -> Result<ToolChoice, Fault> {
    if node.first_byte() == b'"' {
        return openai_choice::word(node, path);
    }
    let fields = node.fields()?;
    Ok(match fields.string("type", path)?.as_str() {
        "function" => ToolChoice::Function(fields.string("name", path)?),
        "custom" => ToolChoice::Custom(fields.string("name", path)?),
        "allowed_tools" => openai_choice::allowed(&fields, path)?,
        _ => ToolChoice::Other(node.json()),
    })
}

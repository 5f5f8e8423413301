//! Reading a request: <https://platform.openai.com/docs/api-reference/chat/create>.

use crate::chat::{
    ChatRequest, Content, Extra, Function, Message, Part, ResponseFormat, Role, Source, Tool, ToolCall,
    ToolChoice,
};
use crate::dialect::DialectId;
use crate::json::{Fault, Fields, Node, Path};

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
                request.messages = messages(node, &path)?;
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
            "reasoning_effort" => request.effort = node.optional(Node::string)?,
            "user" => request.user = node.optional(Node::string)?,
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
        if kind == "function" {
            tools.push(Tool::Function(function(fields, &path)?));
        } else {
            tools.push(Tool::Other { kind, json: node.json() });
        }
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

fn tool_choice(node: Node<'_, '_>, path: &Path<'_>) -> Result<ToolChoice, Fault> {
    if node.first_byte() == b'"' {
        return match node.string()?.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            other => Err(path.fault(format!("expected `auto`, `none` or `required`, found `{other}`"))),
        };
    }
    let fields = node.fields()?;
    if fields.string("type", path)? != "function" {
        return Ok(ToolChoice::Other(node.json()));
    }
    let path = path.key("function");
    let raw = fields.get("function").ok_or_else(|| path.fault("missing field `function`"))?;
    Ok(ToolChoice::Function(Node::new(raw, &path).fields()?.string("name", &path)?))
}

// === Messages ===

fn messages(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Message>, Fault> {
    let mut messages = Vec::new();
    for (position, fields) in node.objects()?.into_iter().enumerate() {
        messages.push(message(fields, &path.index(position))?);
    }
    Ok(messages)
}

fn message(fields: Fields<'_>, path: &Path<'_>) -> Result<Message, Fault> {
    let role = match fields.string("role", path)?.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => return tool_message(fields, path),
        "function" => {
            return Err(path
                .key("role")
                .fault("the role `function` was withdrawn by the API: send `tool` with `tool_call_id`"));
        }
        other => {
            return Err(path.key("role").fault(format!(
                "expected `system`, `developer`, `user`, `assistant` or `tool`, found `{other}`"
            )));
        }
    };
    let mut message = Message::new(role);
    // Thinking comes before what it led to, and calls come last, whatever the order of the keys.
    let (mut thinking, mut parts, mut refusal, mut calls) = (None, Vec::new(), None, Vec::new());
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "role" => {}
            "content" => parts = node.optional(|node| content(node, &path))?.unwrap_or_default(),
            "name" => message.name = node.optional(Node::string)?,
            "refusal" if role == Role::Assistant => refusal = node.optional(Node::string)?,
            "reasoning_content" if role == Role::Assistant => thinking = node.optional(Node::string)?,
            "tool_calls" if role == Role::Assistant => {
                calls = node.optional(|node| tool_calls(node, &path))?.unwrap_or_default();
            }
            _ => message.extra.keep(&key, node.json()),
        }
    }
    if let Some(text) = thinking.filter(|text| !text.is_empty()) {
        message.parts.push(Content::Thinking { text, signature: None }.into());
    }
    message.parts.append(&mut parts);
    message.parts.extend(refusal.map(|text| Part::from(Content::Refusal(text))));
    message.parts.append(&mut calls);
    Ok(message)
}

fn tool_message(fields: Fields<'_>, path: &Path<'_>) -> Result<Message, Fault> {
    let call_id = fields.string("tool_call_id", path)?;
    let mut message = Message::new(Role::User);
    let mut parts = Vec::new();
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "role" | "tool_call_id" => {}
            "content" => parts = node.optional(|node| content(node, &path))?.unwrap_or_default(),
            "name" => message.name = node.optional(Node::string)?,
            _ => message.extra.keep(&key, node.json()),
        }
    }
    message.parts.push(Content::ToolResult { call_id, parts, is_error: false }.into());
    Ok(message)
}

pub(super) fn tool_calls(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Part>, Fault> {
    let mut calls = Vec::new();
    for (position, fields) in node.objects()?.into_iter().enumerate() {
        let path = path.index(position);
        let mut extra = Extra::default();
        let (mut id, mut name, mut arguments) = (None, None, None);
        for (key, raw) in fields.0 {
            let path = path.key(&key);
            let node = Node::new(raw, &path);
            match key.as_ref() {
                "type" | "index" => {}
                "id" => id = node.optional(Node::string)?,
                "function" => {
                    let fields = node.fields()?;
                    name = Some(fields.string("name", &path)?);
                    // A few servers give the arguments as an object and not as its text.
                    arguments = fields.get("arguments").map(|raw| {
                        let node = Node::new(raw, &path);
                        if node.first_byte() == b'"' { node.string() } else { Ok(raw.get().to_owned()) }
                    });
                }
                _ => extra.keep(&key, node.json()),
            }
        }
        let name = name.ok_or_else(|| path.missing("function"))?;
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{position}"));
        let call = ToolCall::new(id, name, arguments.transpose()?.unwrap_or_default());
        calls.push(Part { content: Content::ToolCall(call), cache_control: None, extra });
    }
    Ok(calls)
}

pub(super) fn content(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Part>, Fault> {
    match node.first_byte() {
        b'"' => Ok(vec![Part::text(node.string()?)]),
        b'[' => {
            let mut parts = Vec::new();
            for (position, fields) in node.objects()?.into_iter().enumerate() {
                parts.push(part(fields, &path.index(position))?);
            }
            Ok(parts)
        }
        _ => Err(node.expected("a string or a list of parts")),
    }
}

fn part(fields: Fields<'_>, path: &Path<'_>) -> Result<Part, Fault> {
    let kind = fields.string("type", path)?;
    let known = match kind.as_str() {
        "text" => "text",
        "refusal" => "refusal",
        "image_url" => "image_url",
        "file" => "file",
        _ => return other(kind, &fields, path),
    };
    let mut extra = Extra::default();
    let (mut content, mut cache_control) = (None, None);
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "type" => {}
            "cache_control" => cache_control = node.optional(|node| Ok(node.json()))?,
            key if key == known => {
                content = Some(match known {
                    "text" => Content::Text(node.string()?),
                    "refusal" => Content::Refusal(node.string()?),
                    "image_url" => image(node, &path, &mut extra)?,
                    _ => file(node, &path, &mut extra)?,
                });
            }
            _ => extra.keep(&key, node.json()),
        }
    }
    let content = content.ok_or_else(|| path.missing(known))?;
    Ok(Part { content, cache_control, extra })
}

fn other(kind: String, fields: &Fields<'_>, path: &Path<'_>) -> Result<Part, Fault> {
    let json = fields.json().ok_or_else(|| path.fault("expected JSON"))?;
    Ok(Content::Other { kind, json }.into())
}

fn image(node: Node<'_, '_>, path: &Path<'_>, extra: &mut Extra) -> Result<Content, Fault> {
    // Some clients write the address itself where the object belongs.
    if node.first_byte() == b'"' {
        return Ok(Content::Image { source: Source::from_url(node.string()?), detail: None });
    }
    let (mut url, mut detail) = (None, None);
    for (key, raw) in node.fields()?.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "url" => url = Some(node.string()?),
            "detail" => detail = node.optional(Node::string)?,
            _ => extra.keep(&format!("image_url.{key}"), node.json()),
        }
    }
    let url = url.ok_or_else(|| path.missing("url"))?;
    Ok(Content::Image { source: Source::from_url(url), detail })
}

fn file(node: Node<'_, '_>, path: &Path<'_>, extra: &mut Extra) -> Result<Content, Fault> {
    let (mut source, mut name) = (None, None);
    for (key, raw) in node.fields()?.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "file_id" => source = node.optional(Node::string)?.map(Source::FileId).or(source),
            "file_data" => source = node.optional(Node::string)?.map(Source::from_url).or(source),
            "filename" => name = node.optional(Node::string)?,
            _ => extra.keep(&format!("file.{key}"), node.json()),
        }
    }
    let source = source.ok_or_else(|| path.fault("expected `file_id` or `file_data`"))?;
    Ok(Content::File { source, name })
}

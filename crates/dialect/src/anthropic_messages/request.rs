//! Reading a request: <https://platform.claude.com/docs/en/api/messages/create>.

use super::blocks;
use crate::chat::{ChatRequest, Function, Message, ResponseFormat, Role, Thinking, Tool, ToolChoice};
use crate::dialect::DialectId;
use crate::json::{Fault, Fields, Node, Path};

pub(super) fn decode(body: &[u8]) -> Result<ChatRequest, Fault> {
    let root = Path::Root;
    let mut request = ChatRequest {
        source: Some(DialectId::AnthropicMessages),
        // A stream of this dialect always tells.
        include_usage: true,
        ..ChatRequest::default()
    };
    let mut has_messages = false;
    for (key, raw) in Fields::of_body(body)?.0 {
        let path = root.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "model" => request.model = node.optional(Node::string)?.unwrap_or_default(),
            "max_tokens" => request.max_tokens = node.optional(Node::count)?,
            "messages" => {
                has_messages = true;
                node.each_object(&mut |position, fields| {
                    request.messages.push(message(fields, &path.index(position))?);
                    Ok(())
                })?;
            }
            "system" => {
                request.system = node.optional(|node| blocks::decode(node, &path))?.unwrap_or_default();
            }
            "stop_sequences" => request.stop = node.optional(Node::strings)?.unwrap_or_default(),
            "stream" => request.stream = node.optional(Node::boolean)?.unwrap_or(false),
            "temperature" => request.temperature = node.optional(Node::number)?,
            "top_p" => request.top_p = node.optional(Node::number)?,
            "top_k" => request.top_k = node.optional(Node::count)?,
            "tools" => request.tools = node.optional(|node| tools(node, &path))?.unwrap_or_default(),
            "tool_choice" => {
                node.optional(|node| tool_choice(node, &path, &mut request))?;
            }
            "thinking" => {
                node.optional(|node| thinking(node, &path, &mut request))?;
            }
            "output_config" => {
                node.optional(|node| output_config(node, &path, &mut request))?;
            }
            "service_tier" => request.service_tier = node.optional(Node::string)?,
            "metadata" => {
                node.optional(|node| metadata(node, &path, &mut request))?;
            }
            _ => request.extra.keep(&key, node.json()),
        }
    }
    if has_messages { Ok(request) } else { Err(root.missing("messages")) }
}

fn message(fields: Fields<'_>, path: &Path<'_>) -> Result<Message, Fault> {
    let role = match fields.string("role", path)?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        // Newer models take one in the middle of a conversation.
        "system" => Role::System,
        other => {
            let message = format!("expected `user`, `assistant` or `system`, found `{other}`");
            return Err(path.key("role").fault(message));
        }
    };
    let mut message = Message::new(role);
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "role" => {}
            "content" => {
                message.parts = node.optional(|node| blocks::decode(node, &path))?.unwrap_or_default()
            }
            _ => message.extra.keep(&key, node.json()),
        }
    }
    Ok(message)
}

fn tools(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Tool>, Fault> {
    let mut tools = Vec::new();
    for (position, raw) in node.list()?.into_iter().enumerate() {
        let path = path.index(position);
        let node = Node::new(raw, &path);
        let fields = node.fields()?;
        match fields.text("type") {
            Some(kind) if kind != "custom" => tools.push(Tool::Other { kind, json: node.json() }),
            _ => tools.push(Tool::Function(function(fields, &path)?)),
        }
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
            "input_schema" => {
                function.parameters = node.optional(|node| node.fields().map(|_| node.json()))?;
            }
            "strict" => function.strict = node.optional(Node::boolean)?,
            "cache_control" => function.cache_control = node.optional(|node| Ok(node.json()))?,
            _ => function.extra.keep(&key, node.json()),
        }
    }
    if function.name.is_empty() {
        return Err(path.key("name").fault("expected the tool's name"));
    }
    Ok(function)
}

fn tool_choice(node: Node<'_, '_>, path: &Path<'_>, request: &mut ChatRequest) -> Result<(), Fault> {
    let fields = node.fields()?;
    request.tool_choice = Some(match fields.string("type", path)?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Function(fields.string("name", path)?),
        _ => ToolChoice::Other(node.json()),
    });
    if let Some(raw) = fields.get("disable_parallel_tool_use") {
        let path = path.key("disable_parallel_tool_use");
        request.parallel_tool_calls = Some(!Node::new(raw, &path).boolean()?);
    }
    Ok(())
}

fn thinking(node: Node<'_, '_>, path: &Path<'_>, request: &mut ChatRequest) -> Result<(), Fault> {
    let fields = node.fields()?;
    let kind = fields.string("type", path)?;
    request.thinking = Some(match kind.as_str() {
        "disabled" => Thinking::Disabled,
        "adaptive" => Thinking::Adaptive,
        "enabled" => {
            let raw = fields.get("budget_tokens").ok_or_else(|| path.missing("budget_tokens"))?;
            Thinking::Budget(Node::new(raw, &path.key("budget_tokens")).count()?)
        }
        _ => {
            request.extra.keep("thinking", node.json());
            return Ok(());
        }
    });
    for (key, raw) in fields.0 {
        if !matches!(key.as_ref(), "type" | "budget_tokens") {
            request.extra.keep(&format!("thinking.{key}"), Node::new(raw, path).json());
        }
    }
    Ok(())
}

fn output_config(node: Node<'_, '_>, path: &Path<'_>, request: &mut ChatRequest) -> Result<(), Fault> {
    for (key, raw) in node.fields()?.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "effort" => request.effort = node.optional(Node::string)?,
            "format" => {
                let Some(fields) = node.optional(Node::fields)? else { continue };
                if fields.string("type", &path)? != "json_schema" {
                    request.extra.keep("output_config.format", node.json());
                    continue;
                }
                let schema_path = path.key("schema");
                let read = |raw| {
                    let node = Node::new(raw, &schema_path);
                    node.fields().map(|_| node.json())
                };
                request.response_format = Some(ResponseFormat::JsonSchema {
                    name: None,
                    description: None,
                    schema: fields.get("schema").map(read).transpose()?,
                    strict: None,
                });
            }
            _ => request.extra.keep(&format!("output_config.{key}"), node.json()),
        }
    }
    Ok(())
}

fn metadata(node: Node<'_, '_>, path: &Path<'_>, request: &mut ChatRequest) -> Result<(), Fault> {
    for (key, raw) in node.fields()?.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "user_id" => request.user = node.optional(Node::string)?,
            _ => request.extra.keep(&format!("metadata.{key}"), node.json()),
        }
    }
    Ok(())
}

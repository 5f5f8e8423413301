//! Tools and the choice among them, both ways: <https://ai.google.dev/api/caching#Tool>.

use super::{keys, schema};
use crate::chat::{AllowedTool, ChatRequest, Function, Json, Tool, ToolChoice, custom};
use crate::json::{Fault, Fields, Node, Path, Writer};
use crate::loss::{Loss, Reason};
use crate::names;

const INNER: &str = "toolConfig.";
const INNER_CALLING: &str = "toolConfig.functionCallingConfig.";

/// One tool may hold many functions, and one of the provider's own tools beside them.
pub(super) fn read(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Tool>, Fault> {
    let mut tools = Vec::new();
    for (position, fields) in keys::objects(node)?.into_iter().enumerate() {
        let path = path.index(position);
        for (key, raw) in fields.0 {
            let path = path.key(&key);
            let node = Node::new(raw, &path);
            if key == "functionDeclarations" {
                for (position, fields) in
                    node.optional(keys::objects)?.unwrap_or_default().into_iter().enumerate()
                {
                    tools.push(Tool::Function(function(fields, &path.index(position))?));
                }
            } else if node.first_byte() != b'n' {
                let json = Json::object(|out| out.key(&key).raw(raw.get()));
                let json = json.ok_or_else(|| path.fault("expected JSON"))?;
                tools.push(Tool::Other { kind: key.into_owned(), json });
            }
        }
    }
    Ok(tools)
}

fn function(fields: Fields<'_>, path: &Path<'_>) -> Result<Function, Fault> {
    let mut function = Function::default();
    let mut subset = None;
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        let object = |node: Node<'_, '_>| node.fields().map(|_| node.json());
        match key.as_ref() {
            "name" => function.name = node.string()?,
            "description" => function.description = node.optional(Node::string)?,
            "parametersJsonSchema" => function.parameters = node.optional(object)?,
            "parameters" => subset = node.optional(object)?,
            _ => function.extra.keep(&key, node.json()),
        }
    }
    if function.name.is_empty() {
        return Err(path.key("name").fault("expected the function's name"));
    }
    function.parameters = function.parameters.or_else(|| subset.map(schema::of_subset));
    Ok(function)
}

pub(super) fn read_config(
    node: Node<'_, '_>,
    path: &Path<'_>,
    request: &mut ChatRequest,
) -> Result<(), Fault> {
    for (key, raw) in keys::fields(node)?.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "functionCallingConfig" => {
                if let Some(fields) = node.optional(keys::fields)? {
                    calling(fields, &path, request)?;
                }
            }
            _ => request.extra.keep(&format!("{INNER}{key}"), node.json()),
        }
    }
    Ok(())
}

fn calling(fields: Fields<'_>, path: &Path<'_>, request: &mut ChatRequest) -> Result<(), Fault> {
    let (mut mode, mut allowed, mut list) = (None, Vec::new(), None);
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "mode" => {
                mode = node.optional(Node::string)?.map(|mode| (mode.to_ascii_uppercase(), node.json()))
            }
            "allowedFunctionNames" => {
                allowed = node.optional(Node::strings)?.unwrap_or_default();
                list = Some(node.json()).filter(|list| !list.is_void());
            }
            _ => request.extra.keep(&format!("{INNER_CALLING}{key}"), node.json()),
        }
    }
    let word = mode.as_ref().map(|(word, _)| word.as_str());
    let required = word == Some("ANY");
    request.tool_choice = match (word, allowed.as_slice()) {
        (Some("NONE"), _) => Some(ToolChoice::None),
        (Some("ANY"), []) => Some(ToolChoice::Required),
        (Some("ANY"), [only]) => Some(ToolChoice::Function(only.clone())),
        (Some("ANY" | "VALIDATED"), names) if !names.is_empty() => {
            let tools = names.iter().cloned().map(AllowedTool::Function).collect();
            Some(ToolChoice::Allowed { required, tools })
        }
        (Some("AUTO" | "MODE_UNSPECIFIED") | None, []) => {
            word.filter(|word| *word == "AUTO").map(|_| ToolChoice::Auto)
        }
        // As the model sees fit, and something more that others cannot say.
        _ => {
            if let Some((_, json)) = mode {
                request.extra.keep(&format!("{INNER_CALLING}mode"), json);
            }
            if let Some(list) = list {
                request.extra.keep(&format!("{INNER_CALLING}allowedFunctionNames"), list);
            }
            Some(ToolChoice::Auto)
        }
    };
    Ok(())
}

// === Writing ===

pub(super) fn write(request: &ChatRequest, same: bool, loss: &mut Loss, out: &mut Writer<'_>) {
    let offered = custom::as_functions(request, loss);
    let request = offered.as_ref().unwrap_or(request);
    let kept: Vec<&Tool> = request.tools.iter().filter(|tool| keeps(tool, same, loss)).collect();
    if !kept.is_empty() {
        out.key("tools").list(|out| {
            // The API wants functions together in one tool.
            for group in kept.chunk_by(|one, other| is_function(one) && is_function(other)) {
                match group {
                    [Tool::Other { json, .. }] => out.raw(json.get()),
                    group => out.object(|out| {
                        out.key("functionDeclarations").list(|out| {
                            group.iter().for_each(|tool| write_function(tool, request, same, loss, out));
                        });
                    }),
                }
            }
        });
    }
    if request.parallel_tool_calls == Some(false) {
        loss.add("parallel_tool_calls", Reason::NoPlace);
    }
    // The API refuses a choice among no tools.
    if kept.is_empty() && !same {
        if request.tool_choice.is_some() {
            loss.add(names::field(request.source, "tool_choice"), Reason::Refused);
        }
        return;
    }
    write_config(request, same, loss, out);
}

fn is_function(tool: &Tool) -> bool {
    matches!(tool, Tool::Function(_))
}

fn keeps(tool: &Tool, same: bool, loss: &mut Loss) -> bool {
    let kind = match tool {
        Tool::Function(_) => return true,
        Tool::Other { .. } if same => return true,
        Tool::Other { kind, .. } => kind,
        // Offered as functions.
        Tool::Custom(_) => return false,
    };
    loss.add(format!("tools[].{kind}"), Reason::NoPlace);
    false
}

fn write_function(tool: &Tool, request: &ChatRequest, same: bool, loss: &mut Loss, out: &mut Writer<'_>) {
    let Tool::Function(function) = tool else { return };
    out.object(|out| {
        out.text_field("name", &function.name);
        out.optional_text("description", function.description.as_deref());
        // Not `parameters`: that is the subset, into which not every schema fits.
        out.optional_json("parametersJsonSchema", function.parameters.as_ref());
        if same {
            return function.extra.write_except(&[], out);
        }
        function.extra.lose("tools[].", loss);
        if function.strict == Some(true) {
            loss.add(names::field(request.source, "strict"), Reason::NoPlace);
        }
        if function.cache_control.is_some() {
            loss.add("tools[].cache_control", Reason::NoPlace);
        }
    });
}

fn write_config(request: &ChatRequest, same: bool, loss: &mut Loss, out: &mut Writer<'_>) {
    let mut names = Vec::new();
    let mode = match &request.tool_choice {
        None => None,
        Some(ToolChoice::Auto) => Some("AUTO"),
        Some(ToolChoice::None) => Some("NONE"),
        Some(ToolChoice::Required) => Some("ANY"),
        Some(ToolChoice::Function(name)) => {
            names.push(name.as_str());
            Some("ANY")
        }
        Some(ToolChoice::Allowed { required, tools }) => {
            for tool in tools {
                match tool {
                    AllowedTool::Function(name) => names.push(name),
                    AllowedTool::Custom(_) | AllowedTool::Other(_) => {
                        loss.add(choice_of(request), Reason::NoPlace);
                    }
                }
            }
            // The mode in which some functions may be called, or none.
            Some(if *required { "ANY" } else { "VALIDATED" })
        }
        Some(ToolChoice::Custom(_) | ToolChoice::Other(_)) => {
            loss.add(choice_of(request), Reason::NoPlace);
            None
        }
    };
    let extra = &request.extra;
    let mode = mode.filter(|_| !(same && extra.get("toolConfig.functionCallingConfig.mode").is_some()));
    let has_inner = |inner| same && extra.has_inner(inner);
    if mode.is_none() && !has_inner(INNER) {
        return;
    }
    out.key("toolConfig").object(|out| {
        if mode.is_some() || has_inner(INNER_CALLING) {
            out.key("functionCallingConfig").object(|out| {
                out.optional_text("mode", mode);
                if !names.is_empty() {
                    out.key("allowedFunctionNames")
                        .list(|out| names.iter().for_each(|name| out.string(name)));
                }
                if same {
                    extra.write_inner(INNER_CALLING, out);
                }
            });
        }
        if same {
            for (name, value) in &extra.0 {
                if let Some(name) = name.strip_prefix(INNER).filter(|_| !name.starts_with(INNER_CALLING)) {
                    out.json_field(name, value);
                }
            }
        }
    });
}

fn choice_of(request: &ChatRequest) -> &'static str {
    names::field(request.source, "tool_choice")
}

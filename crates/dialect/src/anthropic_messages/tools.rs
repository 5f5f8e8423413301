//! Writing the tools of a request, and the choice among them: <https://platform.claude.com/docs/en/api/messages/create>.

use crate::chat::{ChatRequest, Function, Tool, ToolChoice, custom};
use crate::claude;
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::names;

pub(super) fn write(request: &ChatRequest, same: bool, loss: &mut Loss, out: &mut Writer<'_>) {
    let model = request.model.as_str();
    let offered = custom::as_functions(request, loss);
    let request = offered.as_ref().unwrap_or(request);
    let kept: Vec<&Tool> = request.tools.iter().filter(|tool| keeps(tool, request, same, loss)).collect();
    if !kept.is_empty() {
        out.key("tools").list(|out| {
            for tool in &kept {
                match tool {
                    Tool::Function(function) => write_function(function, request, same, loss, out),
                    Tool::Other { json, .. } => out.raw(json.get()),
                    Tool::Custom(_) => {}
                }
            }
        });
    }
    // The API refuses a choice among no tools.
    if kept.is_empty() && !same {
        if request.tool_choice.is_some() {
            loss.add("tool_choice", Reason::Refused);
        }
        return;
    }
    write_choice(request, model, same, loss, out);
}

/// Of the tools of a choice among some only those are given at all: nothing else holds the model to them.
fn keeps(tool: &Tool, request: &ChatRequest, same: bool, loss: &mut Loss) -> bool {
    match tool {
        _ if same => return true,
        Tool::Function(_) => {}
        // Offered as functions.
        Tool::Custom(_) => return false,
        Tool::Other { kind, .. } => {
            loss.add(format!("tools[].{kind}"), Reason::NoPlace);
            return false;
        }
    }
    match &request.tool_choice {
        Some(ToolChoice::Allowed { tools, .. }) => {
            loss.add("tool_choice", Reason::Nearest);
            tools.iter().any(|allowed| allowed.is(tool))
        }
        _ => true,
    }
}

fn write_choice(request: &ChatRequest, model: &str, same: bool, loss: &mut Loss, out: &mut Writer<'_>) {
    let sequential = request.parallel_tool_calls == Some(false);
    let (kind, name) = match &request.tool_choice {
        Some(_) if !same && claude::refuses_force(request, model) => {
            loss.add(names::field(request.source, "tool_choice"), Reason::Refused);
            ("auto", None)
        }
        None if sequential => ("auto", None),
        None => return,
        Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => ("auto", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => ("any", None),
        Some(ToolChoice::Function(name)) => ("tool", Some(name)),
        Some(ToolChoice::Other(json)) if same => return out.json_field("tool_choice", json),
        Some(ToolChoice::Custom(_) | ToolChoice::Other(_)) => {
            return loss.add("tool_choice", Reason::NoPlace);
        }
    };
    out.key("tool_choice").object(|out| {
        out.text_field("type", kind);
        out.optional_text("name", name.map(String::as_str));
        if sequential && kind != "none" {
            out.key("disable_parallel_tool_use").boolean(true);
        } else if same && request.parallel_tool_calls.is_some() {
            out.key("disable_parallel_tool_use").boolean(sequential);
        }
    });
}

fn write_function(
    function: &Function,
    request: &ChatRequest,
    same: bool,
    loss: &mut Loss,
    out: &mut Writer<'_>,
) {
    out.object(|out| {
        out.text_field("name", &function.name);
        out.optional_text("description", function.description.as_deref());
        out.key("input_schema");
        match &function.parameters {
            Some(schema) if same => out.raw(schema.get()),
            _ => function.write_object_schema(out),
        }
        match function.strict {
            Some(strict) if same => out.key("strict").boolean(strict),
            // Older models refuse the field; without it the schema is a wish.
            Some(true) => loss.add(names::field(request.source, "strict"), Reason::Refused),
            _ => {}
        }
        out.optional_json("cache_control", function.cache_control.as_ref());
        if same {
            function.extra.write_except(&[], out);
        } else {
            function.extra.lose("tools[].", loss);
        }
    });
}

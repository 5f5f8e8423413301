//! Writing `toolConfig`: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html>.

use std::collections::BTreeSet;

use super::blocks_out::write_point;
use super::models::Maker;
use crate::chat::{ChatRequest, Content, Function, Tool, ToolChoice, custom};
use crate::claude;
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::names;
use crate::turns::Conversation;

pub(super) fn write(
    request: &ChatRequest,
    conversation: &Conversation<'_>,
    maker: Maker,
    loss: &mut Loss,
    out: &mut Writer<'_>,
) {
    let model = request.model.as_str();
    let offered = custom::as_functions(request, loss);
    let request = offered.as_ref().unwrap_or(request);
    let mut kept: Vec<&Function> =
        request.tools.iter().filter_map(|tool| keeps(tool, request, loss)).collect();
    let called = called(conversation);
    let lose_choice = |reason, loss: &mut Loss| loss.add(names::field(request.source, "tool_choice"), reason);
    if request.tool_choice == Some(ToolChoice::None) {
        // Has no word here. A model that is given no tools calls none.
        lose_choice(Reason::Nearest, loss);
        if called.is_empty() {
            kept.clear();
        }
    } else if kept.is_empty()
        && request.tool_choice.as_ref().is_some_and(|choice| *choice != ToolChoice::Auto)
    {
        lose_choice(Reason::Refused, loss);
    }
    if request.parallel_tool_calls == Some(false) && !kept.is_empty() {
        loss.add("parallel_tool_calls", Reason::NoPlace);
    }
    let is_stand_in = kept.is_empty();
    let stand_ins: Vec<Function> = if is_stand_in {
        // The API wants tools wherever the conversation has used some.
        called.iter().map(|name| Function { name: (*name).to_owned(), ..Function::default() }).collect()
    } else {
        Vec::new()
    };
    kept.extend(&stand_ins);
    if kept.is_empty() {
        return;
    }
    out.key("toolConfig").object(|out| {
        out.key("tools").list(|out| {
            kept.iter().for_each(|function| write_function(function, (maker, model), request, loss, out));
        });
        if !is_stand_in {
            write_choice(request, model, loss, out);
        }
    });
}

/// The tools that the conversation has used, by name.
fn called<'r>(conversation: &Conversation<'r>) -> BTreeSet<&'r str> {
    let parts = || conversation.turns.iter().flat_map(|turn| &turn.parts);
    let names = parts().filter_map(|part| match &part.content {
        Content::ToolCall(call) => Some(call.name.as_str()),
        _ => None,
    });
    let mut names: BTreeSet<&str> = names.collect();
    if names.is_empty() && parts().any(|part| part.is_result()) {
        // A result whose call is gone.
        names.insert("tool");
    }
    names
}

/// Of the tools of a choice among some only those are given at all: nothing else holds the model to them.
fn keeps<'r>(tool: &'r Tool, request: &ChatRequest, loss: &mut Loss) -> Option<&'r Function> {
    let function = match tool {
        Tool::Function(function) => function,
        // Offered as functions.
        Tool::Custom(_) => return None,
        Tool::Other { kind, .. } => {
            loss.add(format!("tools[].{kind}"), Reason::NoPlace);
            return None;
        }
    };
    if let Some(ToolChoice::Allowed { tools, .. }) = &request.tool_choice {
        loss.add("tool_choice", Reason::Nearest);
        if !tools.iter().any(|allowed| allowed.is(tool)) {
            return None;
        }
    }
    Some(function)
}

fn write_choice(request: &ChatRequest, model: &str, loss: &mut Loss, out: &mut Writer<'_>) {
    if claude::refuses_force(request, model) {
        return loss.add(names::field(request.source, "tool_choice"), Reason::Refused);
    }
    let word = match &request.tool_choice {
        None | Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Allowed { required: false, .. }) => {
            return;
        }
        Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => "any",
        Some(ToolChoice::Function(_)) => "tool",
        Some(ToolChoice::Custom(_) | ToolChoice::Other(_)) => {
            return loss.add(names::field(request.source, "tool_choice"), Reason::NoPlace);
        }
    };
    out.key("toolChoice").object(|out| {
        out.key(word).object(|out| {
            if let Some(ToolChoice::Function(name)) = &request.tool_choice {
                out.text_field("name", name);
            }
        });
    });
}

fn write_function(
    function: &Function,
    (maker, model): (Maker, &str),
    request: &ChatRequest,
    loss: &mut Loss,
    out: &mut Writer<'_>,
) {
    out.object(|out| {
        out.key("toolSpec").object(|out| {
            out.text_field("name", &function.name);
            let description = function.description.as_deref().filter(|text| !text.is_empty());
            out.optional_text("description", description);
            let is_strict = function.strict == Some(true) && maker.is_strict(model);
            out.key("inputSchema").object(|out| {
                out.key("json");
                match &function.parameters {
                    Some(schema) if is_strict && claude::is_claude(model) => {
                        let schema = claude::closed(schema, "tool.schema", request, loss);
                        Function { parameters: Some(schema), ..Function::default() }.write_object_schema(out);
                    }
                    _ => function.write_object_schema(out),
                }
            });
            if function.strict == Some(true) {
                if is_strict {
                    out.key("strict").boolean(true);
                } else {
                    // Other models refuse the field; without it the schema is a wish.
                    loss.add(names::field(request.source, "strict"), Reason::Refused);
                }
            }
        });
    });
    match &function.cache_control {
        Some(marker) if maker.caches_tools() => write_point(marker, maker, out),
        Some(_) => loss.add("tools[].cache_control", Reason::Refused),
        None => {}
    }
    function.extra.lose("tools[].", loss);
}

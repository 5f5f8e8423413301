//! Writing the tools of a request, and the choice among them:
//! <https://platform.openai.com/docs/api-reference/responses/create>.

use crate::chat::{AllowedTool, ChatRequest, CustomFormat, CustomTool, Function, Tool, ToolChoice};
use crate::json::Writer;
use crate::loss::{Loss, Reason};

pub(super) fn write(request: &ChatRequest, same: bool, loss: &mut Loss, out: &mut Writer<'_>) {
    let mut kept = Vec::new();
    for tool in &request.tools {
        match tool {
            Tool::Other { kind, .. } if !same => loss.add(format!("tools[].{kind}"), Reason::NoPlace),
            tool => kept.push(tool),
        }
    }
    if !kept.is_empty() {
        out.key("tools").list(|out| {
            for tool in &kept {
                match tool {
                    Tool::Function(function) => write_function(function, same, loss, out),
                    Tool::Custom(custom) => write_custom(custom, same, loss, out),
                    Tool::Other { json, .. } => out.raw(json.get()),
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
    if let Some(choice) = &request.tool_choice {
        write_choice(choice, same, loss, out);
    }
    out.optional_boolean("parallel_tool_calls", request.parallel_tool_calls);
}

fn write_function(function: &Function, same: bool, loss: &mut Loss, out: &mut Writer<'_>) {
    out.object(|out| {
        out.text_field("type", "function");
        out.text_field("name", &function.name);
        out.optional_text("description", function.description.as_deref());
        match &function.parameters {
            Some(parameters) => out.json_field("parameters", parameters),
            None if same => {}
            None => out.key("parameters").raw(r#"{"type":"object","properties":{}}"#),
        }
        // Where nothing is said this API holds to the schema; the other dialects do not.
        out.optional_boolean("strict", function.strict.or(if same { None } else { Some(false) }));
        if same {
            return function.extra.write_except(&[], out);
        }
        if function.cache_control.is_some() {
            loss.add("tools[].cache_control", Reason::NoPlace);
        }
        function.extra.lose("tools[].", loss);
    });
}

fn write_custom(custom: &CustomTool, same: bool, loss: &mut Loss, out: &mut Writer<'_>) {
    out.object(|out| {
        out.text_field("type", "custom");
        out.text_field("name", &custom.name);
        out.optional_text("description", custom.description.as_deref());
        if let Some(format) = &custom.format {
            out.key("format").object(|out| match format {
                CustomFormat::Text => out.text_field("type", "text"),
                CustomFormat::Grammar { syntax, definition } => {
                    out.text_field("type", "grammar");
                    out.text_field("syntax", syntax);
                    out.text_field("definition", definition);
                }
            });
        }
        if same {
            custom.extra.write_except(&[], out);
        } else {
            custom.extra.lose("tools[].", loss);
        }
    });
}

fn write_choice(choice: &ToolChoice, same: bool, loss: &mut Loss, out: &mut Writer<'_>) {
    let named = |kind: &str, name: &str, out: &mut Writer<'_>| {
        out.object(|out| {
            out.text_field("type", kind);
            out.text_field("name", name);
        });
    };
    match choice {
        ToolChoice::Auto => out.text_field("tool_choice", "auto"),
        ToolChoice::None => out.text_field("tool_choice", "none"),
        ToolChoice::Required => out.text_field("tool_choice", "required"),
        ToolChoice::Function(name) => named("function", name, out.key("tool_choice")),
        ToolChoice::Custom(name) => named("custom", name, out.key("tool_choice")),
        ToolChoice::Allowed { required, tools } => out.key("tool_choice").object(|out| {
            out.text_field("type", "allowed_tools");
            out.text_field("mode", if *required { "required" } else { "auto" });
            out.key("tools").list(|out| {
                for tool in tools {
                    match tool {
                        AllowedTool::Function(name) => named("function", name, out),
                        AllowedTool::Custom(name) => named("custom", name, out),
                        AllowedTool::Other(json) if same => out.raw(json.get()),
                        AllowedTool::Other(_) => loss.add("tool_choice", Reason::NoPlace),
                    }
                }
            });
        }),
        ToolChoice::Other(json) if same => out.json_field("tool_choice", json),
        ToolChoice::Other(_) => loss.add("tool_choice", Reason::NoPlace),
    }
}

//! What both of OpenAI's dialects say of calling tools in the same words.

use crate::chat::{AllowedTool, ToolChoice};
use crate::json::{Fault, Fields, Node, Path};

/// A choice that is one word.
pub(crate) fn word(node: Node<'_, '_>, path: &Path<'_>) -> Result<ToolChoice, Fault> {
    match node.string()?.as_str() {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        other => Err(path.fault(format!("expected `auto`, `none` or `required`, found `{other}`"))),
    }
}

/// A choice among some of the tools.
pub(crate) fn allowed(fields: &Fields<'_>, path: &Path<'_>) -> Result<ToolChoice, Fault> {
    let required = fields.string("mode", path)? == "required";
    let path = path.key("tools");
    let list = fields.get("tools").ok_or_else(|| path.fault("missing field `tools`"))?;
    let mut tools = Vec::new();
    for raw in Node::new(list, &path).list()? {
        let node = Node::new(raw, &path);
        let fields = node.fields()?;
        let kind = fields.text("type").unwrap_or_default();
        // The reference leaves open whether the name stands inside, as in the list of tools, or beside the type.
        let name = fields.object(&kind).and_then(|inner| inner.text("name")).or_else(|| fields.text("name"));
        tools.push(match (kind.as_str(), name) {
            ("function", Some(name)) => AllowedTool::Function(name),
            ("custom", Some(name)) => AllowedTool::Custom(name),
            _ => AllowedTool::Other(node.json()),
        });
    }
    Ok(ToolChoice::Allowed { required, tools })
}

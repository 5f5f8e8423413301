//! The arguments of a call, for APIs that take an object and not its text.

use crate::chat::{CallKind, Json, ToolCall, custom};
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::names::Site;

/// Writes the arguments as an object. What the model wrote is kept as text where it is none; `same`: the call was read
/// from this dialect, which knows what it said.
pub(crate) fn write(call: &ToolCall, same: bool, site: Site, loss: &mut Loss, out: &mut Writer<'_>) {
    of_text(&call.arguments, call.kind, same, site, loss, out);
}

/// The same of the pieces of a call.
pub(crate) fn of_text(
    arguments: &str,
    kind: CallKind,
    same: bool,
    site: Site,
    loss: &mut Loss,
    out: &mut Writer<'_>,
) {
    let trimmed = arguments.trim();
    if kind == CallKind::Custom {
        loss.add(site.part("custom_call"), Reason::Nearest);
        return custom::write_arguments(arguments, out);
    }
    match Json::parse(trimmed) {
        _ if trimmed.is_empty() => out.raw("{}"),
        Some(json) if trimmed.starts_with('{') || same => out.raw(json.get()),
        _ => {
            loss.add(site.part("call.arguments"), Reason::Nearest);
            out.object(|out| out.text_field("arguments", arguments));
        }
    }
}

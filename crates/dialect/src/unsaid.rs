//! A conversation of which the other dialect can say nothing is refused, and the refusal names the part that stood in the
//! way first.

use crate::chat::{ChatRequest, Message, Part};
use crate::dialect::DialectId;
use crate::error::RequestError;
use crate::loss::Reason;

/// The refusal; `lost` says why a part is not written, and by which path without indices a loss names it.
pub(crate) fn refusal(
    request: &ChatRequest,
    mut lost: impl FnMut(&Message, &Part) -> Option<(String, Reason)>,
) -> RequestError {
    for (number, message) in request.messages.iter().enumerate() {
        for (position, part) in message.parts.iter().enumerate() {
            let Some((path, reason)) = lost(message, part) else { continue };
            let why = match reason {
                Reason::NoPlace | Reason::Nearest => "the API of this model's provider has no place for it",
                Reason::Refused => "this model, or its API, refuses it",
                Reason::Foreign => "only the provider that it comes from can read it",
                Reason::Limit => "it is more than the API of this model's provider takes",
            };
            let message = format!("{why} ({}), and no message says anything else", reason.word());
            return RequestError::Field { path: at(&path, number, position), message };
        }
    }
    let path = match request.source {
        Some(DialectId::OpenAiResponses) => "input",
        Some(DialectId::Gemini) => "contents",
        _ => "messages",
    };
    RequestError::Field {
        path: path.to_owned(),
        message: "no message says anything that this model's provider can take".to_owned(),
    }
}

/// A path with the message's number and the part's: `messages[0].content[1].image_url`.
fn at(path: &str, number: usize, position: usize) -> String {
    let placed = path.replacen("[]", &format!("[{number}]"), 1);
    // Other lists of a message hold one kind of part only.
    let of_parts = ["content[]", "parts[]"].into_iter().find(|list| placed.contains(list));
    match of_parts {
        Some(list) => {
            let numbered = list.replace("[]", &format!("[{position}]"));
            placed.replacen(list, &numbered, 1)
        }
        None => placed,
    }
}

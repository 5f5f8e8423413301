//! Citations of a text: <https://platform.claude.com/docs/en/build-with-claude/citations>.

use crate::chat::{Annotation, Json, UrlCitation};
use crate::json::{Fault, Fields, Node};

pub(super) fn read(node: Node<'_, '_>) -> Result<Vec<Annotation>, Fault> {
    Ok(node.list()?.into_iter().map(|raw| annotation(Json::from_raw(raw))).collect())
}

/// One citation. Those of pages found by a search are what other dialects can say too; they cite for all of their
/// text.
pub(super) fn annotation(json: Json) -> Annotation {
    let read = || {
        let fields = Fields::of_body(json.get().as_bytes()).ok()?;
        Some(UrlCitation { url: fields.text("url")?, title: fields.text("title"), range: None })
    };
    let url = read();
    Annotation { json, url }
}

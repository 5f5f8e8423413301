//! The page: files that are part of the binary.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::refused::Refused;
use crate::proxy::stream::ResponseBody;
use crate::server::respond;

/// A file of the page.
struct Asset {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

/// A row: the file in `assets/` and its content type.
macro_rules! assets {
    ($($file:literal, $content_type:expr;)*) => {
        &[
            Asset { path: "/", content_type: HTML, bytes: include_bytes!("assets/index.html") },
            $(Asset {
                path: concat!("/assets/", $file),
                content_type: $content_type,
                bytes: include_bytes!(concat!("assets/", $file)),
            }),*
        ]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const IMAGE: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Every file of the page; a test compares it with the folder.
static ASSETS: &[Asset] = assets! {
    "NOTICE", TEXT;
    "api.js", SCRIPT;
    "app.css", STYLE;
    "app.js", SCRIPT;
    "chart.js", SCRIPT;
    "detail.js", SCRIPT;
    "feed.js", SCRIPT;
    "filter.js", SCRIPT;
    "format.js", SCRIPT;
    "icon.svg", IMAGE;
    "live.js", SCRIPT;
    "overview.js", SCRIPT;
    "parts.js", SCRIPT;
    "playground.js", SCRIPT;
    "preact.js", SCRIPT;
    "routes.js", SCRIPT;
    "search.js", SCRIPT;
    "snippets.js", SCRIPT;
    "theme.js", SCRIPT;
};

/// What a browser compares, file by file.
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
    let tag = |asset: &Asset| {
        let hash = digest::digest(&digest::SHA256, asset.bytes);
        let hex: String = hash.as_ref().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        HeaderValue::try_from(format!("\"{hex}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
    };
    ASSETS.iter().map(tag).collect()
});

/// A file of the page. A browser asks each time whether it is still the same, which costs nothing on this machine and
/// never shows half of an older version.
pub(super) fn answer(path: &str, headers: &HeaderMap) -> Result<Response<ResponseBody>, Refused> {
    let found = ASSETS.iter().zip(TAGS.iter()).find(|(asset, _)| asset.path == path);
    let Some((asset, tag)) = found else {
        return Err(Refused::new(StatusCode::NOT_FOUND, "the page has no such file"));
    };
    let known = headers.get(IF_NONE_MATCH).map(HeaderValue::as_bytes).unwrap_or_default();
    let is_known = known.split(|byte| *byte == b',').any(|one| one.trim_ascii() == tag.as_bytes());
    let mut response = respond::text(asset.content_type, if is_known { &[][..] } else { asset.bytes });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().insert(ETAG, tag.clone());
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/admin/assets");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| format!("/assets/{}", file.unwrap().file_name().into_string().unwrap()))
            .map(|path| if path == "/assets/index.html" { "/".to_owned() } else { path })
            .collect();
        files.sort_unstable();
        let mut served: Vec<&str> = ASSETS.iter().map(|asset| asset.path).collect();
        served.sort_unstable();
        assert_eq!(files, served);
    }
}

//! Hides what may be a key in text that is shown.

use super::diagnostic::Place;

/// How well-known keys begin.
const PREFIXES: &[&str] = &["sk-", "gsk_", "xai-", "AIza", "Bearer "];
/// How the name of a key ends.
const NAMES: &[&str] = &["key", "token", "secret", "authorization", "password"];

/// The file as it may be quoted: stars over the places of keys, over the values of keys that are named like one, and
/// over what begins like one. Length and lines stay, so that places hold. References to variables are not secret.
pub(super) fn source(text: &str, secrets: &[Place]) -> String {
    let mut hidden: Vec<Place> = secrets.to_vec();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let found = begins_like_a_key(line).into_iter().chain(named_like_a_key(line));
        hidden.extend(found.map(|range| range.start + offset..range.end + offset));
        offset += line.len();
    }
    stars(text, &hidden)
}

/// Places of keys in a text that is not YAML, so that only its lines say what belongs together: everything in and below
/// `access_key`, `headers` and `postgres`, save names.
pub(super) fn without_a_tree(text: &str) -> Vec<Place> {
    let mut found = Vec::new();
    let mut offset = 0;
    let mut block: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '-', '\t']).len();
        let opens =
            ["access_key", "headers", "postgres"].iter().find_map(|key| Some(line.find(key)? + key.len()));
        if block.is_some_and(|depth| indent <= depth) && !line.trim().is_empty() {
            block = None;
        }
        let from = match (opens, block) {
            (Some(end), _) => {
                let colon = line.get(end..).and_then(|rest| rest.find(':'));
                Some(colon.map_or(end, |colon| end + colon + 1))
            }
            (None, Some(_)) => Some(line.find(':').map_or(indent, |colon| colon + 1)),
            (None, None) => None,
        };
        if opens.is_some() && block.is_none() {
            block = Some(indent);
        }
        if let Some(from) = from {
            found.push(offset + from..offset + line.len());
        }
        offset += line.len();
    }
    found
}

/// A message as it may be shown: it quotes values, not keys with their names.
pub(super) fn message(text: &str) -> String {
    stars(text, &begins_like_a_key(text))
}

fn stars(text: &str, hidden: &[Place]) -> String {
    let mut bytes = vec![false; text.len()];
    for range in hidden {
        if let Some(range) = bytes.get_mut(range.clone()) {
            range.fill(true);
        }
    }
    let mut masked = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        if bytes.get(at) == Some(&true) && !character.is_whitespace() {
            // As many stars as bytes: places are counted in bytes.
            masked.extend(std::iter::repeat_n('*', character.len_utf8()));
        } else {
            masked.push(character);
        }
    }
    masked
}

/// What follows the usual beginnings of keys, and the user in a URL.
fn begins_like_a_key(line: &str) -> Vec<Place> {
    let mut found = Vec::new();
    for prefix in PREFIXES {
        for (start, _) in line.match_indices(prefix) {
            let starts_a_word =
                line.get(..start).and_then(|before| before.chars().next_back()).is_none_or(is_border);
            let body = start + prefix.len();
            let rest = line.get(body..).unwrap_or_default();
            let length = rest.find(is_border).unwrap_or(rest.len());
            if starts_a_word && length >= 6 && !rest.starts_with('$') {
                found.push(body..body + length);
            }
        }
    }
    // `https://user:password@host`
    for (scheme, _) in line.match_indices("://") {
        let start = scheme + 3;
        let rest = line.get(start..).unwrap_or_default();
        let end = rest.find(['/', '"', '\'', ' ']).unwrap_or(rest.len());
        if let Some(user) = rest.get(..end).and_then(|authority| authority.rfind('@')) {
            found.push(start..start + user);
        }
    }
    found
}

/// The value after `…key:`, `…token=` and the like.
fn named_like_a_key(line: &str) -> Vec<Place> {
    let mut found = Vec::new();
    for (separator, _) in line.match_indices([':', '=']) {
        let name = line.get(..separator).unwrap_or_default().trim_end_matches([' ', '"', '\'']);
        let name = name.rsplit(['{', ',', '-', ' ', '?', '&', '"', '\'']).next().unwrap_or_default();
        let name = name.to_ascii_lowercase();
        if !NAMES.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let value = line.get(separator + 1..).unwrap_or_default();
        let start = separator + 1 + (value.len() - value.trim_start().len());
        let value = value.trim_start();
        let comment = value.find(" #").unwrap_or(value.len());
        let length = value.find(['}', ',', '&']).unwrap_or(value.len()).min(comment);
        let bare = value.get(..length).unwrap_or_default().trim().trim_matches(['"', '\'']);
        if !bare.is_empty() && !bare.starts_with('$') {
            found.push(start..start + length);
        }
    }
    found
}

fn is_border(character: char) -> bool {
    !character.is_ascii_alphanumeric() && !matches!(character, '-' | '_' | '.' | '/' | '+' | '=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hidden_and_places_stay() {
        for (text, masked) in [
            ("access_key: abcdef", "access_key: ******"),
            ("acess_key: 'abc' # mine", "acess_key: ***** # mine"),
            ("\"api-key\" : abc", "\"api-key\" : ***"),
            ("access_key: \"\"", "access_key: \"\""),
            ("access_key: $KEY", "access_key: $KEY"),
            ("access_key: \"${KEY}\"", "access_key: \"${KEY}\""),
            ("- {model: a/b, access_key: abc, default: 1}", "- {model: a/b, access_key: ***, default: 1}"),
            ("default: sk-abcdefgh", "default: sk-********"),
            ("x-a: Bearer abcdefgh", "x-a: Bearer ********"),
            (
                "description: ask-me-anything about task-lists",
                "description: ask-me-anything about task-lists",
            ),
            ("limit: {tokens: 10}", "limit: {tokens: 10}"),
            ("api-key: äb", "api-key: ***"),
            ("base_url: https://me:abc@host/v1?key=abc&a=b", "base_url: https://******@host/v1?key=***&a=b"),
        ] {
            assert_eq!(source(text, &[]), masked);
            assert_eq!(source(text, &[]).len(), text.len());
        }
        assert_eq!(source("a: one\nb: two\n", std::slice::from_ref(&(10..13))), "a: one\nb: ***\n");
        let broken =
            "- access_key: |\n    one\n  headers:\n    x-a: two\n    x-b: [three\n  base_url: four\n";
        let masked =
            "- access_key: *\n    ***\n  headers:\n    x-a: ***\n    x-b: ******\n  base_url: four\n";
        assert_eq!(source(broken, &without_a_tree(broken)), masked);
        let broken = "log: {postgres: 'postgres://a:b/c@d\n";
        assert_eq!(source(broken, &without_a_tree(broken)), "log: {postgres: *******************\n");
        assert_eq!(message("`export A_KEY=…` for `sk-abcdefgh`"), "`export A_KEY=…` for `sk-********`");
    }
}

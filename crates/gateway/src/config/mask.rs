//! Hides what may be a key in text that is shown.

use super::diagnostic::Place;

/// How well-known keys begin.
const PREFIXES: &[&str] = &["sk-", "gsk_", "xai-", "AIza", "Bearer "];
/// What the name of a key's place contains.
const NAMES: &[&str] = &["key", "token", "secret", "authorization", "password"];

/// Puts stars over the places of keys, over the values of keys that are named like one, and over what begins like one.
/// Length and lines stay, so that places hold. References to variables are not secret.
pub(super) fn mask(text: &str, secrets: &[Place]) -> String {
    let mut masked: Vec<char> = Vec::with_capacity(text.len());
    let mut inside = secrets.iter().filter(|place| !place.is_empty()).cloned().collect::<Vec<_>>();
    inside.sort_by_key(|place| place.start);
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let found = in_line(line);
        for (at, character) in line.char_indices() {
            let place = offset + at;
            let hidden = found.iter().any(|range| range.contains(&at))
                || inside.iter().any(|range| range.contains(&place));
            if hidden && !character.is_whitespace() {
                // As many stars as bytes: places are counted in bytes.
                masked.extend(std::iter::repeat_n('*', character.len_utf8()));
            } else {
                masked.push(character);
            }
        }
        offset += line.len();
    }
    masked.into_iter().collect()
}

fn in_line(line: &str) -> Vec<Place> {
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
    for (colon, _) in line.match_indices(':') {
        let name = line.get(..colon).unwrap_or_default();
        let name = name.rsplit(['{', ',', '-', ' ']).next().unwrap_or_default().to_ascii_lowercase();
        if NAMES.iter().any(|part| name.contains(part)) {
            let value = line.get(colon + 1..).unwrap_or_default();
            let start = colon + 1 + (value.len() - value.trim_start().len());
            let value = value.trim_start();
            let comment = value.find(" #").unwrap_or(value.len());
            let length = value.find(['}', ',']).unwrap_or(value.len()).min(comment);
            if !value.trim_start_matches(['"', '\'']).starts_with('$') && !value.starts_with('`') {
                found.push(start..start + length);
            }
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
            ("access_key: $KEY", "access_key: $KEY"),
            ("access_key: \"${KEY}\"", "access_key: \"${KEY}\""),
            ("- {model: a/b, access_key: abc, default: 1}", "- {model: a/b, access_key: ***, default: 1}"),
            ("default: sk-abcdefgh", "default: sk-********"),
            ("x-a: Bearer abcdefgh", "x-a: Bearer ********"),
            ("description: ask-me-anything about task-lists", "description: ask-me-anything about task-lists"),
            ("api-key: äb", "api-key: ***"),
        ] {
            assert_eq!(mask(text, &[]), masked);
            assert_eq!(mask(text, &[]).len(), text.len());
        }
        let (text, place) = ("a: one\nb: two\n", 10..13);
        assert_eq!(mask(text, std::slice::from_ref(&place)), "a: one\nb: ***\n");
    }
}

//! Values in Python's notation, as small models write them in place of JSON.

/// JSON for the literal in Python's notation that a text begins with, up to the bracket that closes it, and its length in
/// the text. A single quote ends a string only where a string can end, before `,`, `:`, `}`, `]` or the end of the text:
/// so an apostrophe inside a name stays one. A comma before a closing bracket is left out.
pub(super) fn requoted(text: &str) -> (String, usize) {
    let mut json = String::with_capacity(text.len() + 2);
    let mut quote = None;
    let mut open = 0usize;
    let mut rest = text.char_indices();
    while let Some((at, letter)) = rest.next() {
        let behind = text.get(at + letter.len_utf8()..).unwrap_or_default();
        match (quote, letter) {
            (None, '\'' | '"') => {
                quote = Some(letter);
                json.push('"');
            }
            (None, 'N') if behind.starts_with("one") => {
                json.push_str("null");
                rest.nth("one".len() - 1);
            }
            (None, ',') if behind.trim_start().starts_with(['}', ']']) => {}
            (None, '{' | '[') => {
                open += 1;
                json.push(letter);
            }
            (None, '}' | ']') => {
                open = open.saturating_sub(1);
                json.push(letter);
                if open == 0 {
                    return (json, at + 1);
                }
            }
            (None, _) => json.push(letter),
            (Some(_), '\\') => match rest.next() {
                Some((_, '\'')) => json.push('\''),
                Some((_, escaped)) => json.extend(['\\', escaped]),
                None => {}
            },
            (Some('\''), '\'') if ends_string(behind) => {
                quote = None;
                json.push('"');
            }
            (Some('"'), '"') => {
                quote = None;
                json.push('"');
            }
            (Some(_), '"') => json.push_str("\\\""),
            (Some(_), control) if control.is_control() => json.push(' '),
            (Some(_), _) => json.push(letter),
        }
    }
    (json, text.len())
}

fn ends_string(rest: &str) -> bool {
    matches!(rest.trim_start().chars().next(), None | Some(',' | ':' | '}' | ']'))
}

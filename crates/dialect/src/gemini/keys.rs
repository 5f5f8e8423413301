//! Names of fields: servers take `systemInstruction` and `system_instruction` alike, and so do we. Written is the first.

use std::borrow::Cow;

use crate::json::{Fault, Fields, Node};

/// Reads an object under the names that are written.
pub(super) fn fields<'a>(node: Node<'_, 'a>) -> Result<Fields<'a>, Fault> {
    node.fields().map(renamed)
}

/// Gives fields the names that are written.
pub(super) fn renamed(mut fields: Fields<'_>) -> Fields<'_> {
    for (key, _) in &mut fields.0 {
        if key.contains('_') {
            *key = Cow::Owned(camel(key));
        }
    }
    fields
}

/// The objects of a list. Where there is only one of them, servers take it without the list too, and their own
/// examples have it so.
pub(super) fn objects<'a>(node: Node<'_, 'a>) -> Result<Vec<Fields<'a>>, Fault> {
    if node.first_byte() == b'{' {
        return Ok(vec![fields(node)?]);
    }
    Ok(node.objects()?.into_iter().map(renamed).collect())
}

/// The same, one at a time.
pub(super) fn each_object<'a>(
    node: Node<'_, 'a>,
    read: &mut dyn FnMut(usize, Fields<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if node.first_byte() == b'{' {
        return read(0, fields(node)?);
    }
    node.each_object(&mut |position, fields| read(position, renamed(fields)))
}

fn camel(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    let mut begins_word = false;
    for letter in key.chars() {
        match letter {
            '_' => begins_word = !name.is_empty(),
            letter if std::mem::take(&mut begins_word) => name.push(letter.to_ascii_uppercase()),
            letter => name.push(letter),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::camel;

    #[test]
    fn both_spellings() {
        for (key, name) in [
            ("system_instruction", "systemInstruction"),
            ("_responseJsonSchema", "responseJsonSchema"),
            ("parameters_json_schema", "parametersJsonSchema"),
            ("__", ""),
            ("a__b_", "aB"),
        ] {
            assert_eq!(camel(key), name);
        }
    }
}

//! A stream as one JSON array, its events being the elements: what `streamGenerateContent` answers with where nobody asks
//! for server-sent events (`alt=sse`). Both ways, in any chunking.

use super::errors;
use crate::error::{ApiError, ErrorKind};
use crate::json::Writer;
use crate::sse::{Found, MAX_EVENT_BYTES, Reader};

/// Makes an array of server-sent events.
#[derive(Debug, Default)]
pub struct ToArray {
    reader: Reader,
    has_elements: bool,
}

impl ToArray {
    /// Takes the next bytes of the stream; appends the elements that they complete.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Self { reader, has_elements } = self;
        reader.push(bytes, &mut |found| element(&found, has_elements, out));
    }

    /// The stream has ended, well or badly.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let Self { reader, has_elements } = self;
        reader.finish(&mut |found| element(&found, has_elements, out));
        out.extend_from_slice(if *has_elements { b"]\n" } else { b"[]\n" });
    }
}

fn element(found: &Found<'_>, has_elements: &mut bool, out: &mut Vec<u8>) {
    let begin = |out: &mut Vec<u8>, has_elements: &mut bool| {
        let is_first = !std::mem::replace(has_elements, true);
        out.extend_from_slice(if is_first { b"[" } else { b",\n" });
    };
    match found {
        // What is no JSON would spoil all the rest.
        Found::Event { data, .. } if data.trim_ascii().starts_with(b"{") => {
            begin(out, has_elements);
            out.extend_from_slice(data);
        }
        Found::Event { .. } => {}
        Found::TooLarge => {
            let message = format!("the provider sent an event larger than {MAX_EVENT_BYTES} bytes");
            begin(out, has_elements);
            let error = ApiError::new(ErrorKind::BadGateway, message);
            Writer::new(out).object(|out| errors::write(&error, out));
        }
    }
}

/// Makes server-sent events of an array, or of an object that stands alone. Holds nothing: an event goes on as it comes.
#[derive(Debug, Default)]
pub struct ToEvents {
    /// How many brackets are open, the array's own among them.
    depth: u32,
    /// How many were when the element began.
    element: Option<u32>,
    in_string: bool,
    escaped: bool,
}

impl ToEvents {
    /// Takes the next bytes of the array; appends what they are of events.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.reserve(bytes.len() + 16);
        for byte in bytes {
            let is_inside = self.element.is_some();
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => {
                    if !is_inside && *byte == b'{' {
                        self.element = Some(self.depth);
                        out.extend_from_slice(b"data: ");
                    }
                    self.depth = self.depth.saturating_add(1);
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.element.is_some() {
                // Between values only: inside a string there are none.
                out.push(if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte });
            }
            if is_inside && self.element == Some(self.depth) {
                self.element = None;
                out.extend_from_slice(b"\n\n");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(array: &str, size: usize) -> String {
        let (mut converter, mut out) = (ToEvents::default(), Vec::new());
        array.as_bytes().chunks(size).for_each(|chunk| converter.push(chunk, &mut out));
        String::from_utf8(out).unwrap()
    }

    fn array(events: &str, size: usize) -> String {
        let (mut converter, mut out) = (ToArray::default(), Vec::new());
        events.as_bytes().chunks(size).for_each(|chunk| converter.push(chunk, &mut out));
        converter.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn arrays_and_events() {
        for size in [1, 2, 5, 1000] {
            let two = r#"[{"a": "}\"{", "b": [{}, []]}
,
{"c":1}]"#;
            let expected = "data: {\"a\": \"}\\\"{\", \"b\": [{}, []]}\n\ndata: {\"c\":1}\n\n";
            assert_eq!(events(two, size), expected);
            assert_eq!(array(expected, size), "[{\"a\": \"}\\\"{\", \"b\": [{}, []]},\n{\"c\":1}]\n");
            assert_eq!(events("{\n\"error\":\r\n{}}", size), "data: { \"error\":  {}}\n\n");
            // Cut off, and nonsense.
            assert_eq!(events(r#"[{"a":"b"#, size), "data: {\"a\":\"b");
            assert_eq!(events("7, ]}}", size), "");
            assert_eq!(array("", size), "[]\n");
            assert_eq!(array("data: [DONE]\n\n: ping\n\ndata: {}", size), "[{}]\n");
        }
        let large = format!("data: {}\n\ndata: {{}}\n\n", "x".repeat(MAX_EVENT_BYTES));
        assert!(array(&large, large.len()).starts_with("[{\"error\":{"));
    }
}

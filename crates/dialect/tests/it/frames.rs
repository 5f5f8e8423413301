//! Binary event streams, written from lines: `messageStart {"role":"assistant"}` is an event, and with `!` before its
//! name an exception.

/// One message.
pub(crate) fn frame(kind: &str, name: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    let headers = [
        (format!(":{kind}-type"), name),
        (":content-type".to_owned(), "application/json"),
        (":message-type".to_owned(), kind),
    ];
    for (name, value) in headers {
        body.push(u8::try_from(name.len()).unwrap());
        body.extend_from_slice(name.as_bytes());
        body.push(7);
        body.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    let headers = u32::try_from(body.len()).unwrap();
    body.extend_from_slice(payload);
    let mut out = u32::try_from(body.len() + 16).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(&headers.to_be_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&body);
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}

/// A whole stream. Empty lines are passed over.
pub(crate) fn of_lines(lines: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(lines).unwrap();
    let line = |line: &str| {
        let (name, payload) = line.split_once(' ').unwrap();
        match name.strip_prefix('!') {
            Some(name) => frame("exception", name, payload.as_bytes()),
            None => frame("event", name, payload.as_bytes()),
        }
    };
    text.lines().filter(|line| !line.is_empty()).flat_map(line).collect()
}

//! The reader of providers' answers, as the client has it.

use http::Method;

use super::Told;
use super::http1::Malformed;

#[path = "../../crates/gateway/src/upstream/http1/head.rs"]
mod head;

/// What the reader says of an answer that it refuses.
#[derive(Debug)]
pub enum Error {
    /// It is no HTTP.
    Malformed(&'static str),
}

impl From<Malformed> for Error {
    fn from(Malformed(problem): Malformed) -> Self {
        Self::Malformed(problem)
    }
}

/// One answer: nobody asks for the next before it is over.
pub fn read(pieces: &[&[u8]]) -> Told {
    let mut seen = 0;
    super::read(pieces, 1, |buffer| match head::read(buffer, &mut seen, &Method::POST, head::all) {
        Ok(None) => Ok(None),
        Ok(Some(head)) => Ok(Some((format!("{:?} {}", head.response, head.keeps), head.framing))),
        Err(_) => Err(()),
    })
}

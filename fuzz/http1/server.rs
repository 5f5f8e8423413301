//! The reader of requests, as the server has it.

use super::Told;

#[path = "../../crates/gateway/src/server/http1/head.rs"]
mod head;

/// Requests of one connection.
pub fn read(pieces: &[&[u8]]) -> Told {
    let mut seen = 0;
    super::read(pieces, usize::MAX, |buffer| match head::read(buffer, &mut seen) {
        Ok(None) => Ok(None),
        Ok(Some(head)) => {
            let words = format!("{:?} {} {}", head.request, head.keeps, head.expects);
            Ok(Some((words, head.framing)))
        }
        Err(refusal) => {
            assert!(refusal.status().is_client_error());
            Err(())
        }
    })
}

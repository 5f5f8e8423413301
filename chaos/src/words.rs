//! What is asked for and answered: numbered words that say whose answer they are, so that whatever is lost, doubled or
//! mixed up on the way can be seen.

use std::fmt::Write;

const OPEN: &str = "[[chaos ";
const CLOSE: &str = "]]";

/// What a prompt asks a provider for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// The request's name, unique in a run.
    pub(crate) request: String,
    /// How many words the answer has; at least two.
    pub(crate) words: usize,
}

impl Order {
    /// The order as part of a prompt.
    pub(crate) fn written(&self) -> String {
        format!("{OPEN}{} {}{CLOSE}", self.request, self.words)
    }

    /// The order in a request's body, if there is exactly one.
    pub(crate) fn find(body: &str) -> Option<Self> {
        let (_, rest) = body.split_once(OPEN)?;
        let (order, rest) = rest.split_once(CLOSE)?;
        let (request, words) = order.split_once(' ')?;
        let words = words.parse().ok()?;
        (!rest.contains(OPEN)).then(|| Self { request: request.to_owned(), words })
    }

    /// The answer of one attempt, in pieces that make the text when put together.
    pub(crate) fn pieces(&self, attempt: u64) -> Vec<String> {
        let piece = |index| {
            let mut piece = String::new();
            if index > 0 {
                piece.push(' ');
            }
            // Writing into a string cannot fail.
            let _ = write!(piece, "{}/{attempt}/{index}", self.request);
            piece
        };
        (0..self.words).map(piece).collect()
    }

    /// How many words of this order's answer the text has. All are of one attempt, in their order, once, from the first
    /// on.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn count(&self, text: &str) -> Result<usize, String> {
        let mut attempt = None;
        let mut count = 0;
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let mut parts = word.split('/');
            let (Some(request), Some(of), Some(index), None) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            else {
                return Err(format!("`{word}` is no word of an answer"));
            };
            if request != self.request {
                return Err(format!("`{word}` is of another request's answer"));
            }
            if *attempt.get_or_insert(of) != of {
                return Err(format!("`{word}` is of another attempt than the words before"));
            }
            if index != count.to_string() {
                return Err(format!("`{word}` comes where word {count} was due"));
            }
            count += 1;
        }
        if count > self.words {
            Err(format!("{count} words where {} were ordered", self.words))
        } else {
            Ok(count)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_and_judged() {
        let order = Order { request: "3-7".to_owned(), words: 4 };
        assert_eq!(Order::find(&format!("{{\"a\":\"Hi {}\"}}", order.written())), Some(order.clone()));
        assert_eq!(Order::find(&order.written().repeat(2)), None);
        let pieces = order.pieces(9);
        assert_eq!(order.count(&pieces.concat()), Ok(4));
        assert_eq!(order.count(&pieces[..2].concat()), Ok(2));
        assert_eq!(order.count(""), Ok(0));
        for (text, problem) in [
            (pieces[1..].concat(), "where word 0 was due"),
            (pieces[0].repeat(2), "no word"),
            (format!("{} {}", pieces[0], pieces[0]), "where word 1 was due"),
            (format!("{}{}", pieces[0], order.pieces(8)[1]), "another attempt"),
            (Order { request: "3-8".to_owned(), words: 4 }.pieces(9).concat(), "another request"),
        ] {
            assert!(order.count(&text).is_err_and(|said| said.contains(problem)), "{text}: {problem}");
        }
    }
}

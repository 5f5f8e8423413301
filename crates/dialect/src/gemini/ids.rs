//! Ids of calls. Newer models give them, older ones don't: there a result belongs to the earliest call of its name that
//! has none yet. Other dialects know ids only, so that we make them where they are missing.

use std::collections::{HashMap, HashSet, VecDeque};

/// Longest piece of an answer's id that goes into those of its calls: other dialects take 40 characters in all.
const MAX_BASE: usize = 24;

/// The calls of a conversation, or of one answer.
#[derive(Debug)]
pub(super) struct Ids {
    base: String,
    next: u64,
    /// Calls of a conversation by name, in order; `None` for an answer, whose calls nobody answers there.
    open: Option<HashMap<String, VecDeque<String>>>,
    known: HashSet<String>,
    answered: HashSet<String>,
}

impl Ids {
    /// A conversation only grows at its end, so that a call keeps its number, and with it its id, in every request.
    pub(super) fn of_conversation() -> Self {
        Self { open: Some(HashMap::new()), ..Self::of_answer("") }
    }

    /// The ids of calls of one answer differ from those of another where the answers have ids.
    pub(super) fn of_answer(id: &str) -> Self {
        let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        let mut base: String = id.chars().filter(is_plain).take(MAX_BASE).collect();
        if !base.is_empty() {
            base.push('_');
        }
        Self { base, next: 0, open: None, known: HashSet::new(), answered: HashSet::new() }
    }

    /// The id of a call.
    pub(super) fn call(&mut self, given: Option<String>, name: &str) -> String {
        let made = self.next;
        self.next += 1;
        let id = given.unwrap_or_else(|| format!("call_{}{made}", self.base));
        if let Some(open) = &mut self.open {
            open.entry(name.to_owned()).or_default().push_back(id.clone());
            self.known.insert(id.clone());
        }
        id
    }

    /// The id of the call that a result answers, and whether there is such a call.
    pub(super) fn result(&mut self, given: Option<String>, name: &str) -> (String, bool) {
        let id = given.or_else(|| {
            let open = self.open.as_mut()?.get_mut(name)?;
            while let Some(id) = open.pop_front() {
                if !self.answered.contains(&id) {
                    return Some(id);
                }
            }
            None
        });
        let Some(id) = id else { return (format!("call_{name}"), false) };
        let is_known = self.known.contains(&id);
        self.answered.insert(id.clone());
        (id, is_known)
    }
}

#[cfg(test)]
mod tests {
    use super::Ids;

    #[test]
    fn results_find_their_calls() {
        let mut ids = Ids::of_conversation();
        assert_eq!(ids.call(None, "f"), "call_0");
        assert_eq!(ids.call(None, "g"), "call_1");
        assert_eq!(ids.call(None, "f"), "call_2");
        assert_eq!(ids.call(Some("x".into()), "f"), "x");
        assert_eq!(ids.result(None, "g"), ("call_1".into(), true));
        assert_eq!(ids.result(None, "f"), ("call_0".into(), true));
        assert_eq!(ids.result(Some("call_2".into()), "f"), ("call_2".into(), true));
        assert_eq!(ids.result(None, "f"), ("x".into(), true));
        assert_eq!(ids.result(None, "f"), ("call_f".into(), false));
        assert_eq!(Ids::of_answer("a/b-1").call(None, "f"), "call_ab-1_0");
    }
}

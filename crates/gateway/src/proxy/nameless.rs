//! The name of a conversation whose client gives none. To make it, all that the conversation begins with is decoded and
//! gone through byte by byte, and it begins the same with each of its requests: so it is remembered for a while.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::quality::RandomState;
use waypost_dialect::envelope::Envelope;
use waypost_routing::affinity::implicit;

/// Conversations of late that a thread knows the names of. A power of two.
const KNOWN: usize = 512;

thread_local! {
    static LATELY: RefCell<Lately> = RefCell::new(Lately::default());
}

/// Names, by a hash with a random key of what they are made of.
struct Lately {
    hashers: RandomState,
    known: Vec<(u64, Box<str>)>,
}

impl Default for Lately {
    fn default() -> Self {
        Self { hashers: RandomState::default(), known: vec![(0, Box::default()); KNOWN] }
    }
}

/// Plano's implicit name.
pub(super) fn name(tenant: &str, envelope: &Envelope<'_>) -> String {
    LATELY.with_borrow_mut(|lately| lately.recalled(tenant, envelope))
}

impl Lately {
    fn recalled(&mut self, tenant: &str, envelope: &Envelope<'_>) -> String {
        let mut hasher = self.hashers.build_hasher();
        tenant.hash(&mut hasher);
        envelope.hash_opening(&mut hasher);
        let hash = hasher.finish();
        let place = usize::try_from(hash % KNOWN as u64).unwrap_or_default();
        let known = &mut self.known[place];
        if known.0 != hash || known.1.is_empty() {
            let opening = envelope.opening();
            let name = implicit(tenant, &opening.system, &opening.tools, &opening.asked);
            *known = (hash, name.into());
        }
        known.1.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use waypost_dialect::envelope;

    fn body(system: &str, tool: &str, said: &str) -> String {
        format!(
            r#"{{"system":"{system}","tools":[{{"name":"{tool}"}}],"messages":[{{"role":"user","content":"{said}"}}]}}"#
        )
    }

    #[test]
    fn what_begins_otherwise_has_another_name() {
        let mut lately = Lately::default();
        for _ in 0..2 {
            for tenant in ["", "t"] {
                for (system, tool, said) in
                    [("a", "x", "hi"), ("b", "x", "hi"), ("a", "y", "hi"), ("a", "x", "ho"), ("", "ax", "hi")]
                {
                    let body = body(system, tool, said);
                    let name = lately.recalled(tenant, &envelope::peek(body.as_bytes()).unwrap());
                    assert_eq!(name, implicit(tenant, &[system], &[tool], said), "{body}");
                }
            }
        }
    }

    #[test]
    fn it_is_made_once() {
        let mut lately = Lately::default();
        let body = body("a", "x", "hi");
        let envelope = envelope::peek(body.as_bytes()).unwrap();
        lately.recalled("", &envelope);
        lately.known.iter_mut().for_each(|(_, name)| *name = "remembered".into());
        assert_eq!(lately.recalled("", &envelope), "remembered");
    }
}

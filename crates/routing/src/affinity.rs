//! Which requests belong to one conversation, and what it costs to ask another model in the middle of it.

use crate::health::Moment;

/// Plano's salt.
const SALT: &[u8] = b"plano-affinity-v1";
/// What ends each part.
const END: u8 = 0x1f;

/// The name that Plano gives to a conversation whose client names none: FNV-1a with 64 bits over the salt, the tenant, the
/// texts of the system joined by line breaks, the names of the tools joined by commas, and the person's first words.
#[must_use]
pub fn implicit(tenant: &str, system: &[impl AsRef<str>], tools: &[impl AsRef<str>], asked: &str) -> String {
    let mut hash = Fnv::default();
    hash.part(std::iter::once(SALT), b"");
    hash.part(std::iter::once(tenant.as_bytes()), b"");
    hash.part(system.iter().map(|text| text.as_ref().as_bytes()), b"\n");
    hash.part(tools.iter().map(|name| name.as_ref().as_bytes()), b",");
    hash.part(std::iter::once(asked.as_bytes()), b"");
    format!("implicit:{:016x}", hash.0)
}

/// FNV-1a.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn part<'a>(&mut self, texts: impl Iterator<Item = &'a [u8]>, between: &[u8]) {
        for (position, text) in texts.enumerate() {
            if position > 0 {
                self.bytes(between);
            }
            self.bytes(text);
        }
        self.bytes(&[END]);
    }
}

/// What a change of the model may cost. Plano's `routing_budget`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SwitchPolicy {
    /// Dollars for changes, as a percentage of what the conversation would have cost at the default model.
    pub most_percent: f64,
    /// The price of what is in a cache, as a part of the price of input, where no price is known.
    pub cache_read_discount: f64,
    /// A conversation whose cache is cold begins a new account.
    pub replenish: bool,
}

/// Dollars per million tokens of input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InputPrices {
    /// Fresh.
    pub fresh: f64,
    /// From the cache.
    pub cached: f64,
}

/// The account of one conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ledger {
    /// Dollars spent on changes.
    pub spent: f64,
    /// Dollars that the conversation would have cost at the default model.
    pub baseline: f64,
    /// Changes made.
    pub switches: u32,
    /// Since when, for people.
    pub since: Moment,
}

/// Whether a model is changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It is: it costs nothing, or what is allowed.
    Switch {
        /// Dollars.
        cost: f64,
    },
    /// It is not.
    Stay {
        /// Dollars that it would have cost.
        cost: f64,
        /// Dollars that were left.
        left: f64,
    },
    /// It is: nobody knows what it costs.
    Unpriced,
}

impl Ledger {
    /// Whether a conversation of so many tokens, which are warm at one model, goes on at another one, of which some may
    /// be warm too; the account changes with it.
    pub fn switch(
        &mut self,
        tokens: f64,
        warm: f64,
        from: Option<InputPrices>,
        to: Option<InputPrices>,
        policy: &SwitchPolicy,
    ) -> Verdict {
        let (Some(from), Some(to)) = (from, to) else {
            self.switches += 1;
            return Verdict::Unpriced;
        };
        let warm = warm.min(tokens);
        let cost = ((tokens - warm) * to.fresh + warm * to.cached - tokens * from.cached) / 1e6;
        let left = policy.most_percent / 100.0 * self.baseline - self.spent;
        if cost > 0.0 && cost > left {
            return Verdict::Stay { cost, left };
        }
        self.spent += cost.max(0.0);
        self.switches += 1;
        Verdict::Switch { cost }
    }

    /// A turn of so many tokens has passed, at these prices of the default model.
    pub fn turn(&mut self, tokens: f64, default: Option<InputPrices>) {
        self.baseline += default.map_or(0.0, |prices| tokens * prices.cached / 1e6);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of Plano's guide.
    #[test]
    fn a_conversation_has_planos_name() {
        let none: [&str; 0] = [];
        assert_eq!(
            implicit(
                "",
                &["You are a senior Rust engineer."],
                &none,
                "Write a Rust function that reverses a linked list."
            ),
            "implicit:8e76b367cc3a4336"
        );
        let name = |system: &[&str], tools: &[&str], asked| implicit("", system, tools, asked);
        let all = [
            name(&["a"], &["b"], "c"),
            name(&["a", "b"], &[], "c"),
            name(&[], &["a", "b"], "c"),
            name(&["a"], &["b"], ""),
        ];
        assert!(all.iter().enumerate().all(|(at, one)| !all[at + 1..].contains(one)), "{all:?}");
    }

    #[test]
    fn a_change_is_made_if_its_cost_is_allowed() {
        let policy = SwitchPolicy { most_percent: 20.0, cache_read_discount: 0.1, replenish: true };
        let prices = |fresh: f64| Some(InputPrices { fresh, cached: fresh / 10.0 });
        let mut ledger = Ledger::default();
        // To a model whose fresh tokens cost no more than the cached ones here: free.
        assert_eq!(
            ledger.switch(1e5, 0.0, prices(10.0), prices(1.0), &policy),
            Verdict::Switch { cost: 0.0 }
        );
        // Nothing has been saved up yet.
        let Verdict::Stay { cost, left } = ledger.switch(1e5, 0.0, prices(1.0), prices(2.0), &policy) else {
            panic!("it stays")
        };
        assert!((cost - 0.19).abs() < 1e-9 && left.abs() < 1e-9, "{cost} {left}");
        for _ in 0..20 {
            ledger.turn(1e5, prices(10.0));
        }
        assert!((ledger.baseline - 2.0).abs() < 1e-9);
        assert!(matches!(ledger.switch(1e5, 0.0, prices(1.0), prices(2.0), &policy), Verdict::Switch { .. }));
        assert!((ledger.spent - 0.19).abs() < 1e-9);
        // What is warm there is cheap.
        assert!(matches!(ledger.switch(1e5, 9e4, prices(1.0), prices(2.0), &policy), Verdict::Switch { .. }));
        assert!(matches!(ledger.switch(1e6, 0.0, prices(1.0), prices(9.0), &policy), Verdict::Stay { .. }));
        assert_eq!(ledger.switch(1e6, 0.0, None, prices(9.0), &policy), Verdict::Unpriced);
    }
}

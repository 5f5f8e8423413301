//! How many attempts may be made twice: a share of the traffic, so that a bad day does not become a storm. Linkerd's
//! retry budget, which is Finagle's: each request pays in a little, each repetition takes one out, and a small income
//! without any traffic lets a quiet gateway repeat too.

use std::time::Duration;

use crate::health::Moment;

/// How much may be repeated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetPolicy {
    /// Repetitions per request, such as 0.2.
    pub ratio: f64,
    /// Repetitions per second that are always there.
    pub least_per_second: f64,
    /// How long what was not used is kept.
    pub window: Duration,
}

impl Default for BudgetPolicy {
    fn default() -> Self {
        Self { ratio: 0.2, least_per_second: 10.0, window: Duration::from_secs(10) }
    }
}

/// The account of repetitions.
#[derive(Debug, Clone)]
pub struct RetryBudget {
    policy: BudgetPolicy,
    balance: f64,
    /// Paid in by requests of late; bounds what is kept of it.
    recent: f64,
    at: Moment,
}

impl RetryBudget {
    /// A budget that starts with the income of one window.
    #[must_use]
    pub fn new(policy: BudgetPolicy, now: Moment) -> Self {
        let balance = policy.least_per_second * policy.window.as_secs_f64();
        Self { policy, balance, recent: 0.0, at: now }
    }

    /// A request has come.
    pub fn deposit(&mut self, now: Moment) {
        self.pass(now);
        self.recent += self.policy.ratio;
        self.balance = (self.balance + self.policy.ratio).min(self.most());
    }

    /// Takes one repetition out, if there is one.
    pub fn withdraw(&mut self, now: Moment) -> bool {
        self.pass(now);
        let enough = self.balance >= 1.0;
        if enough {
            self.balance -= 1.0;
        }
        enough
    }

    fn most(&self) -> f64 {
        self.policy.least_per_second * self.policy.window.as_secs_f64() + self.recent
    }

    fn pass(&mut self, now: Moment) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.recent *= (-passed / self.policy.window.as_secs_f64().max(0.001)).exp();
        self.balance = (self.balance + passed * self.policy.least_per_second).min(self.most());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_a_share_of_the_requests() {
        let policy = BudgetPolicy { ratio: 0.2, least_per_second: 0.0, window: Duration::from_secs(10) };
        let mut budget = RetryBudget::new(policy, Duration::ZERO);
        let mut repeated = 0;
        for request in 0..10_000_u32 {
            let now = Duration::from_millis(u64::from(request));
            budget.deposit(now);
            repeated += u32::from(budget.withdraw(now));
        }
        assert!((1900..=2000).contains(&repeated), "{repeated}");
    }

    #[test]
    fn a_quiet_gateway_may_repeat_and_saves_no_more_than_a_window() {
        let policy = BudgetPolicy { ratio: 0.2, least_per_second: 10.0, window: Duration::from_secs(10) };
        let mut budget = RetryBudget::new(policy, Duration::ZERO);
        for later in [Duration::ZERO, Duration::from_secs(3600)] {
            let taken = (0..1000).filter(|_| budget.withdraw(later)).count();
            assert_eq!(taken, 100);
        }
    }
}

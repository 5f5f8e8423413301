//! What happens when providers fail.

use waypost_routing::health::HealthPolicy;
use waypost_routing::order::Balance;
use waypost_routing::plan::PlanPolicy;
use waypost_routing::retry_budget::BudgetPolicy;

use super::super::schema::{Balance as WrittenBalance, Moderated, Overrides, Reliability as Written};
use super::super::setting::Setting;
use super::super::{Queue, Reliability};
use super::{Context, defaults, values};

impl Default for Queue {
    fn default() -> Self {
        Self { places: defaults::QUEUE, time: defaults::QUEUE_TIMEOUT }
    }
}

impl Default for Reliability {
    fn default() -> Self {
        Self {
            plan: PlanPolicy::default(),
            health: HealthPolicy::default(),
            budget: BudgetPolicy::default(),
            balance: Balance::default(),
            queue: Queue::default(),
            connect_timeout: defaults::CONNECT_TIMEOUT,
            check: None,
        }
    }
}

pub(super) fn resolve(
    context: Context<'_>,
    written: &Setting<Written>,
    overrides: &Setting<Overrides>,
) -> Reliability {
    let mut base = Reliability::default();
    if let Some(overrides) = overrides.value() {
        let (key, setting) = ("upstream_connect_timeout", &overrides.upstream_connect_timeout);
        base.connect_timeout = values::duration(context, key, setting, base.connect_timeout);
    }
    let Some(written) = written.value() else { return base };
    let Reliability { plan, health, budget, balance: _, queue, connect_timeout, check: _ } = base;
    let share = |key, setting, default| values::share(context, key, setting).map_or(default, f64::from);
    let ratio = share("retry_budget", &written.retry_budget, budget.ratio);
    // Who wants no repetitions wants none on quiet days either.
    let least_per_second = if ratio > 0.0 { budget.least_per_second } else { 0.0 };
    Reliability {
        plan: PlanPolicy {
            attempts: values::count(context, "attempts", &written.attempts, 1, defaults::ATTEMPTS_MOST)
                .unwrap_or(plan.attempts),
            time: values::duration(context, "retry_for", &written.retry_for, plan.time),
            backoff: values::duration(context, "backoff", &written.backoff, plan.backoff),
            longest_backoff: values::duration(
                context,
                "longest_backoff",
                &written.longest_backoff,
                plan.longest_backoff,
            ),
            moderated_goes_on: match written.moderated.value() {
                Some(Moderated::Next) => true,
                Some(Moderated::Answer) => false,
                None => plan.moderated_goes_on,
            },
        },
        health: HealthPolicy {
            failures: values::count(context, "failures", &written.failures, 1, u32::MAX)
                .unwrap_or(health.failures),
            failure_rate: share("failure_rate", &written.failure_rate, health.failure_rate),
            slow_start: values::duration(context, "slow_start", &written.slow_start, health.slow_start),
            ..health
        },
        budget: BudgetPolicy { ratio, least_per_second, ..budget },
        connect_timeout: values::duration(
            context,
            "connect_timeout",
            &written.connect_timeout,
            connect_timeout,
        ),
        check: values::optional_duration(context, "check", &written.check),
        balance: match written.balance.value() {
            Some(WrittenBalance::LeastLoaded) => Balance::LeastLoaded,
            Some(WrittenBalance::Declared) | None => Balance::Declared,
        },
        queue: Queue {
            places: values::count(context, "queue", &written.queue, 0, u32::MAX).unwrap_or(queue.places),
            time: values::duration(context, "queue_timeout", &written.queue_timeout, queue.time),
        },
    }
}

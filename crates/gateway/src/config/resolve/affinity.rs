//! What keeps a conversation with its model.

use std::time::Duration;

use http::HeaderName;
use waypost_routing::affinity::SwitchPolicy;

use super::super::Affinity;
use super::super::diagnostic::Problem;
use super::super::schema::{CacheKind, Routing, RoutingBudget, SessionCache};
use super::super::setting::{Placed, Setting};
use super::{Context, defaults, values};

impl Default for Affinity {
    fn default() -> Self {
        Self {
            time: defaults::SESSION_TTL,
            most: defaults::SESSIONS,
            user_only: false,
            budget: None,
            tenant: None,
        }
    }
}

pub(super) fn resolve(context: Context<'_>, written: &Setting<Routing>) -> Affinity {
    let base = Affinity::default();
    let Some(written) = written.value() else { return base };
    let seconds = values::count(context, "session_ttl_seconds", &written.session_ttl_seconds, 1, u32::MAX)
        .map(u64::from);
    let most = defaults::SESSIONS_MOST;
    Affinity {
        time: seconds.map_or(base.time, Duration::from_secs),
        most: values::count(context, "session_max_entries", &written.session_max_entries, 1, most)
            .unwrap_or(base.most),
        user_only: written.route_on_user_only.value() == Some(&true),
        budget: written.routing_budget.given().and_then(|budget| switches(context, budget)),
        tenant: written.session_cache.value().and_then(|cache| tenant(context, cache)),
    }
}

fn switches(context: Context<'_>, placed: &Placed<RoutingBudget>) -> Option<SwitchPolicy> {
    let written = &placed.value;
    context.ignored(
        "routing_budget.record_counterfactual",
        &written.record_counterfactual,
        "the ledger is in every decision's notes",
    );
    let Some(percent) = written.max_switch_spend_pct.given() else {
        if written.max_switch_spend_pct.is_absent() {
            let problem = Problem::error("`routing_budget` without `max_switch_spend_pct`").at(&placed.place);
            context.add(problem.hint("add it, a percentage such as `10`"));
        }
        return None;
    };
    let most_percent = percent.value.trim().parse::<f64>().ok().filter(|value| (0.0..=100.0).contains(value));
    let Some(most_percent) = most_percent else {
        let text = values::shorten(&percent.value);
        let problem = Problem::error(format!("`max_switch_spend_pct` is no percentage: `{text}`"));
        context.add(problem.at(&percent.place).hint("write a number from 0 to 100"));
        return None;
    };
    let discount = values::share(context, "cache_read_discount", &written.cache_read_discount);
    Some(SwitchPolicy {
        most_percent,
        cache_read_discount: discount.map_or(defaults::CACHE_READ_DISCOUNT, f64::from),
        replenish: written.replenish_on_rebind.value() != Some(&false),
    })
}

fn tenant(context: Context<'_>, written: &SessionCache) -> Option<HeaderName> {
    if let Some(kind) = written.kind.given()
        && kind.value == CacheKind::Redis
    {
        let problem =
            Problem::warning("`session_cache` of type `redis` is not known: sessions are in memory");
        context.add(problem.at(&kind.place).hint("write `type: memory`"));
    }
    let header = written.tenant_header.given()?;
    let name = HeaderName::try_from(header.value.trim()).ok();
    if name.is_none() {
        let text = values::shorten(&header.value);
        let problem = Problem::error(format!("`tenant_header` is not the name of a header: `{text}`"));
        context.add(problem.at(&header.place));
    }
    name
}

//! Which requests are meant: what `waypost logs`, `trace` and `obs` take alike.

use std::time::{Duration, SystemTime};

use clap::Args;

use crate::store::read::{Ended, Filter};

/// What was not chosen has a name in tables that no model, route or caller has.
pub(in crate::cli) const NONE: &str = "(none)";

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which requests")]
pub(in crate::cli) struct Which {
    /// Not older than this: `30m`, `2h`, `7d`, or a time such as `2026-11-29T08:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<SystemTime>,
    /// Older than this
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<SystemTime>,
    /// Answered by this model: `provider/model`, or its name alone
    #[arg(long)]
    model: Option<String>,
    /// That took this route; `(none)` for no route
    #[arg(long)]
    route: Option<String>,
    /// That ended with this status: `429`, `5xx`, `400-499`, or `ok` and `error` (400 and more, or a stream that broke off)
    #[arg(long, value_parser = statuses)]
    status: Option<Ended>,
    /// Whose model was chosen this way
    #[arg(long, value_parser = ["name", "alias", "preference", "default"])]
    method: Option<String>,
    /// Of this caller: the first 12 digits of the SHA-256 of its key
    #[arg(long)]
    caller: Option<String>,
    /// Of this conversation
    #[arg(long)]
    session: Option<String>,
    /// That cost at least so many dollars
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    min_cost: Option<f64>,
    /// That took at least this long: `2s`, `500ms`
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    slower: Option<Duration>,
}

impl Which {
    pub(in crate::cli) fn filter(&self) -> Filter {
        let name = |name: &Option<String>| {
            name.as_deref().map(|name| if name == NONE { String::new() } else { name.to_owned() })
        };
        Filter {
            since: self.since,
            until: self.until,
            model: name(&self.model),
            route: name(&self.route),
            method: self.method.clone(),
            caller: name(&self.caller),
            session: self.session.clone(),
            status: self.status.clone(),
            cost: self.min_cost,
            total: self.slower,
            before: None,
            is_decided: false,
            by_part: false,
        }
    }
}

/// A time, or how long ago it was.
pub(in crate::cli) fn moment(text: &str) -> Result<SystemTime, String> {
    let text = text.trim();
    if let Ok(ago) = humantime::parse_duration(text) {
        return SystemTime::now().checked_sub(ago).ok_or_else(|| "that is too long ago".to_owned());
    }
    written(text).ok_or_else(|| {
        "it is neither a span (`30m`, `2h`, `7d`) nor a time (`2026-11-29`, `2026-11-29T08:00:00Z`, `…+02:00`)"
            .to_owned()
    })
}

/// A date, or a time as RFC 3339 has it; without an offset it is in UTC.
fn written(text: &str) -> Option<SystemTime> {
    if text.len() == 10 {
        return humantime::parse_rfc3339_weak(&format!("{text}T00:00:00Z")).ok();
    }
    let offset = text.len().checked_sub(6).and_then(|at| text.split_at_checked(at));
    let Some((local, offset)) =
        offset.filter(|(_, offset)| offset.starts_with(['+', '-']) && text.len() > 16)
    else {
        return humantime::parse_rfc3339_weak(text).ok();
    };
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let seconds = hours.parse::<u64>().ok()? * 3600 + minutes.parse::<u64>().ok()? * 60;
    let (local, offset) = (humantime::parse_rfc3339_weak(local).ok()?, Duration::from_secs(seconds));
    if text.get(text.len() - 6..)?.starts_with('+') {
        local.checked_sub(offset)
    } else {
        local.checked_add(offset)
    }
}

fn statuses(text: &str) -> Result<Ended, String> {
    let wrong = || "it is a status (`429`), a kind (`5xx`), a range (`400-499`), `ok` or `error`".to_owned();
    let number = |text: &str| {
        let status = text.parse::<u16>().ok().filter(|status| *status < 1000);
        status.ok_or_else(wrong)
    };
    let range = match text {
        "ok" => return Ok(Ended::Well),
        "error" => return Ok(Ended::Error),
        _ => match (text.strip_suffix("xx"), text.split_once('-')) {
            (Some(hundreds), _) => {
                let hundreds =
                    number(hundreds).ok().filter(|hundreds| (1..=9).contains(hundreds)).ok_or_else(wrong)?;
                hundreds * 100..hundreds * 100 + 100
            }
            (None, Some((first, last))) => number(first)?..number(last)? + 1,
            (None, None) => {
                let status = number(text)?;
                status..status + 1
            }
        },
    };
    if range.is_empty() { Err(wrong()) } else { Ok(Ended::Status(range)) }
}

fn dollars(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_start_matches('$').parse::<f64>();
    number
        .ok()
        .filter(|dollars| dollars.is_finite() && *dollars >= 0.0)
        .ok_or_else(|| "it is no amount of dollars, such as `0.05`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let at = |text: &str| humantime::format_rfc3339_seconds(written(text).unwrap()).to_string();
        assert_eq!(at("2026-11-29"), "2026-11-29T00:00:00Z");
        assert_eq!(at("2026-11-29 08:00:00"), "2026-11-29T08:00:00Z");
        assert_eq!(at("2026-11-29T08:00:00+02:00"), "2026-11-29T06:00:00Z");
        assert_eq!(at("2026-11-29T22:00:00-02:30"), "2026-11-30T00:30:00Z");
        assert_eq!(at("2026-11-29T08:00:00.250Z"), "2026-11-29T08:00:00Z");
        for wrong in ["yesterday", "", "2026-13-01", "2026-11-29T08:00:00+xx:00", "ä2026-11-2", "30 parsecs"]
        {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
        let then = moment("30m").unwrap();
        let ago = SystemTime::now().duration_since(then).unwrap();
        assert!((1800..1810).contains(&ago.as_secs()), "{ago:?}");
    }

    #[test]
    fn kinds_of_statuses() {
        let of = statuses;
        assert_eq!(of("429"), Ok(Ended::Status(429..430)));
        assert_eq!(of("5xx"), Ok(Ended::Status(500..600)));
        assert_eq!(of("400-499"), Ok(Ended::Status(400..500)));
        assert_eq!(of("error"), Ok(Ended::Error));
        assert_eq!(of("ok"), Ok(Ended::Well));
        for wrong in ["", "xx", "0xx", "10xx", "bad", "499-400", "70000", "65535", "-", "1-"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn amounts() {
        assert_eq!(dollars("$0.05"), Ok(0.05));
        for wrong in ["", "NaN", "inf", "-1", "much"] {
            assert!(dollars(wrong).is_err(), "{wrong}");
        }
    }
}

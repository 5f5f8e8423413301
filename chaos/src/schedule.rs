//! Which provider is how, and when: drawn from a seed, so that a run can be repeated. At any time one provider is well
//! and stays so for long enough that a request which begins now finds it.

use std::fmt::Write;
use std::time::Duration;

use fastrand::Rng;

/// How many providers there are.
pub(crate) const PROVIDERS: usize = 3;

/// All are well at first, so that the run starts from a known state.
const CALM: Duration = Duration::from_secs(5);
/// How long one is well already when the last one that was ceases to be: longer than a request can take to find it
/// where each of the others hangs first.
const OVERLAP: Duration = Duration::from_secs(8);

/// How a provider is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It answers, at once and whole.
    Well,
    /// It answers whole, and takes its time.
    Slow,
    /// Nobody listens there.
    Refuse,
    /// It takes requests and never answers.
    Hang,
    /// It resets connections. One that speaks TLS closes new ones in the handshake, or shows what nobody vouches for.
    Reset,
    /// 429 that does not say for how long.
    Limit,
    /// 429 with `Retry-After`.
    LimitUntil,
    /// 402.
    Broke,
    /// 500.
    Fault,
    /// 529, or 503 where the API has no such status.
    Overload,
    /// Answers that are none.
    Garbage,
    /// Answers end before their content.
    CutBefore,
    /// Answers end within their content.
    CutAfter,
    /// Half of the requests meet one of the others.
    Mixed,
}

/// What a provider can be when it is not well.
pub(crate) const ILLS: [Mode; 13] = [
    Mode::Slow,
    Mode::Refuse,
    Mode::Hang,
    Mode::Reset,
    Mode::Limit,
    Mode::LimitUntil,
    Mode::Broke,
    Mode::Fault,
    Mode::Overload,
    Mode::Garbage,
    Mode::CutBefore,
    Mode::CutAfter,
    Mode::Mixed,
];

/// From when a provider is how.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: Duration,
    mode: Mode,
}

/// How each provider is at any time.
#[derive(Debug)]
pub(crate) struct Schedule([Vec<Span>; PROVIDERS]);

impl Schedule {
    /// A schedule for so long; the last modes hold from then on.
    pub(crate) fn new(seed: u64, length: Duration) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut ills = Ills { rng: rng.fork(), left: Vec::new() };
        let mut spans: [Vec<Span>; PROVIDERS] = Default::default();
        // One after the other is the one that is well, each from `OVERLAP` before the last one's end.
        let mut well: [Vec<(Duration, Duration)>; PROVIDERS] = Default::default();
        let (mut from, mut of) = (Duration::ZERO, rng.usize(..PROVIDERS));
        while from < length {
            let until = from + OVERLAP * 2 + Duration::from_millis(rng.u64(3000..7000));
            well[of].push((from, until));
            from = until - OVERLAP;
            of = (of + rng.usize(1..PROVIDERS)) % PROVIDERS;
        }
        for (spans, well) in spans.iter_mut().zip(&well) {
            let mut at = Duration::ZERO;
            spans.push(Span { from: at, mode: Mode::Well });
            at += CALM;
            for (from, until) in well.iter().copied().chain([(length.max(at), Duration::MAX)]) {
                while at < from {
                    spans.push(Span { from: at, mode: ills.draw() });
                    at += Duration::from_millis(rng.u64(1500..4500));
                }
                spans.push(Span {
                    from: from.max(spans.last().map_or(from, |last| last.from)),
                    mode: Mode::Well,
                });
                at = at.max(until);
            }
        }
        Self(spans)
    }

    /// How a provider is.
    pub(crate) fn mode(&self, provider: usize, at: Duration) -> Mode {
        let spans = self.0.get(provider).map_or(&[][..], Vec::as_slice);
        let later = spans.partition_point(|span| span.from <= at);
        later.checked_sub(1).and_then(|last| spans.get(last)).map_or(Mode::Well, |span| span.mode)
    }

    /// What happened around that time, for people.
    pub(crate) fn around(&self, at: Duration) -> String {
        let mut text = String::new();
        let window = at.saturating_sub(Duration::from_secs(15))..at + Duration::from_secs(2);
        for (provider, spans) in self.0.iter().enumerate() {
            let _ = write!(text, "    {}:", name(provider));
            for (index, span) in spans.iter().enumerate() {
                let until = spans.get(index + 1).map_or(Duration::MAX, |next| next.from);
                if until > window.start && span.from < window.end {
                    let _ = write!(text, " {:?} from {:.1}", span.mode, span.from.as_secs_f64());
                }
            }
            text.push('\n');
        }
        text
    }
}

/// Draws each ill once before any comes again, so that a short run meets all of them.
struct Ills {
    rng: Rng,
    left: Vec<Mode>,
}

impl Ills {
    fn draw(&mut self) -> Mode {
        if self.left.is_empty() {
            self.left.extend(ILLS);
            self.rng.shuffle(&mut self.left);
        }
        // One of ten comes back for a while.
        if self.rng.f32() < 0.1 { Mode::Well } else { self.left.pop().unwrap_or(Mode::Well) }
    }
}

/// What a provider is called.
pub(crate) fn name(provider: usize) -> &'static str {
    ["alpha", "beta", "gamma"].get(provider).copied().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_always_well_for_long_enough() {
        for seed in 0..10 {
            let length = Duration::from_secs(300);
            let schedule = Schedule::new(seed, length);
            for tenth in 0..3100 {
                let at = Duration::from_millis(tenth * 100);
                let is_well = |provider| {
                    (0..70).all(|more| {
                        schedule.mode(provider, at + Duration::from_millis(more * 100)) == Mode::Well
                    })
                };
                assert!((0..PROVIDERS).any(is_well), "seed {seed}, {at:?}\n{}", schedule.around(at));
            }
            for ill in ILLS {
                let is_there = (0..3000).any(|tenth| {
                    (0..PROVIDERS)
                        .any(|provider| schedule.mode(provider, Duration::from_millis(tenth * 100)) == ill)
                });
                assert!(is_there, "seed {seed}: {ill:?}");
            }
        }
    }
}

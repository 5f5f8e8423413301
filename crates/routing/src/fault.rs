//! What is wrong with an attempt, and what follows from it: one row a fault.

use std::time::Duration;

use waypost_dialect::error::{ApiError, ErrorKind};

/// Why an attempt gave no answer that its client can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The request is wrong wherever it is sent.
    Request,
    /// The provider's filter refuses what the conversation says.
    Moderated,
    /// The conversation is too long for this model.
    ContextOverflow,
    /// The provider does not know the model or the address.
    Missing,
    /// The key is refused.
    Auth,
    /// The key may not do this.
    Permission,
    /// The account has no credit left.
    Billing,
    /// Too many requests or tokens for now.
    RateLimit,
    /// The provider has more work than it can do.
    Overload,
    /// Something is wrong at the provider.
    Provider,
    /// No answer in time.
    Timeout,
    /// No connection, or one that broke.
    Transport,
    /// An answer that no client can use.
    Garbage,
    /// The provider's API has no place for a part of the request, or is not spoken here.
    Unsupported,
    /// This gateway already has as many requests there as it may.
    Full,
    /// The time that the request may take as a whole is over.
    Deadline,
}

/// What a target, or the account behind it, pays for a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toll {
    /// Nothing: it was not at fault.
    None,
    /// One failure; several open its breaker.
    Failure,
    /// It rests at once.
    Rest,
    /// Everything behind the same key rests at once.
    AccountRest,
}

/// What follows from a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Which one.
    pub fault: Fault,
    /// The word in logs, metrics and decisions.
    pub name: &'static str,
    /// How a provider shows it, for the documentation.
    pub shown_by: &'static str,
    /// Another target may do better.
    pub go_on: bool,
    /// So may this one, a little later.
    pub again: bool,
    /// What it costs.
    pub toll: Toll,
    /// The first rest; it doubles each time in a row. Where the provider says how long, that holds; for
    /// [`Toll::AccountRest`] the longer of both.
    pub rest: Duration,
    /// The longest rest.
    pub longest: Duration,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// All faults.
pub const FAULTS: [Row; 16] = [
    row(Fault::Request, "request", "400, 422 and other 4xx", false, false, Toll::None),
    row(
        Fault::Moderated,
        "moderated",
        "400 `content_filter` and the like, or a 403 of a moderation",
        false,
        false,
        Toll::None,
    ),
    row(
        Fault::ContextOverflow,
        "context_overflow",
        "413, `context_length_exceeded`, or a 400 that says so in words",
        true,
        false,
        Toll::None,
    ),
    row(Fault::Missing, "missing", "404", true, false, Toll::Failure),
    Row {
        rest: MINUTE,
        longest: HOUR,
        ..row(Fault::Auth, "auth", "401, or a 400 that says so of the key", true, false, Toll::AccountRest)
    },
    Row {
        rest: Duration::from_secs(10),
        longest: Duration::from_secs(600),
        ..row(Fault::Permission, "permission", "403, unless a moderation says it", true, false, Toll::Rest)
    },
    Row {
        rest: Duration::from_secs(600),
        longest: Duration::from_secs(4 * 3600),
        ..row(
            Fault::Billing,
            "billing",
            "402, `insufficient_quota` and the like in any status",
            true,
            false,
            Toll::AccountRest,
        )
    },
    Row { longest: HOUR, ..row(Fault::RateLimit, "rate_limit", "429", true, true, Toll::Rest) },
    row(Fault::Overload, "overload", "503, 529, 498", true, true, Toll::Failure),
    row(Fault::Provider, "provider", "408, 409, 424, 425, 500 and other 5xx", true, true, Toll::Failure),
    row(Fault::Timeout, "timeout", "no first byte, or nothing more, in time", true, false, Toll::Failure),
    row(
        Fault::Transport,
        "transport",
        "DNS, connection, TLS, or an answer that breaks off",
        true,
        true,
        Toll::Failure,
    ),
    row(Fault::Garbage, "garbage", "an answer that is not one of its API", true, true, Toll::Failure),
    row(
        Fault::Unsupported,
        "unsupported",
        "never sent: no such API there, one in which nothing of the conversation can be said, or a strict translation would \
         lose something",
        true,
        false,
        Toll::None,
    ),
    row(Fault::Full, "full", "never sent: `max_requests` is reached", true, false, Toll::None),
    row(Fault::Deadline, "deadline", "`total_timeout` is over", false, false, Toll::None),
];

const fn row(
    fault: Fault,
    name: &'static str,
    shown_by: &'static str,
    go_on: bool,
    again: bool,
    toll: Toll,
) -> Row {
    Row { fault, name, shown_by, go_on, again, toll, rest: SECOND, longest: MINUTE }
}

/// Words by which providers say that an account has no credit, whatever the status: codes first, then what messages
/// hold (lower case). Where a message may quote the request it has to begin with them: no client is to make a whole
/// account rest by what it writes.
const NO_CREDIT: &[&str] = &[
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_balance",
    "credit balance is too low",
    "insufficient balance",
    "insufficient credit",
    "account is not active, please check your billing",
];

/// Words by which a 400 is about the key (lower case); the message has to begin with them.
const WRONG_KEY: &[&str] = &[
    "api_key_invalid",
    "invalid_api_key",
    "api key not valid",
    "api key expired",
    "incorrect api key",
    "invalid api key",
];

/// Words by which providers say that a conversation is too long (lower case).
const TOO_LONG: &[&str] = &[
    "context_length_exceeded",
    "maximum context length",
    "context window",
    "context length",
    "prompt is too long",
    "input is too long",
    "input token count",
    "exceeds the maximum number of tokens",
    "too many input tokens",
];

/// Words by which a 403 is about what was said, not about the key (lower case).
const MODERATED: &[&str] = &["moderation", "flagged", "content policy", "safety"];

/// Codes by which a 400 is. Its words are not read: they may quote the request, or name a parameter.
const FILTERED: &[&str] = &["content_filter", "content_policy_violation", "responsibleaipolicyviolation"];

impl Fault {
    /// What follows from it.
    #[must_use]
    pub fn row(self) -> &'static Row {
        // Each variant has its row, in the order of the variants: a test walks them.
        &FAULTS[self as usize]
    }

    /// The word in logs, metrics and decisions.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What a provider's error means.
    #[must_use]
    pub fn of_error(error: &ApiError) -> Self {
        let code = error.code.as_deref().unwrap_or_default();
        // What a provider quotes of a long request is not read.
        let end = error.message.floor_char_boundary(1000);
        let message = error.message.get(..end).unwrap_or_default().to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| code == *word || message.contains(word));
        let opens = |words: &[&str]| words.contains(&code) || begins(&message, words);
        match error.status {
            402 => Self::Billing,
            400 | 403 | 404 | 413 | 422 if opens(NO_CREDIT) => Self::Billing,
            401 | 429 | 500..=599 if says(NO_CREDIT) => Self::Billing,
            400 if opens(WRONG_KEY) => Self::Auth,
            400 if FILTERED.iter().any(|known| code.eq_ignore_ascii_case(known)) => Self::Moderated,
            // Another one may take more, at once or in a minute.
            413 => Self::ContextOverflow,
            400 | 422 if says(TOO_LONG) => Self::ContextOverflow,
            401 => Self::Auth,
            403 if says(MODERATED) => Self::Moderated,
            403 => Self::Permission,
            404 => Self::Missing,
            429 => Self::RateLimit,
            498 | 503 | 529 => Self::Overload,
            408 | 409 | 424 | 425 => Self::Provider,
            400..=499 => Self::Request,
            // What this gateway says of an answer that it could not use.
            502 if error.kind == ErrorKind::BadGateway
                && error.code.as_deref() == Some("bad_upstream_answer") =>
            {
                Self::Garbage
            }
            _ => Self::Provider,
        }
    }
}

/// Whether a code, or the message of an error, says that an account has no credit.
#[must_use]
pub fn says_no_credit(text: &str) -> bool {
    let end = text.floor_char_boundary(1000);
    begins(&text.get(..end).unwrap_or_default().to_ascii_lowercase(), NO_CREDIT)
}

/// A message (lower case) begins with one of these words.
fn begins(message: &str, words: &[&str]) -> bool {
    let opening = message.trim_start().trim_start_matches("your ");
    words.iter().any(|word| opening.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_its_row() {
        for (position, row) in FAULTS.iter().enumerate() {
            assert_eq!(row.fault as usize, position, "{}", row.name);
            assert_eq!(row.fault.name(), row.name);
            assert!(row.go_on || !row.again, "{}: what may be tried again may be tried elsewhere", row.name);
        }
    }

    #[test]
    fn a_providers_error_is_classified() {
        for (status, code, message, expected) in [
            (400, "", "messages: field required", Fault::Request),
            (422, "", "unprocessable", Fault::Request),
            (400, "context_length_exceeded", "too long", Fault::ContextOverflow),
            (400, "", "prompt is too long: 209461 tokens > 200000 maximum", Fault::ContextOverflow),
            (400, "", "The input token count (1200000) exceeds the maximum", Fault::ContextOverflow),
            (400, "", "Your credit balance is too low to access the API.", Fault::Billing),
            (402, "", "Insufficient Balance", Fault::Billing),
            (403, "", "Insufficient credits", Fault::Billing),
            (500, "insufficient_quota", "no", Fault::Billing),
            (429, "", "Your account is not active, please check your billing details.", Fault::Billing),
            // What a client has written is quoted.
            (400, "invalid_value", "Invalid value: 'insufficient credit'.", Fault::Request),
            (403, "", "no access to model `insufficient_quota`", Fault::Permission),
            (429, "insufficient_quota", "You exceeded your current quota", Fault::Billing),
            (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota", Fault::RateLimit),
            (429, "rate_limit_exceeded", "slow down", Fault::RateLimit),
            (401, "invalid_api_key", "Incorrect API key", Fault::Auth),
            (400, "", "Incorrect API key provided: xa***. You can obtain an API key from", Fault::Auth),
            (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", Fault::Auth),
            (400, "", "the text `incorrect api key` is not one of", Fault::Request),
            (413, "request_too_large", "Request exceeds the maximum size", Fault::ContextOverflow),
            (
                413,
                "rate_limit_exceeded",
                "Request too large for model `x` on tokens per minute (TPM)",
                Fault::ContextOverflow,
            ),
            (403, "", "not allowed in your region", Fault::Permission),
            (403, "", "Your input was flagged", Fault::Moderated),
            (400, "content_filter", "The response was filtered due to the prompt", Fault::Moderated),
            (400, "content_policy_violation", "rejected by our safety system", Fault::Moderated),
            (400, "invalid_value", "Invalid value for 'safety_identifier': content_filter", Fault::Request),
            (404, "model_not_found", "no such model", Fault::Missing),
            (408, "", "", Fault::Provider),
            (409, "", "", Fault::Provider),
            (424, "", "the model has failed", Fault::Provider),
            (425, "", "", Fault::Provider),
            (498, "", "capacity exceeded", Fault::Overload),
            (500, "", "", Fault::Provider),
            (502, "", "bad gateway", Fault::Provider),
            (503, "", "", Fault::Overload),
            (504, "", "", Fault::Provider),
            (529, "overloaded_error", "Overloaded", Fault::Overload),
        ] {
            let error = ApiError {
                status,
                code: Some(code.to_owned()),
                ..ApiError::new(ErrorKind::from_status(status), message)
            };
            assert_eq!(Fault::of_error(&error), expected, "{status} {code} {message}");
        }
    }
}

//! Asking targets that rest whether they are back, so that no client's request has to.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Limited};
use serde_json::json;
use waypost_dialect::ClientDialect;
use waypost_dialect::error::ResponseError;
use waypost_dialect::loss::Loss;
use waypost_routing::fault::Fault;
use waypost_routing::health::Admission;
use waypost_routing::models::Target;

use super::call;
use super::client::Client;
use super::endpoint::Upstream;
use super::fleet::Ticket;
use super::no_credit::no_credit;
use super::wait;
use crate::runtime::Runtime;
use crate::server::Api;

/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// Longest wait for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks each target whose rest is over, again and again. Never ends; whoever starts it aborts it.
pub async fn run(runtime: Arc<Runtime>, client: Client, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        for target in runtime.known_targets() {
            check(&runtime, &client, &target).await;
        }
    }
}

/// Asks one target, if it is time.
async fn check(runtime: &Runtime, client: &Client, target: &Target) {
    let (Some(member), Some(upstream)) = (runtime.member(target), runtime.upstreams.get(target.entry)) else {
        return;
    };
    if upstream.takes_the_clients_key() || member.look(runtime.fleet.now()) != Admission::Probe {
        return;
    }
    let Ok(mut ticket) =
        Ticket::admit(&runtime.fleet, &member, runtime.reliability.health, runtime.fleet.now())
    else {
        return;
    };
    match tokio::time::timeout(PATIENCE, ask(client, upstream, &target.model)).await {
        // So short an answer tells nothing of its pace.
        Ok(Ok(())) => ticket.is_well(),
        Ok(Err(Unwell { fault, asked })) => ticket.failed(fault, asked),
        Err(_elapsed) => ticket.failed(Fault::Timeout, None),
    }
}

/// Why it is not back.
struct Unwell {
    fault: Fault,
    /// How long the provider asks to be left alone.
    asked: Option<Duration>,
}

impl From<Fault> for Unwell {
    fn from(fault: Fault) -> Self {
        Self { fault, asked: None }
    }
}

/// The smallest question there is.
async fn ask(client: &Client, upstream: &Upstream, model: &str) -> Result<(), Unwell> {
    let asks = ClientDialect::OpenAiChat;
    let address = upstream.route(asks, Api::Conversation, model).ok_or(Fault::Unsupported)?;
    let question = json!({"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]});
    let request = asks
        .codec()
        .decode_request(question.to_string().as_bytes())
        .map_err(|_refused| Fault::Unsupported)?;
    let codec = address.dialect.codec();
    let body = codec.encode_request(&request, upstream.quirks, &mut Loss::default());
    let body = body.map_err(|_refused| Fault::Unsupported)?;
    let response = call::post(client, upstream, address, model, body).await.map_err(|why| {
        tracing::debug!(target = %upstream.name, %why, "a target cannot be asked whether it is back");
        Fault::Transport
    })?;
    let (head, body) = response.into_parts();
    let bytes = Limited::new(body, MAX_ANSWER).collect().await;
    let bytes = bytes.map_err(|_broken| Fault::Garbage)?.to_bytes();
    let fault = if head.status.is_success() {
        match codec.observe_response(&bytes) {
            Ok(_) => return Ok(()),
            Err(ResponseError::Reported(error)) => Fault::of_error(&error),
            Err(_) if no_credit(codec, &bytes).is_some() => Fault::Billing,
            Err(_) => Fault::Garbage,
        }
    } else {
        Fault::of_error(&codec.decode_error(head.status.as_u16(), &bytes))
    };
    match fault {
        // It does not like the question, but it answers.
        Fault::Request | Fault::Moderated => Ok(()),
        fault => {
            let asked = wait::asked(&head.headers, SystemTime::now()).or_else(|| wait::asked_in(&bytes));
            Err(Unwell { fault, asked })
        }
    }
}

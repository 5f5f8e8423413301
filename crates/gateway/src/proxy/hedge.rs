//! Asking a second target where the first is slower to begin than it usually is (Dean and Barroso, "The Tail at Scale",
//! 2013). Whoever begins first answers; the other is given up, and its provider sees the connection close.

use std::future::Future;
use std::pin::Pin;

use waypost_routing::plan::{Plan, Why};

use super::forward::{Answer, Asked, Failure, Outcome};
use super::way::{Leg, Way};
use crate::telemetry::record::{GIVEN_UP, Record};
use crate::worker::Worker;

/// Tries a target, and after a while another one beside it.
pub(super) async fn race<'w>(
    worker: &'w Worker,
    asked: &Asked<'_>,
    first: Leg<'w>,
    plan: &mut Plan,
    way: &mut Way<'w>,
    record: &mut Record,
) -> Outcome {
    let stop = first.stop;
    let Some(patience) = way.patience(stop, asked.envelope.stream) else {
        return Outcome::of(stop, first.run(worker, asked, record).await);
    };
    let before = record.clone();
    let first_name = first.name();
    let mut first = Box::pin(first.run(worker, asked, record));
    tokio::select! {
        biased;
        result = &mut first => return Outcome::of(stop, result),
        () = tokio::time::sleep(patience) => {}
    }
    let second = match plan.hedge(way.look(), way) {
        Some(stop) => way.take(stop, Why::Turn).await.ok(),
        None => None,
    };
    let Some(second) = second else { return Outcome::of(stop, first.await) };
    let (other, second_name) = (second.stop, second.name());
    // What the second one does is written apart: whoever answers is what the record tells of.
    let mut apart = before.clone();
    let mut second = Box::pin(second.run(worker, asked, &mut apart));
    let (place, outcome, failed) = either(first.as_mut(), second.as_mut()).await;
    drop((first, second));
    let mut tries = record.tries.clone();
    tries.extend(apart.tries.split_off(before.tries.len()));
    let attempts = record.attempts + apart.attempts - before.attempts;
    let given_up = std::mem::take(if place == 1 { &mut record.calling } else { &mut apart.calling });
    if place == 1 {
        apart.raw = std::mem::take(&mut record.raw);
        *record = apart;
    }
    (record.tries, record.attempts) = (tries, attempts);
    if failed.is_none() {
        let (provider, model) = if place == 1 { first_name } else { second_name };
        record.calling = given_up;
        record.tried(&provider, &model, GIVEN_UP, 0, record.started());
    }
    let stops = [stop, other];
    Outcome { stop: stops[place], result: outcome, other: failed.map(|failure| (stops[1 - place], failure)) }
}

type Trying<'f> = Pin<&'f mut (dyn Future<Output = Result<Answer, Failure>> + Send)>;

/// Whoever begins first: its place, and what came of it; and the other's failure, if that came before.
async fn either(
    mut first: Trying<'_>,
    mut second: Trying<'_>,
) -> (usize, Result<Answer, Failure>, Option<Failure>) {
    tokio::select! {
        biased;
        result = &mut first => match result {
            Ok(answer) => (0, Ok(answer), None),
            Err(failure) => (1, second.await, Some(failure)),
        },
        result = &mut second => match result {
            Ok(answer) => (1, Ok(answer), None),
            Err(failure) => (0, first.await, Some(failure)),
        },
    }
}

//! The same records in a Postgres server, for whoever asks several gateways at once.
//!
//! The table is `waypost_records` (`table.rs`); what is in it is the operator's to keep and to delete. A server that is
//! away is waited for, as long as there is room; a record that was sent twice is there once.

mod address;
mod table;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use self::address::{AddressError, parse};
pub use self::table::{GRANT, SQL};
use self::table::{Problem, prepare, shown};
use super::write::{millis, model_of};
use crate::telemetry::caller;
use crate::telemetry::finished::{Finished, Sink};
use crate::telemetry::metrics::Metrics;
use crate::upstream::client::platform_tls;

/// How many records may wait.
const QUEUE: usize = 16_384;
/// How long they are gathered.
const GATHER: Duration = Duration::from_millis(500);
/// Most records of one statement.
const BATCH: usize = 1000;
/// Longest wait for the server.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked, meanwhile, whether the process ends.
const LOOK: Duration = Duration::from_millis(50);
/// Between two attempts, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Inserting is all that it takes a right for: a target of the conflict would have to be readable.
const INSERT: &str = "
    INSERT INTO waypost_records
        (id, time, status, method, route, model, caller, cost, total_ms, record, content)
    SELECT id::uuid, to_timestamp(at / 1000.0), status, NULLIF(method, ''), NULLIF(route, ''), NULLIF(model, ''),
        NULLIF(caller, ''), cost, total, record::jsonb, content::jsonb
    FROM unnest($1::text[], $2::float8[], $3::int4[], $4::text[], $5::text[], $6::text[], $7::text[], $8::float8[],
        $9::float8[], $10::text[], $11::text[])
        AS row (id, at, status, method, route, model, caller, cost, total, record, content)
    ON CONFLICT DO NOTHING
";

/// Sends records to a server.
#[derive(Debug)]
pub struct Postgres {
    sender: Mutex<Option<SyncSender<Arc<Finished>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// There will be no more: nobody waits for a server that is away.
    ends: Arc<AtomicBool>,
}

impl Postgres {
    /// Its name among those that are told of requests.
    pub const NAME: &str = "postgres";

    /// Starts the thread that sends. The server may come later.
    ///
    /// # Errors
    /// `url` is no address of a server, the system's certificates cannot be read, or no thread can be started.
    pub fn start(url: &SecretString, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let config = parse(url)?;
        let tls = MakeRustlsConnect::new(platform_tls()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (sender, receiver) = sync_channel(QUEUE);
        let ends = Arc::new(AtomicBool::new(false));
        let mut work =
            Work { config, tls, runtime, metrics, client: None, ends: Arc::clone(&ends), is_away: false };
        let work = move || work.run(&receiver);
        let thread = std::thread::Builder::new().name("postgres".to_owned()).spawn(work)?;
        Ok(Self { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), ends })
    }
}

impl Sink for Postgres {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn take(&self, finished: &Arc<Finished>) -> bool {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().is_some_and(|sender| sender.try_send(Arc::clone(finished)).is_ok())
    }

    fn close(&self) {
        self.ends.store(true, Ordering::Relaxed);
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that sends records to Postgres had panicked");
        }
    }
}

struct Work {
    config: Config,
    tls: MakeRustlsConnect,
    runtime: tokio::runtime::Runtime,
    metrics: Arc<Metrics>,
    client: Option<Client>,
    ends: Arc<AtomicBool>,
    /// The last attempt has failed: said once.
    is_away: bool,
}

impl Work {
    fn run(&mut self, receiver: &Receiver<Arc<Finished>>) {
        self.greet();
        while let Ok(first) = receiver.recv() {
            let mut batch = vec![first];
            let end = Instant::now() + GATHER;
            while batch.len() < BATCH {
                match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
                    Ok(finished) => batch.push(finished),
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                }
            }
            if !self.deliver(&Rows::of(&batch)) {
                let lost = batch.len() + receiver.iter().count();
                tracing::error!(lost, "records have not reached Postgres");
                (0..lost).for_each(|_| self.metrics.record_dropped(Postgres::NAME));
                return;
            }
        }
    }

    /// Connects, so that what is wrong with the server is said before there is a record.
    fn greet(&mut self) {
        let connecting = connect(&self.config, &self.tls);
        let ends = Arc::clone(&self.ends);
        let outcome = self.runtime.block_on(async {
            tokio::select! {
                outcome = tokio::time::timeout(TIMEOUT, connecting) => Some(outcome),
                () = ended(&ends) => None,
            }
        });
        match outcome {
            Some(Ok(Ok(client))) => self.client = Some(client),
            Some(Ok(Err(problem))) => self.complain(&problem.to_string()),
            Some(Err(_elapsed)) => self.complain(&no_answer()),
            None => {}
        }
    }

    /// Sends a batch, however long it takes; false if the process ends meanwhile.
    fn deliver(&mut self, rows: &Rows) -> bool {
        let mut pause = PAUSE.0;
        loop {
            let kept = self.client.take().filter(|client| !client.is_closed());
            let was_kept = kept.is_some();
            let sending = send(kept, &self.config, &self.tls, rows);
            let outcome = self.runtime.block_on(async { tokio::time::timeout(TIMEOUT, sending).await });
            let problem = match outcome {
                Ok(Ok(client)) => {
                    self.client = Some(client);
                    if std::mem::take(&mut self.is_away) {
                        tracing::info!("records reach Postgres again");
                    }
                    return true;
                }
                // It may have been cut since: a new one will tell.
                _ if was_kept => continue,
                Ok(Err(problem)) => problem.to_string(),
                Err(_elapsed) => no_answer(),
            };
            self.complain(&problem);
            let again = Instant::now() + pause;
            pause = (pause * 2).min(PAUSE.1);
            let is_over = self.runtime.block_on(async {
                tokio::select! {
                    () = tokio::time::sleep_until(again) => false,
                    () = ended(&self.ends) => true,
                }
            });
            if is_over {
                return false;
            }
        }
    }

    fn complain(&mut self, problem: &str) {
        if !std::mem::replace(&mut self.is_away, true) {
            tracing::error!(problem, "records do not reach Postgres, and wait as long as there is room");
        }
    }
}

fn no_answer() -> String {
    format!("no answer within {} seconds", TIMEOUT.as_secs())
}

/// Until the process ends.
async fn ended(ends: &AtomicBool) {
    while !ends.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK).await;
    }
}

/// A new connection to a server in which the table is there.
async fn connect(config: &Config, tls: &MakeRustlsConnect) -> Result<Client, Problem> {
    let (client, connection) = config.connect(tls.clone()).await?;
    // It ends with the client.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = shown(&error), "the connection to Postgres has ended");
        }
    });
    prepare(&client).await?;
    Ok(client)
}

/// Sends them over this connection, or a new one, which is returned.
async fn send(
    client: Option<Client>,
    config: &Config,
    tls: &MakeRustlsConnect,
    rows: &Rows,
) -> Result<Client, Problem> {
    let client = match client {
        Some(client) => client,
        None => connect(config, tls).await?,
    };
    let statement = client.prepare(INSERT).await?;
    let Rows { id, at, status, method, route, model, caller, cost, total, record, content } = rows;
    client
        .execute(&statement, &[id, at, status, method, route, model, caller, cost, total, record, content])
        .await?;
    Ok(client)
}

/// A batch by columns.
#[derive(Default)]
struct Rows {
    id: Vec<String>,
    at: Vec<f64>,
    status: Vec<i32>,
    method: Vec<&'static str>,
    route: Vec<String>,
    model: Vec<String>,
    caller: Vec<String>,
    cost: Vec<Option<f64>>,
    total: Vec<f64>,
    record: Vec<String>,
    content: Vec<Option<String>>,
}

impl Rows {
    fn of(batch: &[Arc<Finished>]) -> Self {
        let mut rows = Self::default();
        for finished in batch {
            let record = &finished.record;
            rows.id.push(record.id.to_string());
            #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970")]
            rows.at.push(millis(record.at) as f64);
            rows.status.push(record.status.into());
            rows.method.push(record.method.map_or("", |method| method.name()));
            rows.route.push(without_nul(record.route.as_deref().unwrap_or_default()));
            rows.model.push(without_nul(&model_of(record)));
            rows.caller.push(record.caller.map(caller::shown).unwrap_or_default());
            rows.cost.push(record.cost());
            rows.total.push(record.total.as_secs_f64() * 1e3);
            rows.record.push(storable(finished.row()));
            let content = finished.content.as_ref().and_then(|content| serde_json::to_string(content).ok());
            rows.content.push(content.map(|content| storable(&content)));
        }
        rows
    }
}

fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// JSON as Postgres takes it: it has no place for the character U+0000.
fn storable(json: &str) -> String {
    fn clean(value: &mut Value) {
        match value {
            Value::String(text) => *text = without_nul(text),
            Value::Array(items) => items.iter_mut().for_each(clean),
            Value::Object(fields) => fields.values_mut().for_each(clean),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    if !json.contains("\\u0000") {
        return json.to_owned();
    }
    let mut value: Value = serde_json::from_str(json).unwrap_or_default();
    clean(&mut value);
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_character_does_not_hold_up_the_others() {
        assert_eq!(
            storable(r#"{"a":"x\u0000y","b":["\\u0000"]}"#),
            "{\"a\":\"x\u{fffd}y\",\"b\":[\"\\\\u0000\"]}"
        );
        assert_eq!(storable(r#"{"a":1}"#), r#"{"a":1}"#);
    }
}

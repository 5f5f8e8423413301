//! The same records in a Postgres server, for whoever asks several gateways at once.
//!
//! The table is `waypost_records`; what is in it is the operator's to keep and to delete. A server that is away is
//! waited for, as long as there is room; a record that was sent twice is there once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::Instant;
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

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

const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS waypost_records (
        id UUID PRIMARY KEY,
        time TIMESTAMPTZ NOT NULL,
        status INTEGER NOT NULL,
        method TEXT,
        route TEXT,
        model TEXT,
        caller TEXT,
        cost DOUBLE PRECISION,
        total_ms DOUBLE PRECISION NOT NULL,
        record JSONB NOT NULL,
        content JSONB
    );
    CREATE INDEX IF NOT EXISTS waypost_records_time ON waypost_records (time);
";
const INSERT: &str = "
    INSERT INTO waypost_records
    SELECT id::uuid, to_timestamp(at / 1000.0), status, NULLIF(method, ''), NULLIF(route, ''), NULLIF(model, ''),
        NULLIF(caller, ''), cost, total, record::jsonb, content::jsonb
    FROM unnest($1::text[], $2::float8[], $3::int4[], $4::text[], $5::text[], $6::text[], $7::text[], $8::float8[],
        $9::float8[], $10::text[], $11::text[])
        AS row (id, at, status, method, route, model, caller, cost, total, record, content)
    ON CONFLICT (id) DO NOTHING
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
        // What is wrong with it may be a part of the password.
        let config: Config = url.expose_secret().parse().map_err(|_secret: Error| {
            anyhow::anyhow!(
                "`log.postgres` is not an address such as `postgres://user:password@host/database`"
            )
        })?;
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

    /// Sends a batch, however long it takes; false if the process ends meanwhile.
    fn deliver(&mut self, rows: &Rows) -> bool {
        let mut pause = PAUSE.0;
        loop {
            let client = self.client.take().filter(|client| !client.is_closed());
            let sending = send(client, &self.config, &self.tls, rows);
            let outcome = self.runtime.block_on(async { tokio::time::timeout(TIMEOUT, sending).await });
            let problem = match outcome {
                Ok(Ok(client)) => {
                    self.client = Some(client);
                    if std::mem::take(&mut self.is_away) {
                        tracing::info!("records reach Postgres again");
                    }
                    return true;
                }
                Ok(Err(error)) => shown(&error),
                Err(_elapsed) => format!("no answer within {} seconds", TIMEOUT.as_secs()),
            };
            if !std::mem::replace(&mut self.is_away, true) {
                tracing::error!(problem, "records do not reach Postgres, and wait as long as there is room");
            }
            let again = Instant::now() + pause;
            pause = (pause * 2).min(PAUSE.1);
            while Instant::now() < again {
                if self.ends.load(Ordering::Relaxed) {
                    return false;
                }
                self.runtime.block_on(async { tokio::time::sleep(LOOK).await });
            }
        }
    }
}

/// Sends them over this connection, or a new one, which is returned.
async fn send(
    client: Option<Client>,
    config: &Config,
    tls: &MakeRustlsConnect,
    rows: &Rows,
) -> Result<Client, Error> {
    let client = match client {
        Some(client) => client,
        None => {
            let (client, connection) = config.connect(tls.clone()).await?;
            // It ends with the client.
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(error = shown(&error), "the connection to Postgres has ended");
                }
            });
            client.batch_execute(TABLE).await?;
            client
        }
    };
    let statement = client.prepare(INSERT).await?;
    let Rows { id, at, status, method, route, model, caller, cost, total, record, content } = rows;
    client
        .execute(&statement, &[id, at, status, method, route, model, caller, cost, total, record, content])
        .await?;
    Ok(client)
}

/// What the server says, or what else is wrong; no address and no password is in it.
fn shown(error: &Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => {
            let mut cause: &dyn std::error::Error = error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            cause.to_string()
        }
    }
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

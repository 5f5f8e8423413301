//! Traces for a collector, by OTLP (<https://opentelemetry.io/docs/specs/otlp/>). Spans are made of finished records, on a
//! thread of their own: no request knows of it. What does not fit into the queue is lost and counted, and so is what a
//! collector does not take in time.

mod protobuf;
mod spans;
mod transport;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

use self::protobuf::Message;
use self::spans::{Request, Value, attribute};
use self::transport::{Refusal, Transport};
use super::finished::{Finished, Sink};
use super::metrics::Metrics;
use crate::config::Tracing;
use crate::upstream::client::ClientSettings;

/// How many records may wait.
const QUEUE: usize = 4096;
/// How many of them are not waited with.
const MANY: usize = QUEUE / 4;
/// How long spans are gathered.
const GATHER: Duration = Duration::from_secs(1);
/// How many bytes of them; gRPC servers take 4 MiB by default.
const BATCH_BYTES: usize = 1 << 20;
/// How long an export may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The first wait before the same spans are sent again; it doubles each time.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How long spans are worth it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the last spans have when the process stops.
const FLUSH: Duration = Duration::from_secs(5);

/// Enough for what stands around the spans of an export.
const ROOM: usize = 64;

/// Fields of `ExportTraceServiceRequest`, `ResourceSpans`, `ScopeSpans`.
mod field {
    pub(super) const RESOURCE_SPANS: u32 = 1;
    pub(super) const RESOURCE: u32 = 1;
    pub(super) const SCOPE_SPANS: u32 = 2;
    pub(super) const SCOPE: u32 = 1;
    pub(super) const SPANS: u32 = 2;
}

/// Takes finished requests and sends their spans on.
#[derive(Debug)]
pub struct Exporter(Mutex<Option<Running>>);

#[derive(Debug)]
struct Running {
    way: Way,
    /// Its end is the order to hurry.
    alive: watch::Sender<()>,
    thread: JoinHandle<()>,
}

impl Exporter {
    /// The sink's name.
    pub const NAME: &str = "traces";

    /// Starts the thread.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(tracing: &Tracing, client: &ClientSettings, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let (way, waiting) = way();
        let (alive, closing) = watch::channel(());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (tracing, client) = (tracing.clone(), client.clone());
        let work = move || runtime.block_on(run(&tracing, &client, waiting, closing, &metrics));
        let thread = std::thread::Builder::new().name(Self::NAME.to_owned()).spawn(work)?;
        Ok(Self(Mutex::new(Some(Running { way, alive, thread }))))
    }
}

impl Sink for Exporter {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn take(&self, finished: &Arc<Finished>) -> bool {
        if !finished.record.is_traced() {
            return true;
        }
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().is_some_and(|running| running.way.put(finished))
    }

    fn close(&self) {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { way, alive, thread }) = running else { return };
        drop((way, alive));
        if thread.join().is_err() {
            tracing::error!("the thread that exports traces had panicked");
        }
    }
}

async fn run(
    tracing: &Tracing,
    client: &ClientSettings,
    mut waiting: Waiting,
    mut closing: watch::Receiver<()>,
    metrics: &Metrics,
) {
    let collector = &tracing.collector;
    let headers: HeaderMap = collector.headers.iter().cloned().collect();
    let transport = Transport::new(client, collector.protocol, collector.uri.clone(), headers, TIMEOUT);
    let over = async move {
        while closing.changed().await.is_ok() {}
        tokio::time::sleep(FLUSH).await;
    };
    let mut delivery = Delivery { transport, metrics, over: Some(Box::pin(over)), is_troubled: false };
    let mut batch = Batch::new(tracing);
    loop {
        let is_open = batch.gather(&mut waiting).await;
        if batch.count > 0 {
            delivery.deliver(&batch.message(), batch.count).await;
            batch.clear();
        }
        if !is_open {
            return;
        }
    }
}

/// The way to the thread. It is woken by the first record, by many and by the end: to wake it for each costs more than a
/// record does.
#[derive(Debug)]
struct Way {
    /// `None` while this is dropped.
    records: Option<mpsc::Sender<Arc<Finished>>>,
    hurry: Arc<Notify>,
}

/// What has come and is not sent.
struct Waiting {
    records: mpsc::Receiver<Arc<Finished>>,
    hurry: Arc<Notify>,
}

fn way() -> (Way, Waiting) {
    let (sender, records) = mpsc::channel(QUEUE);
    let hurry = Arc::new(Notify::new());
    (Way { records: Some(sender), hurry: Arc::clone(&hurry) }, Waiting { records, hurry })
}

impl Way {
    /// Never waits: false if there is no room.
    fn put(&self, finished: &Arc<Finished>) -> bool {
        let Some(records) = &self.records else { return false };
        let is_taken = records.try_send(Arc::clone(finished)).is_ok();
        if records.max_capacity() - records.capacity() >= MANY {
            self.hurry.notify_one();
        }
        is_taken
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        drop(self.records.take());
        self.hurry.notify_one();
    }
}

/// Spans that go together.
struct Batch<'t> {
    tracing: &'t Tracing,
    /// The resource, once and for all.
    resource: Vec<u8>,
    /// A `ScopeSpans`.
    spans: Message,
    count: u64,
}

impl<'t> Batch<'t> {
    fn new(tracing: &'t Tracing) -> Self {
        let mut resource = Message::default();
        let instance = Uuid::now_v7().to_string();
        let own = [("service.instance.id", instance.as_str())];
        let given = tracing.resource.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let is_given = |name: &str| tracing.resource.iter().any(|(known, _)| known == name);
        for (name, value) in given.chain(own.into_iter().filter(|(name, _)| !is_given(name))) {
            attribute(&mut resource, 1, name, &Value::Text(value));
        }
        let mut batch = Self { tracing, resource: resource.0, spans: Message::default(), count: 0 };
        batch.clear();
        batch
    }

    fn clear(&mut self) {
        self.count = 0;
        self.spans.0.clear();
        self.spans.message(field::SCOPE, |scope| {
            scope.bytes(1, b"waypost");
            scope.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
        });
    }

    /// Waits for records, and a little for more of them. False if no more will come.
    async fn gather(&mut self, Waiting { records, hurry }: &mut Waiting) -> bool {
        let Some(first) = records.recv().await else { return false };
        self.add(&first);
        let end = Instant::now() + GATHER;
        while self.spans.0.len() < BATCH_BYTES {
            match records.try_recv() {
                Ok(next) => self.add(&next),
                Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) if Instant::now() >= end => break,
                Err(TryRecvError::Empty) => tokio::select! {
                    () = tokio::time::sleep_until(end) => {}
                    () = hurry.notified() => {}
                },
            }
        }
        true
    }

    fn add(&mut self, finished: &Finished) {
        if let Some(request) = Request::of(finished, self.tracing) {
            self.count += request.write(&mut self.spans, field::SPANS);
        }
    }

    /// An `ExportTraceServiceRequest`.
    fn message(&self) -> Bytes {
        let mut message = Message(Vec::with_capacity(self.resource.len() + self.spans.0.len() + ROOM));
        message.message(field::RESOURCE_SPANS, |resource_spans| {
            resource_spans.member_bytes(field::RESOURCE, &self.resource);
            resource_spans.member_bytes(field::SCOPE_SPANS, &self.spans.0);
        });
        message.0.into()
    }
}

/// The way out.
struct Delivery<'m> {
    transport: Transport,
    metrics: &'m Metrics,
    /// Ends when there is no more time; `None` from then on.
    over: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// The last export has failed: that is said once.
    is_troubled: bool,
}

impl Delivery<'_> {
    /// Sends spans, again and again if need be.
    async fn deliver(&mut self, message: &Bytes, count: u64) {
        let why = match self.over.take() {
            None => "the process stops".to_owned(),
            Some(mut over) => {
                let outcome = tokio::select! {
                    outcome = attempts(&self.transport, message) => {
                        self.over = Some(over);
                        outcome
                    }
                    () = &mut over => Err("the process stops".to_owned()),
                };
                match outcome {
                    Ok(accepted) => return self.arrived(&accepted, count),
                    Err(why) => why,
                }
            }
        };
        self.metrics.spans("failed", count);
        if !std::mem::replace(&mut self.is_troubled, true) {
            tracing::warn!(%why, spans = count, "traces do not arrive at the collector");
        }
    }

    fn arrived(&mut self, accepted: &transport::Accepted, count: u64) {
        let rejected = accepted.rejected.min(count);
        self.metrics.spans("exported", count - rejected);
        self.metrics.spans("rejected", rejected);
        if std::mem::replace(&mut self.is_troubled, false) {
            tracing::info!("traces arrive at the collector again");
        }
        if rejected > 0 {
            tracing::warn!(rejected, message = accepted.message, "the collector does not take some spans");
        } else if !accepted.message.is_empty() {
            tracing::debug!(message = accepted.message, "the collector has something to say");
        }
    }
}

/// Exports, with waits in between (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>).
async fn attempts(transport: &Transport, message: &Bytes) -> Result<transport::Accepted, String> {
    let begun = Instant::now();
    let mut pause = PAUSE;
    loop {
        let (why, after) = match transport.export(message).await {
            Ok(accepted) => return Ok(accepted),
            Err(Refusal::Final(why)) => return Err(why),
            Err(Refusal::Again { why, after }) => (why, after),
        };
        // Half to one and a half of it, so that not all instances come back at once.
        let wait = after.unwrap_or_else(|| pause.mul_f64(0.5 + fastrand::f64()));
        if begun.elapsed() + wait > PATIENCE {
            return Err(why);
        }
        tracing::debug!(%why, wait = wait.as_secs_f64(), "an export of traces is tried again");
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use waypost_dialect::ClientDialect;

    use super::*;
    use crate::config::{Collector, Protocol};
    use crate::telemetry::record::Record;

    fn tracing() -> Tracing {
        let uri = http::Uri::from_static("http://127.0.0.1:4318/v1/traces");
        Tracing {
            ratio: 1.0,
            collector: Collector { uri, protocol: Protocol::Http, headers: Vec::new() },
            header_prefixes: Vec::new(),
            attributes: Vec::new(),
            resource: Vec::new(),
            content: false,
        }
    }

    fn put(way: &Way, count: usize) -> usize {
        let record = || Box::new(Record::open("/v1/messages", ClientDialect::AnthropicMessages));
        (0..count).filter(|_| way.put(&Arc::new(Finished::new(record())))).count()
    }

    #[tokio::test(start_paused = true)]
    async fn many_are_taken_while_they_are_gathered() {
        let ((way, mut waiting), tracing) = (super::way(), tracing());
        let mut batch = Batch::new(&tracing);
        let start = Instant::now();
        let ((), is_open) = tokio::join!(
            async {
                for _ in 0..3 * QUEUE / MANY {
                    assert_eq!(put(&way, MANY), MANY);
                    // The other one has its turn.
                    tokio::task::yield_now().await;
                }
            },
            batch.gather(&mut waiting)
        );
        assert!(is_open);
        assert_eq!(start.elapsed(), GATHER);
        assert_eq!(put(&way, QUEUE + 1), QUEUE, "what has no room is not taken");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_is_not_waited_with() {
        let ((way, mut waiting), tracing) = (super::way(), tracing());
        let mut batch = Batch::new(&tracing);
        put(&way, 1);
        let start = Instant::now();
        let ((), is_open) = tokio::join!(
            async {
                tokio::time::sleep(GATHER / 4).await;
                drop(way);
            },
            batch.gather(&mut waiting)
        );
        assert!(!is_open);
        assert_eq!(start.elapsed(), GATHER / 4);
    }
}

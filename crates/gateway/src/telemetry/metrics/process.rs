//! What the operating system says of this process, read at each scrape, under the names that all clients of Prometheus
//! use (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>). Linux only: elsewhere they are
//! not there.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// `USER_HZ`: what the kernel counts in toward programs, on every architecture that matters (`proc_pid_stat(5)`).
const TICKS_A_SECOND: f64 = 100.0;

/// Reads `/proc`.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut put = |name: &str, help: &str, unit: Option<Unit>, value: Option<Value>| {
            let Some(value) = value else { return Ok(()) };
            match value {
                Value::Counter(value) => {
                    let counter = ConstCounter::new(value);
                    counter.encode(encoder.encode_descriptor(
                        name,
                        help,
                        unit.as_ref(),
                        counter.metric_type(),
                    )?)
                }
                Value::Gauge(value) => {
                    let gauge = ConstGauge::new(value);
                    gauge.encode(encoder.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?)
                }
            }
        };
        let stat = std::fs::read_to_string("/proc/self/stat").ok();
        let stat = stat.as_deref().and_then(Stat::read);
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let boot = std::fs::read_to_string("/proc/stat").ok().and_then(|text| field(&text, "btime "));
        let started = stat.as_ref().zip(boot).map(|(stat, boot)| boot + stat.started);
        let cpu = stat.as_ref().map(|stat| Value::Counter(stat.cpu));
        let seconds = Some(Unit::Seconds);
        put(
            "process_cpu",
            "Time that the process has computed, in user and kernel mode",
            seconds.clone(),
            cpu,
        )?;
        put(
            "process_start_time",
            "When the process started, in seconds since 1970",
            seconds,
            started.map(Value::Gauge),
        )?;
        for (name, help, key) in [
            ("process_resident_memory", "Memory that the process has in RAM", "VmRSS:"),
            ("process_virtual_memory", "Address space of the process", "VmSize:"),
        ] {
            let kibibytes = field(&status, key);
            put(name, help, Some(Unit::Bytes), kibibytes.map(|kib| Value::Gauge(kib * 1024.0)))?;
        }
        put("process_threads", "Threads of the process", None, field(&status, "Threads:").map(Value::Gauge))?;
        put("process_open_fds", "Files and sockets that the process has open", None, open_files())?;
        put("process_max_fds", "How many it may have open", None, most_files())
    }
}

enum Value {
    Counter(f64),
    Gauge(f64),
}

/// What is needed of `/proc/self/stat`, in seconds.
struct Stat {
    cpu: f64,
    /// Since the machine started.
    started: f64,
}

impl Stat {
    fn read(text: &str) -> Option<Self> {
        // The second field is the program's name in brackets and may hold anything; the third is the first behind it.
        let (_, behind) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = behind.split_ascii_whitespace().collect();
        let ticks = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let cpu = (ticks(14)? + ticks(15)?) / TICKS_A_SECOND;
        Some(Self { cpu, started: ticks(22)? / TICKS_A_SECOND })
    }
}

/// The number behind a key at the beginning of a line.
fn field(text: &str, key: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

fn open_files() -> Option<Value> {
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the folder itself.
    u32::try_from(count.saturating_sub(1)).ok().map(|count| Value::Gauge(count.into()))
}

fn most_files() -> Option<Value> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    field(&limits, "Max open files").map(Value::Gauge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let mut fields = vec!["0"; 50];
        (fields[11], fields[12], fields[19]) = ("250", "50", "1234");
        let stat = Stat::read(&format!("17 (a) b) {}", fields.join(" "))).unwrap();
        assert_eq!((stat.cpu, stat.started), (3.0, 12.34));
        assert!(Stat::read("17 (a) S 1 2").is_none());
    }

    #[test]
    fn the_machine_says_plausible_things() {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        assert!(field(&status, "VmRSS:").unwrap() > 500.0);
        assert!(matches!(open_files(), Some(Value::Gauge(count)) if count > 1.0));
        assert!(matches!(most_files(), Some(Value::Gauge(count)) if count > 1.0));
    }
}

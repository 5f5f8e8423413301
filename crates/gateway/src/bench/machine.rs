//! What is measured on: cores, the processor's model, and who else uses them.

use serde::Serialize;

/// Ticks of processor time a second, as `/proc/stat` counts (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;

/// Facts of this machine.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Machine {
    /// As this process may use them.
    pub(super) cores: usize,
    /// The processor's model, where it is known.
    pub(super) cpu: Option<String>,
    /// `linux`, `macos` and the like.
    pub(super) system: &'static str,
    /// `x86_64`, `aarch64` and the like.
    pub(super) architecture: &'static str,
}

impl Machine {
    pub(super) fn new() -> Self {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: model(&text),
            system: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
        }
    }
}

fn model(cpuinfo: &str) -> Option<String> {
    let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map(|(_, name)| name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Seconds for which all cores together have worked, for anybody (`/proc/stat`). What a hypervisor took away is not
/// among them.
pub(super) fn busy() -> Option<f64> {
    seconds(&std::fs::read_to_string("/proc/stat").ok()?)
}

fn seconds(stat: &str) -> Option<f64> {
    // user nice system idle iowait irq softirq steal
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let ticks: Vec<f64> = fields.map_while(|field| field.parse().ok()).collect();
    let at = |index: usize| ticks.get(index).copied();
    Some((at(0)? + at(1)? + at(2)? + at(5)? + at(6)?) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read() {
        assert_eq!(
            model("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\n").as_deref(),
            Some("Some CPU @ 3 GHz")
        );
        assert_eq!(model("processor\t: 0\n"), None);
        assert_eq!(seconds("cpu  100 20 30 4000 50 6 4 70 0 0\ncpu0 1\n"), Some(1.6));
        assert_eq!(seconds(""), None);
    }
}

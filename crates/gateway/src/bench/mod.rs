//! `waypost bench`: a mock provider, a load and a report, so that anybody can measure on a machine of their own what
//! `BENCHMARKING.md` says of ours.
//!
//! The mock and the gateway are processes of their own, so that their processor time can be told apart; the load is
//! this process. The gateway is the ordinary `waypost up` with the configuration of the case.

mod answers;
mod ask;
mod case;
mod connection;
mod histogram;
mod load;
mod machine;
mod measure;
pub mod mock;
pub mod process;
mod report;
mod target;
mod wire;

pub use answers::ANSWER;
pub use case::Case;
pub use measure::{Plan, run};
pub use report::{Failed, Figure, Report, Row, Settings, Spread};
pub use target::Target;

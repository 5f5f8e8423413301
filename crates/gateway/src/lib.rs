//! The gateway: everything that touches the world. Modules stand in the order in which a process and then a request
//! meets them.

pub mod admin;
pub mod cli;
pub mod config;
mod contents;
mod memory;
mod pieces;
mod placed;
pub mod reload;
pub mod runtime;
pub mod serve;
mod soon;
mod temporary;
pub mod worker;

mod http1;
pub mod server;

pub mod proxy;
pub mod responses;
pub mod sessions;
pub mod upstream;

pub mod corrections;
pub mod store;
pub mod telemetry;

pub mod evaluation;
pub mod lint;

pub mod echo;

#[cfg(feature = "bench")]
pub mod bench;

//! Which model takes a request, and why: facts in, decision out.
//!
//! No I/O; clock and randomness are arguments. The same code answers live traffic, `waypost route` and the tests.
//! Modules stand in the order in which a request meets them.

#![warn(missing_docs)]

pub mod affinity;
pub mod catalog;
pub mod models;
pub mod preference;
pub mod router;

pub mod fault;
pub mod health;
pub mod order;
pub mod pace;
pub mod plan;
pub mod retry_budget;

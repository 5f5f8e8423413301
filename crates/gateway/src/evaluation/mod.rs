//! Measuring routes: labelled conversations in, figures out, through the same scorers that serve traffic.
//!
//! `lines` and `suite` read, `run` decides, `figures` and `confusion` count, `compare` says what moved, `replay` decides recorded requests once more, `fit` chooses thresholds, `learn` takes corrections up, `cluster` finds
//! what is alike.

pub mod cluster;
pub mod compare;
pub mod confusion;
pub mod figures;
pub mod fit;
pub mod learn;
pub mod lines;
pub mod replay;
pub mod run;
pub mod subject;
pub mod suite;

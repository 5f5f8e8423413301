//! Measuring routes: labelled conversations in, figures out, through the same scorers that serve traffic.
//!
//! `suite` reads, `run` decides, `figures` counts.

pub mod figures;
pub mod run;
pub mod suite;

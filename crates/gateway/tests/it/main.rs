//! The one integration binary.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's own functions fail the test")]

mod admin;
mod admin_records;
mod affinity;
mod bad_input;
mod bedrock;
mod clouds;
mod config;
mod decision;
mod diff;
mod echo;
mod echo_gemini;
mod echo_responses;
mod fake;
mod faults;
mod faults_reference;
mod fit;
#[path = "../../../dialect/tests/it/frames.rs"]
mod frames;
mod gemini;
mod google;
mod hostile;
mod hostile_http2;
mod hostile_provider;
mod metrics_reference;
mod models;
mod observe;
mod other_apis;
mod passthrough;
mod process;
mod providers;
mod records;
mod reliability;
mod reload;
mod request_routes;
mod responses;
mod router_model;
mod routes;
mod routing;
mod selection;
mod support;
mod thresholds;
mod use_cases;

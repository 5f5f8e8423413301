//! Toward providers: where each entry of the configuration leads, the client that goes there, and what the router
//! model is spared.

pub mod aws;
pub mod check;
pub mod client;
pub mod endpoint;
pub mod fleet;
pub mod google;
pub(crate) mod hop;
mod http1;
pub mod place;
pub mod rotating;
pub mod router_model;
pub mod signing;
pub mod sigv4;

mod call;
pub(crate) mod no_credit;
mod room;
pub(crate) mod wait;

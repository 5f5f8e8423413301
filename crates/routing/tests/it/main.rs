//! What routing does from outside, on data.

mod reading;

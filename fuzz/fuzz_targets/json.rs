//! The reader of JSON: it takes what `serde_json` takes, and makes the same of it.
#![no_main]

use std::borrow::Cow;
use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_json::Value;
use waypost_dialect::read_json;

#[derive(Debug, PartialEq, Deserialize)]
struct Known<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    messages: Option<Vec<Value>>,
    stream: Option<bool>,
    temperature: Option<f64>,
}

fuzz_target!(|data: &[u8]| {
    same::<Value>(data);
    same::<Known<'_>>(data);
    same::<Vec<i64>>(data);
    same::<BTreeMap<String, Value>>(data);
});

fn same<'a, T: Deserialize<'a> + PartialEq + std::fmt::Debug>(data: &'a [u8]) {
    let (ours, theirs) = (read_json::<T>(data), serde_json::from_slice::<T>(data));
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs),
        (Err(ours), Err(theirs)) => assert_eq!(ours.to_string(), theirs.to_string()),
        (ours, theirs) => panic!("{ours:?}, and {theirs:?}"),
    }
}

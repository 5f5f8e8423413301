//! A request's envelope: a body that can be read has its model put in place, and nothing else of it changes.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use waypost_dialect::envelope::{peek, peek_any, peek_model};

const MODEL: &str = "provider/a \"name\"";

fuzz_target!(|data: &[u8]| {
    let body = Bytes::copy_from_slice(data);
    for peek in [peek, peek_model, peek_any] {
        let Ok(envelope) = peek(&body) else { continue };
        let spliced = envelope.splice_model(&body, MODEL).concat();
        let again = peek(&spliced).expect("what was spliced can be read");
        assert_eq!(again.model.as_deref(), Some(MODEL));
        assert_eq!((again.stream, again.message_count()), (envelope.stream, envelope.message_count()));
        assert_eq!(again.needs(), envelope.needs());
        assert_eq!(format!("{:?}", again.turns()), format!("{:?}", envelope.turns()));
        assert!(again.routing_preferences.is_none());
        let framed = envelope.splice_version(&body, "v1", None).concat();
        let framed = peek_model(&framed).expect("what was spliced can be read");
        assert!(framed.model.is_none() && framed.routing_preferences.is_none());
        // Nothing to change: the same bytes.
        let whole = Bytes::from(spliced.clone());
        assert_eq!(again.splice_model(&whole, MODEL).concat(), spliced);
        assert!(
            peek(&envelope.without_preferences(&body))
                .expect("it can still be read")
                .routing_preferences
                .is_none()
        );
        // Numbers that no `Value` holds stay out of the comparison.
        let (Ok(Value::Object(mut before)), Ok(Value::Object(mut after))) =
            (serde_json::from_slice(&body), serde_json::from_slice(&spliced))
        else {
            continue;
        };
        for object in [&mut before, &mut after] {
            object.remove("model");
            object.remove("routing_preferences");
        }
        assert_eq!(before, after);
    }
});

//! Hostile sizes: nothing here may take more than linear time. A quadratic step would run for minutes, so a passing
//! test is the measurement.

use waypost_dialect::dialect::StreamOptions;
use waypost_dialect::loss::Loss;
use waypost_dialect::provider::Quirks;

use super::golden::{CLIENTS, PROVIDERS};

#[test]
fn large_and_deep_requests() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let nested = r#"{"type":"tool_result","tool_use_id":"a","content":["#.repeat(5_000);
    let nested = format!("{nested}{}", "]}".repeat(5_000));
    let many = r#"{"role":"user","content":[{"type":"text","text":"hi"},{"type":"text","text":"ho"}]},"#;
    for body in [
        format!(r#"{{"messages":[{}{{"role":"user","content":"end"}}]}}"#, many.repeat(20_000)),
        format!(r#"{{"messages":[{{"role":"user","content":"x"}}],"unknown":{deep}}}"#),
        format!(r#"{{"messages":[{{"role":"user","content":{deep}}}]}}"#),
        format!(r#"{{"messages":[{{"role":"user","content":[{nested}]}}]}}"#),
        format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "\\n".repeat(2_000_000)),
        format!(r#"{{"messages":[],{}"a":1}}"#, r#""k":null,"#.repeat(300_000)),
    ] {
        for from in CLIENTS {
            let Ok(request) = from.codec().decode_request(body.as_bytes()) else { continue };
            for to in PROVIDERS {
                let _ = to.codec().encode_request(&request, Quirks::default(), &mut Loss::default());
            }
        }
    }
}

#[test]
fn streams_byte_by_byte() {
    let piece = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"}}"}}]}}]}"#;
    let stream = format!("data: {}\n\n", piece.replace("}}\"", &format!("{}\"", "}".repeat(300_000))));
    for dialect in CLIENTS {
        let (mut decoder, mut tap) = (dialect.codec().stream_decoder(), dialect.codec().stream_tap());
        let mut encoder = dialect.codec().stream_encoder(StreamOptions::default());
        let (mut events, mut out) = (Vec::new(), Vec::new());
        for byte in stream.as_bytes() {
            tap.push(&[*byte]);
            if decoder.push(&[*byte], &mut events).is_err() {
                break;
            }
        }
        for event in &events {
            encoder.push(event, &mut out, &mut Loss::default());
        }
    }
}

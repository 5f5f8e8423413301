//! Same dialect on both sides: bytes go through as they are, and at once.

use serde_json::json;

use crate::fake::{Client, END, Fake, STREAM, chunk, gate, good, good_events, json_answer, write};
use crate::support::{
    ALL, CHAT, Gateway, MESSAGES, RESPONSES, WAYS, end_of, error_of_any, has_error, is_same, pair, question,
    request, send,
};

/// Bodies that no serializer would write; `@MODEL@` is the value of `model`.
const ODD: [&str; 4] = [
    "{ \"messages\" : [ {\"role\":\"user\", \"content\":\"h\\u00e9 \\ud83e\\udd80 \u{e9}\u{1f980} \\/\"} ],\r\n\t\"model\":@MODEL@ ,\"temperature\":1.0e+00,\"max_tokens\":10E-1, \"x\":{\"b\":1,\"a\":[ ]} }\n",
    "\n {\"max_tokens\":9,\"model\" : @MODEL@,\"messages\":[{\"content\":[{\"type\":\"text\",\"text\":\"x\",\"cache_control\":{\"type\":\"ephemeral\"}}],\"role\":\"user\",\"unheard_of\":null}]}",
    "{\"seed\":123456789012345678901234567890,\"top_p\":0.10,\"nested\":{\"model\":\"openai/m\"},\"model\":@MODEL@,\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"\\\"model\\\":\\\"openai/m\\\"\"}]}",
    "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":1,\"empty\":\"\",\"exp\":1E400,\"minus\":-0,\"model\":@MODEL@}",
];

#[test]
fn a_request_keeps_every_byte_but_the_models_name() {
    let fake = Fake::start(|seen, stream| write(stream, json_answer(200, good(seen))));
    let gateway = Gateway::with(&pair(fake.address, ""));
    let large = format!(
        "{{\"messages\":[{{\"role\":\"user\",\"content\":\"{}\"}}],\"model\":@MODEL@,\"max_tokens\":1,\"tail\":\"{}\"}}",
        "x".repeat(40_000),
        "y".repeat(300_000)
    );
    for (path, model, names) in [
        (CHAT, "m", &["openai/m", "m", "fast", "auto", ""][..]),
        (MESSAGES, "c", &["anthropic/c", "c", "careful"][..]),
        (RESPONSES, "r", &["native/r", "r"][..]),
    ] {
        for body in ODD.into_iter().chain([large.as_str()]) {
            let body =
                &if path == RESPONSES { body.replace("\"messages\"", "\"input\"") } else { body.to_owned() };
            for name in names {
                let sent = body.replace("@MODEL@", &json!(name).to_string());
                let reply = gateway.post(path, &sent);
                assert_eq!(reply.status, 200, "{name}: {}", reply.text());
                let seen = fake.last();
                assert_eq!(seen.text(), body.replace("@MODEL@", &json!(model).to_string()), "{path} {name}");
                assert_eq!(seen.header("content-length").unwrap(), seen.body.len().to_string());
            }
        }
    }
    // A model that is left out, or null.
    let body = r#" { "messages":[{"role":"user","content":"x"}] }"#;
    gateway.post(CHAT, body);
    assert_eq!(fake.last().text(), r#" {"model":"m", "messages":[{"role":"user","content":"x"}] }"#);
    gateway.post(CHAT, r#"{"model" : null ,"messages":[{"role":"user","content":"x"}]}"#);
    assert_eq!(fake.last().text(), r#"{"model" : "m" ,"messages":[{"role":"user","content":"x"}]}"#);
    gateway.stop();
}

#[test]
fn headers_go_on_without_the_clients_secrets() {
    let fake = Fake::start(|seen, stream| write(stream, json_answer(200, good(seen))));
    let gateway = Gateway::with(&pair(fake.address, ""));
    for (path, model) in WAYS {
        let extra = "anthropic-beta: b-1\r\nuser-agent: sdk/1\r\nx-waypost-model: forged\r\naccept-encoding: gzip\r\n\
            connection: x-hop\r\nx-hop: 1\r\n";
        let body = question(path, model, "Hi").to_string();
        assert_eq!(send(gateway.address, &[request(path, extra, &body).as_bytes()]).status, 200);
        let seen = fake.last();
        assert!(!seen.head.contains("client-secret"), "{}", seen.head);
        assert!(!seen.head.contains("forged"), "{}", seen.head);
        let expected = if model == "c" {
            ("x-api-key", "sk-it-anthropic-secret", "authorization")
        } else {
            ("authorization", "Bearer sk-it-openai-secret", "x-api-key")
        };
        assert_eq!(seen.header(expected.0), Some(expected.1));
        assert_eq!(seen.header(expected.2), None);
        assert_eq!(seen.header("anthropic-version"), (model == "c").then_some("2023-06-01"));
        let same = is_same(path, model);
        assert_eq!(seen.header("anthropic-beta"), same.then_some("b-1"));
        assert_eq!(seen.header("x-trace"), same.then_some("abc"));
        assert_eq!(seen.header("user-agent"), Some("sdk/1"));
        assert_eq!((seen.header("accept-encoding"), seen.header("x-hop")), (None, None));
        assert_eq!(seen.header("host"), Some(fake.address.to_string().as_str()));
    }
    gateway.stop();
}

#[test]
fn an_answer_keeps_every_byte() {
    let odd = |good: &str| {
        let spaced = good.replace(':', " :\t").replace("Fine", "F\\u0069ne \\ud83e\\udd80 \u{1f980} \\/");
        format!("\r\n{}, \"x\":[1.0e+2,  123456789012345678901234567890]}}\n ", &spaced[..spaced.len() - 1])
    };
    let fake = Fake::start(move |seen, stream| {
        let body = odd(good(seen));
        let length = body.len();
        write(
            stream,
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\ncontent-length: {length}\r\n\
                 x-ratelimit-remaining-requests: 7\r\nrequest-id: r1\r\nset-cookie: secret=1\r\nserver: s\r\n\
                 connection: close, x-hop\r\nx-hop: 1\r\nx-waypost-route: forged\r\nx-waypost-dropped: forged\r\n\r\n{body}"
            ),
        );
    });
    let gateway = Gateway::with(&pair(fake.address, ""));
    for (path, model) in WAYS {
        let reply = gateway.ask(path, model, "Hi");
        assert_eq!(reply.status, 200, "{}", reply.text());
        let same = is_same(path, model);
        assert_eq!(reply.text().starts_with("\r\n"), same);
        if same {
            let seen = fake.last();
            assert_eq!(reply.text(), odd(good(&seen)));
        }
        assert_eq!(reply.header("x-ratelimit-remaining-requests"), "7");
        assert_eq!(reply.header("request-id"), "r1");
        for name in ["set-cookie", "server", "x-hop", "x-waypost-route"] {
            assert_eq!(reply.header(name), "", "{name}");
        }
        assert!(!reply.headers.iter().any(|(_, value)| value == "forged"));
        assert_eq!(reply.header("content-length"), reply.body.len().to_string());
    }
    gateway.stop();
}

#[test]
fn an_error_keeps_every_byte_and_its_headers() {
    let chat = "{ \"error\":{\"message\" : \"no\", \"type\":\"tokens\",\"param\":null,\"code\":\"rate_limit_exceeded\",\"extra\":1}}\n";
    let messages = "{\"error\":{\"type\":\"rate_limit_error\", \"message\" :\"no\"},\"type\":\"error\",\"request_id\":\"r\"}\n";
    let fake = Fake::start(move |seen, stream| {
        let body = if seen.is_messages() { messages } else { chat };
        let length = body.len();
        write(
            stream,
            format!(
                "HTTP/1.1 429 Slow\r\ncontent-type: application/json\r\nconnection: close\r\nretry-after: 7\r\ncontent-length: {length}\r\n\r\n{body}"
            ),
        );
    });
    for (path, model) in WAYS {
        // Another one each time: who asks to be left alone is, after a second question.
        let gateway = Gateway::with(&pair(fake.address, ""));
        for reply in [gateway.ask(path, model, "Hi"), gateway.stream(path, model, "Hi")] {
            assert_eq!((reply.status, reply.header("retry-after")), (429, "7"));
            let (message, kind) = error_of_any(path, &reply.json());
            assert_eq!(message, "no");
            if is_same(path, model) {
                assert_eq!(reply.text(), if path == MESSAGES { messages } else { chat });
            } else {
                assert_eq!(kind, "rate_limit_error");
            }
        }
        gateway.stop();
    }
}

/// Each chunk reaches the client before the provider sends the next one.
#[test]
fn a_stream_goes_through_chunk_by_chunk() {
    const CHAT_CHUNKS: [&str; 5] = [
        ": comment\n\ndata:{ \"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"One\"}}],\"odd\":1.0e+1}\r\n\r\n",
        "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Two \u{1f980}\"},\"logprobs\":null}]}\n\n",
        "event: unheard-of\ndata: Three\n\n",
        "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: [DONE]\n\n",
    ];
    const MESSAGES_CHUNKS: [&str; 4] = [
        "event: message_start\ndata: { \"type\":\"message_start\",\"message\":{\"id\":\"1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":1}},\"odd\":1.0e+1}\r\n\r\n",
        "event: ping\ndata: {\"type\" : \"ping\"}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Two\"}}\n\n",
        "event: unheard_of\ndata: {\"type\":\"unheard_of\",\"text\":\"Three\"}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ];
    const RESPONSES_CHUNKS: [&str; 4] = [
        "event: response.created\ndata: { \"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\",\"output\":[]},\"odd\":1.0e+1}\r\n\r\n",
        ": comment\n\ndata: {\"type\" : \"response.output_text.delta\",\"delta\":\"Two \u{1f980}\"}\n\n",
        "event: unheard_of\ndata: {\"type\":\"unheard_of\",\"text\":\"Three\"}\n\n",
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"output\":[]}}\n\n",
    ];
    for (path, model, chunks) in [
        (CHAT, "m", &CHAT_CHUNKS[..]),
        (MESSAGES, "c", &MESSAGES_CHUNKS[..]),
        (RESPONSES, "r", &RESPONSES_CHUNKS[..]),
    ] {
        // What comes before the first content is held back until then.
        let held = usize::from(path != CHAT);
        let (go_on, wait) = gate();
        let fake = Fake::start(move |_, stream| {
            write(stream, STREAM);
            for (position, data) in chunks.iter().enumerate() {
                write(stream, chunk(data));
                if position >= held {
                    wait();
                }
            }
            write(stream, END);
        });
        let gateway = Gateway::with(&pair(fake.address, ""));
        let mut body = question(path, model, "Hi");
        body["stream"] = true.into();
        let mut client = Client::open(gateway.address, request(path, "", &body.to_string()));
        for data in &chunks[held..] {
            client.read_until(data);
            go_on.send(()).unwrap();
        }
        let all = client.read_to_end();
        let (head, sent) = all.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        let together = chunks[..=held].concat();
        let expected: String =
            std::iter::once(together.as_str()).chain(chunks[held + 1..].iter().copied()).map(chunk).collect();
        assert_eq!(sent, expected + END);
        gateway.stop();
    }
}

/// The same where a translation is between: each event reaches the client at once.
#[test]
fn a_translated_stream_goes_through_event_by_event() {
    for (path, model) in WAYS.into_iter().skip(3) {
        let (go_on, wait) = gate();
        let fake = Fake::start(move |seen, stream| {
            write(stream, STREAM);
            for event in good_events(seen, &["One", "Two", "Three"]) {
                let is_word = ["One", "Two", "Three"].iter().any(|word| event.contains(word))
                    && event.contains("delta");
                write(stream, chunk(&event));
                if is_word {
                    wait();
                }
            }
            write(stream, END);
        });
        let gateway = Gateway::with(&pair(fake.address, ""));
        let mut body = question(path, model, "Hi");
        body["stream"] = true.into();
        let mut client = Client::open(gateway.address, request(path, "", &body.to_string()));
        for word in ["One", "Two", "Three"] {
            client.read_until(word);
            go_on.send(()).unwrap();
        }
        let all = client.read_to_end();
        assert!(all.ends_with(END) && !has_error(&all), "{all}");
        assert!(all.contains(end_of(path)), "{all}");
        gateway.stop();
    }
}

/// More pieces than one read takes, in both dialects and translated.
#[test]
fn a_large_answer_in_many_pieces_comes_whole() {
    let text = "z".repeat(3_000_000);
    let fake = Fake::start(move |seen, stream| {
        let body = good(seen).replace("Fine", &text);
        write(stream, STREAM.replace("text/event-stream", "application/json"));
        for piece in body.as_bytes().chunks(9_973) {
            write(stream, chunk(std::str::from_utf8(piece).unwrap()));
        }
        write(stream, END);
    });
    let gateway = Gateway::with(&pair(fake.address, ""));
    for path in ALL {
        for model in ["m", "c", "r"] {
            let reply = gateway.ask(path, model, "Hi");
            assert_eq!(reply.status, 200);
            assert_eq!(reply.text().matches('z').count(), 3_000_000, "{path} {model}");
        }
    }
    gateway.stop();
}

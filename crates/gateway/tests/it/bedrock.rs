//! Clients of every dialect in front of Amazon Bedrock: Converse in plain and in binary streams, keys and signatures.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::{digest, hmac};
use serde_json::{Value, json};
use waypost::config::{self, Environment};
use waypost::upstream::client::{Client, ClientSettings, Segments};
use waypost::upstream::signing::{Keys, Signing};

use crate::fake::{Fake, Seen, json_answer, write};
use crate::frames::{frame, of_lines};
use crate::support::{ALL, CHAT, Gateway, KEYS, MESSAGES, RESPONSES, error_of, has_error, question};

const GEMINI: &str = "/v1beta/models/MODEL";
const CLAUDE: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
const ARN: &str = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3";
const ANSWER: &str = r#"{"metrics":{"latencyMs":9},"output":{"message":{"content":[{"text":"Fine"}],"role":"assistant"}},"stopReason":"end_turn","usage":{"cacheReadInputTokens":2,"inputTokens":3,"outputTokens":5,"totalTokens":10}}"#;
const EVENTS: &str = r#"messageStart {"role":"assistant"}
contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"Fi"},"p":"abc"}
contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"ne"}}
contentBlockStop {"contentBlockIndex":0}
messageStop {"stopReason":"end_turn"}
metadata {"metrics":{"latencyMs":9},"usage":{"cacheReadInputTokens":2,"inputTokens":3,"outputTokens":5,"totalTokens":10}}"#;
const TYPE: &str = "application/vnd.amazon.eventstream";

/// The head and the bytes of a stream.
fn stream_of(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {TYPE}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Answers plain and streamed as the address asks.
fn fake(plain: &'static str, events: &'static str) -> Fake {
    Fake::start(move |seen, stream| match path_of(seen).ends_with("/converse-stream") {
        true => write(stream, stream_of(&of_lines(events.as_bytes()))),
        false => write(stream, json_answer(200, plain)),
    })
}

fn path_of(seen: &Seen) -> &str {
    seen.head.split(' ').nth(1).unwrap()
}

/// One entry with a key of Bedrock's own.
fn with_key(fake: &Fake, model: &str) -> Gateway {
    Gateway::with(&format!(
        "model_providers:\n  - {{model: 'amazon_bedrock/{model}', access_key: $OPENAI_API_KEY, base_url: 'http://{}'}}\nreliability: {{attempts: 1}}\n",
        fake.address
    ))
}

fn ask(gateway: &Gateway, client: &str, model: &str, stream: bool, text: &str) -> crate::support::Reply {
    if client == GEMINI {
        let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        let model = model.replace('/', "%2F").replace(':', "%3A");
        let body = json!({"contents": [{"role": "user", "parts": [{"text": text}]}]});
        return gateway.post(&format!("{}:{method}", client.replace("MODEL", &model)), &body.to_string());
    }
    let mut body = question(client, model, text);
    if stream {
        body["stream"] = true.into();
    }
    gateway.post(client, &body.to_string())
}

/// The texts of a stream of any dialect, joined.
fn streamed_text(text: &str) -> String {
    let piece = |event: &Value| {
        let places = [
            &event["choices"][0]["delta"]["content"],
            &event["delta"]["text"],
            &event["candidates"][0]["content"]["parts"][0]["text"],
        ];
        let of_responses = (event["type"] == "response.output_text.delta").then(|| &event["delta"]);
        places.into_iter().chain(of_responses).find_map(Value::as_str).map(str::to_owned)
    };
    let events = text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok());
    events.filter_map(|event: Value| piece(&event)).collect()
}

#[test]
fn every_client_is_answered_plain_and_streamed() {
    let fake = fake(ANSWER, EVENTS);
    for model in [CLAUDE, ARN] {
        let gateway = with_key(&fake, model);
        for client in ALL.into_iter().chain([GEMINI]) {
            let reply = ask(&gateway, client, model, false, "Hi");
            assert_eq!(reply.status, 200, "{client} {}", reply.text());
            assert!(reply.text().contains("Fine"), "{}", reply.text());
            // The API tells neither: the client's SDK wants both.
            let answer = reply.json();
            let named = answer.get("model").or_else(|| answer.get("modelVersion")).unwrap();
            assert_eq!(named, model, "{answer}");
            let id = answer.get("id").or_else(|| answer.get("responseId")).unwrap().as_str().unwrap();
            assert!(id.len() > 20 && !id.contains("unknown"), "{id}");
            let seen = fake.last();
            let encoded = model.replace(':', "%3A").replace('/', "%2F");
            assert_eq!(path_of(&seen), format!("/model/{encoded}/converse"));
            assert_eq!(seen.header("authorization"), Some("Bearer sk-it-openai-secret"));
            assert_eq!(seen.header("x-api-key"), None);
            assert_eq!(seen.json()["messages"][0], json!({"role": "user", "content": [{"text": "Hi"}]}));

            let reply = ask(&gateway, client, model, true, "Hi");
            assert_eq!(reply.status, 200, "{client} {}", reply.text());
            assert!(reply.header("content-type").starts_with("text/event-stream"));
            assert_eq!(streamed_text(reply.text()), "Fine", "{client} {}", reply.text());
            assert!(!has_error(reply.text()) && reply.text().contains(model), "{}", reply.text());
            assert_eq!(path_of(&fake.last()), format!("/model/{encoded}/converse-stream"));
        }
        for line in gateway.stop() {
            assert_eq!((&line["input_tokens"], &line["output_tokens"]), (&json!(5), &json!(5)), "{line}");
        }
    }
}

#[test]
fn a_tool_is_called_and_its_result_goes_back() {
    const CALL: &str = r#"{"output":{"message":{"role":"assistant","content":[{"toolUse":{"toolUseId":"tooluse_1","name":"weather","input":{"city":"Bern"}}}]}},"stopReason":"tool_use","usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2},"metrics":{"latencyMs":1}}"#;
    const CALL_EVENTS: &str = r#"messageStart {"role":"assistant"}
contentBlockStart {"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"tooluse_1","name":"weather"}}}
contentBlockDelta {"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"city\":"}}}
contentBlockDelta {"contentBlockIndex":0,"delta":{"toolUse":{"input":"\"Bern\"}"}}}
contentBlockStop {"contentBlockIndex":0}
messageStop {"stopReason":"tool_use"}
metadata {"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2},"metrics":{"latencyMs":1}}"#;
    let fake = fake(CALL, CALL_EVENTS);
    let gateway = with_key(&fake, CLAUDE);
    let tools =
        json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]);
    let mut body =
        json!({"model": CLAUDE, "messages": [{"role": "user", "content": "Weather?"}], "tools": tools});
    let answer = gateway.post(CHAT, &body.to_string()).json();
    let message = answer["choices"][0]["message"].clone();
    assert_eq!(message["tool_calls"][0]["id"], "tooluse_1");
    let arguments: Value =
        serde_json::from_str(message["tool_calls"][0]["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&arguments, &answer["choices"][0]["finish_reason"]),
        (&json!({"city": "Bern"}), &json!("tool_calls"))
    );
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(message);
    messages.push(json!({"role": "tool", "tool_call_id": "tooluse_1", "content": "sunny"}));
    body["stream"] = true.into();
    let reply = gateway.post(CHAT, &body.to_string());
    assert!(reply.text().contains(r#""finish_reason":"tool_calls""#), "{}", reply.text());
    let sent = fake.last().json();
    assert_eq!(
        sent["messages"][1]["content"],
        json!([{"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "Bern"}}}])
    );
    assert_eq!(
        sent["messages"][2],
        json!({"role": "user", "content": [{"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": "sunny"}]}}]})
    );
    gateway.stop();
}

#[test]
fn errors_are_in_the_clients_own_form() {
    for (status, kind) in
        [(400, "invalid_request_error"), (403, "permission_error"), (429, "rate_limit_error")]
    {
        let body = r#"{"message":"The provided model identifier is invalid."}"#;
        let fake = Fake::answering(json_answer(status, body));
        let gateway = with_key(&fake, CLAUDE);
        for client in [CHAT, MESSAGES, RESPONSES] {
            for stream in [false, true] {
                let reply = ask(&gateway, client, CLAUDE, stream, "Hi");
                assert_eq!(reply.status, status, "{}", reply.text());
                let (message, word) = error_of(client, &reply.json());
                assert_eq!(message, "The provided model identifier is invalid.");
                assert!(client != MESSAGES || word == kind, "{word}");
            }
        }
        gateway.stop();
    }
}

/// Before the first content an exception is an answer with a status; behind it, an error event in the stream.
#[test]
fn exceptions_in_a_stream_reach_the_client() {
    let exception = frame("exception", "throttlingException", br#"{"message":"Too many tokens"}"#);
    let head = of_lines(EVENTS.lines().take(2).collect::<Vec<_>>().join("\n").as_bytes());
    for (bytes, has_begun) in [(exception.clone(), false), ([&head[..], &exception].concat(), true)] {
        let fake = Fake::answering(stream_of(&bytes));
        let gateway = with_key(&fake, CLAUDE);
        for client in [CHAT, MESSAGES, RESPONSES] {
            let reply = ask(&gateway, client, CLAUDE, true, "Hi");
            assert!(reply.text().contains("Too many tokens"), "{}", reply.text());
            if has_begun {
                assert_eq!(reply.status, 200);
                assert_eq!(streamed_text(reply.text()), "Fi");
                assert!(!reply.text().contains("[DONE]") && !reply.text().contains("message_stop"));
            } else {
                assert_eq!(reply.status, 429, "{}", reply.text());
            }
        }
        gateway.stop();
    }
}

#[test]
fn a_stream_that_breaks_off_or_is_corrupt_never_ends_cleanly() {
    let whole = of_lines(EVENTS.as_bytes());
    let end = of_lines(EVENTS.lines().take(3).collect::<Vec<_>>().join("\n").as_bytes()).len();
    let mut corrupt = whole.clone();
    corrupt[end + 20] ^= 1;
    for (body, what) in [(whole[..end + 5].to_vec(), "ended before"), (corrupt, "checksum")] {
        let fake = Fake::answering(stream_of(&body));
        let gateway = with_key(&fake, CLAUDE);
        for client in [CHAT, MESSAGES, RESPONSES] {
            let reply = ask(&gateway, client, CLAUDE, true, "Hi");
            let text = reply.text();
            assert!(has_error(text) && text.contains(what) && !text.contains("[DONE]"), "{text}");
        }
        gateway.stop();
    }
    // Something else where a stream was asked for.
    let fake = Fake::answering(json_answer(200, ANSWER));
    let gateway = with_key(&fake, CLAUDE);
    let reply = ask(&gateway, CHAT, CLAUDE, true, "Hi");
    assert_eq!(reply.status, 502, "{}", reply.text());
    gateway.stop();
}

/// OpenAI's models are asked in their own API, which knows no others.
#[test]
fn models_of_openai_are_asked_in_chat_completions() {
    let fake = Fake::start(|seen, stream| write(stream, json_answer(200, crate::fake::good(seen))));
    let gateway = with_key(&fake, "openai.gpt-oss-120b-1:0");
    for client in [CHAT, MESSAGES] {
        let reply = ask(&gateway, client, "openai.gpt-oss-120b-1:0", false, "Hi");
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(path_of(&fake.last()), "/openai/v1/chat/completions");
    }
    gateway.stop();
}

/// Any other model is, where the entry says so.
#[test]
fn an_entry_can_ask_all_its_models_in_chat_completions() {
    let fake = Fake::start(|seen, stream| write(stream, json_answer(200, crate::fake::good(seen))));
    for (base_path, path) in [("", "/openai/v1/chat/completions"), ("/mine/v1", "/mine/v1/chat/completions")]
    {
        let gateway = Gateway::with(&format!(
            "model_providers:\n  - {{model: amazon_bedrock/qwen.qwen3-32b-v1:0, access_key: $OPENAI_API_KEY, provider_interface: openai, base_url: 'http://{}{base_path}'}}\n",
            fake.address
        ));
        let reply = ask(&gateway, MESSAGES, "qwen.qwen3-32b-v1:0", false, "Hi");
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(path_of(&fake.last()), path);
        gateway.stop();
    }
}

// === Signatures ===

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// The signature that a request as it came has to have, computed as the service does.
fn expected(seen: &Seen, secret: &str, region: &str) -> String {
    let value = seen.header("authorization").unwrap();
    let (_, names) = value.split_once("SignedHeaders=").unwrap();
    let names = names.split(',').next().unwrap();
    let lines: String =
        names.split(';').map(|name| format!("{name}:{}\n", seen.header(name).unwrap().trim())).collect();
    let path = path_of(seen).replace('%', "%25");
    let canonical = format!("POST\n{path}\n\n{lines}\n{names}\n{}", sha256(&seen.body));
    let date = seen.header("x-amz-date").unwrap();
    let scope = format!("{}/{region}/bedrock/aws4_request", &date[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let sign = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
    };
    let key = [&date[..8], region, "bedrock", "aws4_request"]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, word| sign(&key, word));
    hex(&sign(&key, &text))
}

#[test]
fn requests_are_signed_with_an_access_key() {
    let fake = fake(ANSWER, EVENTS);
    for (more, has_token) in
        [("", false), (", aws_session_token: $OPENAI_API_KEY, http_host: 'bedrock.test'", true)]
    {
        let gateway = Gateway::with(&format!(
            "model_providers:\n  - {{model: 'amazon_bedrock/{ARN}', aws_access_key_id: AKIDEXAMPLE, aws_secret_access_key: $ANTHROPIC_API_KEY, region: eu-central-1, base_url: 'http://{}'{more}}}\n",
            fake.address
        ));
        for stream in [false, true] {
            let reply = ask(&gateway, CHAT, ARN, stream, "Grüße");
            assert_eq!(reply.status, 200, "{}", reply.text());
            let seen = fake.last();
            let value = seen.header("authorization").unwrap();
            assert!(value.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{value}");
            let signature = value.split_once("Signature=").unwrap().1;
            assert_eq!(signature, expected(&seen, KEYS[1].1, "eu-central-1"), "{}", seen.head);
            let token = has_token.then_some(KEYS[0].1);
            assert_eq!(seen.header("x-amz-security-token"), token);
            assert_eq!(seen.header("host") == Some("bedrock.test"), has_token);
            assert_eq!(seen.header("x-amz-content-sha256"), Some(sha256(&seen.body).as_str()));
        }
        gateway.stop();
    }
}

#[test]
fn the_configuration_says_what_is_missing() {
    let environment = || Environment::of([("ID", "AKIDEXAMPLE"), ("SECRET", "sk-it-aws-secret")]);
    for (entry, expected) in [
        (
            "region: us-east-1, aws_access_key_id: $ID",
            "half an access key: `aws_secret_access_key` is not there",
        ),
        (
            "region: us-east-1, aws_access_key_id: $ID, aws_secret_access_key: $SECRET, access_key: $SECRET",
            "there is an `access_key`, too",
        ),
        (
            "base_url: 'http://localhost:1', aws_access_key_id: $ID, aws_secret_access_key: $SECRET",
            "a signature needs the region",
        ),
        (
            "aws_access_key_id: $ID, aws_secret_access_key: $SECRET",
            "the provider `amazon_bedrock` needs `region`",
        ),
        (
            "region: us-east-1, aws_access_key_id: $NOBODY, aws_secret_access_key: $SECRET",
            "the variable `NOBODY` is not set",
        ),
    ] {
        let text = format!("model_providers: [{{model: amazon_bedrock/m, {entry}}}]");
        let refused = config::parse("x.yaml", &text, &environment()).unwrap_err().to_string();
        assert!(refused.contains(expected) && !refused.contains("sk-it-aws"), "{refused}");
    }
    let text = "model_providers: [{model: openai/m, aws_access_key_id: $ID, aws_secret_access_key: $SECRET}]";
    let refused = config::parse("x.yaml", text, &environment()).unwrap_err().to_string();
    assert!(refused.contains("requests to `openai` are not signed"), "{refused}");
    // A secret that is written out is not shown either.
    let text =
        "model_providers: [{model: amazon_bedrock/m, aws_secret_access_key: sk-it-aws-secret, regoin: x}]";
    let refused = config::parse("x.yaml", text, &environment()).unwrap_err().to_string();
    assert!(!refused.contains("sk-it-aws"), "{refused}");
}

#[test]
fn without_a_configuration_the_usual_variables_are_enough() {
    let environment = Environment::of([
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "sk-it-aws-secret"),
        ("AWS_REGION", "eu-west-1"),
    ]);
    let loaded = config::detect(&environment).unwrap();
    let [entry] = &loaded.config.entries[..] else { panic!("{loaded:?}") };
    assert_eq!(
        (entry.name.as_str(), entry.provider.base_url.as_ref()),
        ("amazon_bedrock/*", "https://bedrock-runtime.eu-west-1.amazonaws.com")
    );
    assert_eq!(entry.key_source, "a signature by $AWS_ACCESS_KEY_ID (environment)");
    assert_eq!(entry.signer.as_ref().unwrap().region, "eu-west-1");
    assert!(!format!("{loaded:?}").contains("sk-it-aws"));
    let half = Environment::of([("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_REGION", "eu-west-1")]);
    assert!(config::detect(&half).is_none());
}

/// What a scripted machine or agent tells: keys in turn, of which the first has ended already.
fn keys_in_turn() -> Fake {
    let given = std::sync::atomic::AtomicUsize::new(0);
    Fake::start(move |seen, stream| {
        let path = path_of(seen);
        let text = match (&seen.head[..4], path) {
            ("PUT ", "/latest/api/token") => "session-1".to_owned(),
            ("GET ", "/latest/meta-data/iam/security-credentials/") => "a-role".to_owned(),
            ("GET ", "/latest/meta-data/iam/security-credentials/a-role" | "/v1/keys") => {
                let number = given.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                let end = if number == 1 { "2020-01-01T00:00:00Z" } else { "2999-01-01T00:00:00Z" };
                json!({
                    "Code": "Success", "AccessKeyId": format!("ASIA{number}"), "SecretAccessKey": "sk-it-role",
                    "Token": format!("session-{number}"), "Expiration": end,
                })
                .to_string()
            }
            _ => return write(stream, json_answer(404, "{}")),
        };
        write(stream, json_answer(200, &text));
    })
}

fn signed_in_turn<const N: usize>(variables: [(&str, &str); N], keys: &Fake) -> Vec<String> {
    let text = "model_providers: [{model: amazon_bedrock/m, region: eu-west-1, credentials: metadata}]";
    let loaded = config::parse("x.yaml", text, &Environment::of(variables)).unwrap();
    let [entry] = &loaded.config.entries[..] else { panic!("{loaded:?}") };
    let role = Signing::Role(Arc::new(Keys::new(entry.role.clone().unwrap())));
    assert_eq!(entry.key_source, "a signature by the role that 127.0.0.1 tells");
    let client = Client::new(&ClientSettings::from_platform(Duration::from_secs(5)).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let signed = runtime.block_on(async {
        let mut signed = Vec::new();
        for _ in 0..3 {
            let mut request = http::Request::new(Segments::whole("{}"));
            *request.uri_mut() = "https://bedrock.test/model/m/converse".parse().unwrap();
            role.sign(&client, &mut request, SystemTime::now()).await.unwrap();
            let of = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
            let id = of("authorization").split(['=', '/']).nth(1).unwrap().to_owned();
            signed.push(format!("{id} {}", of("x-amz-security-token")));
        }
        signed
    });
    assert!(!format!("{role:?} {loaded:?} {:?}", keys.seen().len()).contains("sk-it-role"));
    signed
}

/// Keys of a role hold for hours: they are asked for once, and again before they end.
#[test]
fn a_role_gives_keys_that_are_renewed() {
    let expected = ["ASIA1 session-1", "ASIA2 session-2", "ASIA2 session-2"];
    let machine = keys_in_turn();
    let address = format!("http://{}", machine.address);
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", address.as_str()), ("OTHER", "x")];
    assert_eq!(signed_in_turn(variables, &machine), expected);
    let seen = machine.seen();
    assert_eq!(seen.len(), 6, "a session, a role and a key, twice");
    assert_eq!(seen[0].header("x-aws-ec2-metadata-token-ttl-seconds"), Some("21600"));
    assert!(seen[1..3].iter().all(|seen| seen.header("x-aws-ec2-metadata-token") == Some("session-1")));

    let agent = keys_in_turn();
    let folder = tempfile::tempdir().unwrap();
    let pass = folder.path().join("token");
    std::fs::write(&pass, "a-pass\n").unwrap();
    let address = format!("http://{}/v1/keys", agent.address);
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", address.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", pass.to_str().unwrap()),
    ];
    assert_eq!(signed_in_turn(variables, &agent), expected);
    assert!(agent.seen().iter().all(|seen| seen.header("authorization") == Some("a-pass")));
    assert_eq!(agent.seen().len(), 2);
}

/// A pod's token is exchanged for keys, and read again each time: the cluster replaces it.
#[test]
fn a_token_of_the_cluster_is_exchanged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "a.b+c/d=\n").unwrap();
    let given = std::sync::atomic::AtomicUsize::new(0);
    let renewed = file.clone();
    let service = Fake::start(move |_, stream| {
        let number = given.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        let end = if number == 1 { "2020-01-01T00:00:00Z" } else { "2999-01-01T00:00:00Z" };
        std::fs::write(&renewed, format!("next-{number}")).unwrap();
        let keys = format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>\
             <Credentials><AccessKeyId>ASIA{number}</AccessKeyId><SecretAccessKey>sk-it-role</SecretAccessKey>\
             <SessionToken>session-{number}</SessionToken><Expiration>{end}</Expiration></Credentials>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        );
        write(stream, crate::fake::answer(200, "text/xml", &keys));
    });
    let address = format!("http://{}", service.address);
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/a"),
        ("AWS_ENDPOINT_URL_STS", address.as_str()),
        // It goes before the container's.
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/v1/keys"),
    ];
    assert_eq!(
        signed_in_turn(variables, &service),
        ["ASIA1 session-1", "ASIA2 session-2", "ASIA2 session-2"]
    );
    let seen = service.seen();
    assert!(seen[0].head.starts_with("POST / HTTP/1.1"), "{}", seen[0].head);
    assert!(seen[0].header("authorization").is_none(), "the token is what it goes by");
    let asked = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fa\
        &RoleSessionName=waypost&WebIdentityToken=";
    assert_eq!(seen[0].text(), format!("{asked}a%2Eb%2Bc%2Fd%3D"));
    assert_eq!(seen[1].text(), format!("{asked}next%2D1"));
    // What is wrong is said when the configuration is read, or in place of the answer, without the token.
    let entry = "model_providers: [{model: amazon_bedrock/m, region: eu-west-1, credentials: metadata}]";
    let source = |environment: Environment| {
        let loaded = config::parse("x.yaml", entry, &environment);
        loaded.map(|loaded| loaded.config.entries[0].key_source.clone()).map_err(|error| error.to_string())
    };
    let [token, arn, ..] = variables;
    for (environment, region) in [
        (Environment::of([token, arn, ("AWS_REGION", "ap-south-1")]), "ap-south-1"),
        (Environment::of([token, arn]), "eu-west-1"),
    ] {
        let told = format!("a signature by the role that sts.{region}.amazonaws.com tells");
        assert_eq!(source(environment).unwrap(), told);
    }
    assert!(source(Environment::of([token])).unwrap_err().contains("`$AWS_ROLE_ARN` is not"));
    let refusing = Fake::answering(crate::fake::answer(
        400,
        "text/xml",
        "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code><Message>no next-2</Message></Error></ErrorResponse>",
    ));
    let address = format!("http://{}", refusing.address);
    let variables = [variables[0], variables[1], ("AWS_ENDPOINT_URL_STS", address.as_str())];
    let loaded = config::parse("x.yaml", entry, &Environment::of(variables)).unwrap();
    let role = Signing::Role(Arc::new(Keys::new(loaded.config.entries[0].role.clone().unwrap())));
    let client = Client::new(&ClientSettings::from_platform(Duration::from_secs(5)).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut request = http::Request::new(Segments::whole("{}"));
    let refused = runtime.block_on(role.sign(&client, &mut request, SystemTime::now())).unwrap_err();
    assert!(refused.contains("answered with 400 (InvalidIdentityToken)"), "{refused}");
    assert!(!refused.contains("next-2"), "{refused}");
}

#[test]
fn the_file_of_amazons_tools_has_the_key() {
    let fake = fake(ANSWER, EVENTS);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(&file, "[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = sk-it-file\naws_session_token = tok\n").unwrap();
    let entry = format!(
        "model_providers:\n  - {{model: 'amazon_bedrock/{ARN}', credentials_file: '{}', region: eu-central-1, base_url: 'http://{}'}}\n",
        file.display(),
        fake.address
    );
    let gateway = Gateway::with(&entry);
    assert_eq!(ask(&gateway, CHAT, ARN, false, "Hi").status, 200);
    let seen = fake.last();
    let value = seen.header("authorization").unwrap();
    assert!(value.starts_with("AWS4-HMAC-SHA256 Credential=AKIDFILE/"), "{value}");
    assert_eq!(value.split_once("Signature=").unwrap().1, expected(&seen, "sk-it-file", "eu-central-1"));
    assert_eq!(seen.header("x-amz-security-token"), Some("tok"));
    gateway.stop();
    let loaded = config::parse("x.yaml", &entry, &Environment::of([])).unwrap();
    assert_eq!(loaded.config.files().collect::<Vec<_>>(), [file.as_path()]);
    let refused = config::parse("x.yaml", &entry, &Environment::of([("AWS_PROFILE", "work")])).unwrap_err();
    assert!(refused.to_string().contains("it has no profile `work`"), "{refused}");
}

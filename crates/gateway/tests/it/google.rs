//! Access tokens of Google Cloud: what is sent to whom for one, and what becomes of requests without.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use waypost::config::{self, Environment};
use waypost::upstream::client::{Client, ClientSettings};
use waypost::upstream::endpoint::Tokens;
use waypost::upstream::google::Account;

use crate::fake::{Fake, good, json_answer, write};
use crate::support::Gateway;

const TOKEN: &str = "ya29.it-issued-token";

/// A key pair, and its private half as files have it.
fn key() -> (KeyPair, String) {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = pair.as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    (pair, format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"))
}

fn service_account(pem: &str, token_uri: &str) -> Value {
    json!({
        "type": "service_account", "project_id": "p", "private_key_id": "key-1", "private_key": pem,
        "client_email": "router@p.iam.gserviceaccount.com", "client_id": "1", "token_uri": token_uri,
    })
}

/// Gives tokens at `/token`, and answers all else.
fn google(status: u16, token: String) -> Fake {
    Fake::start(move |seen, stream| match seen.head.starts_with("POST /token ") {
        true => write(stream, json_answer(status, &token)),
        false => write(stream, json_answer(200, good(seen))),
    })
}

fn issued(seconds: u64) -> String {
    json!({"access_token": TOKEN, "expires_in": seconds, "token_type": "Bearer"}).to_string()
}

/// An entry of Vertex AI that uses the file.
fn entry(fake: &Fake, file: &std::path::Path) -> String {
    format!(
        "{{model: vertex_ai/meta/llama, project: p, region: global, base_url: 'http://{}', credentials_file: '{}'}}",
        fake.address,
        file.display()
    )
}

#[test]
fn a_service_account_signs_for_a_token_once() {
    let (pair, pem) = key();
    let fake = google(200, issued(3600));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.json");
    let token_uri = format!("http://{}/token", fake.address);
    std::fs::write(&file, service_account(&pem, &token_uri).to_string()).unwrap();
    // Two entries of one account have one token.
    let gateway = Gateway::with(&format!(
        "model_providers:\n  - {}\n  - {}\n",
        entry(&fake, &file),
        entry(&fake, &file).replace("llama", "llama-2")
    ));
    for model in ["meta/llama", "meta/llama-2", "meta/llama"] {
        let reply = gateway.chat(&format!("vertex_ai/{model}"), "Hi");
        assert_eq!(reply.status, 200, "{}", reply.text());
        let seen = fake.last();
        assert_eq!(seen.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
        assert_eq!(seen.json()["model"], model);
    }
    gateway.stop();
    let seen = fake.seen();
    let (asked, others): (Vec<_>, Vec<_>) =
        seen.iter().partition(|seen| seen.head.starts_with("POST /token "));
    assert_eq!((asked.len(), others.len()), (1, 3));
    assert_eq!(asked[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    let form = asked[0].text();
    let assertion = form
        .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant%2Dtype%3Ajwt%2Dbearer&assertion=")
        .unwrap_or_else(|| panic!("{form}"));
    let jwt = assertion.replace("%2E", ".").replace("%2D", "-").replace("%5F", "_");
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let part =
        |text: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap() };
    let (head, claims) = signed.split_once('.').unwrap();
    assert_eq!(part(head), json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}));
    let claims = part(claims);
    assert_eq!(claims["iss"], "router@p.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], token_uri);
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloud-platform");
    let (from, to) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert_eq!((to - from, now.abs_diff(from) < 600), (3600, true));
}

#[test]
fn without_a_token_the_next_target_is_tried() {
    let (_, pem) = key();
    let refusal =
        json!({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}).to_string();
    let refusing = google(400, refusal);
    let nonsense = google(200, json!({"access_token": "a\nb", "expires_in": 3600}).to_string());
    let silent = Fake::start(|_, _| {});
    for (token_uri, why) in [
        (
            format!("http://{}/token", refusing.address),
            "`127.0.0.1` answered with 400: invalid_grant, Invalid JWT Signature.",
        ),
        (format!("http://{}/token", nonsense.address), "`127.0.0.1` answered with 200: no token"),
        (format!("http://{}/token", silent.address), "`127.0.0.1` cannot be reached"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("account.json");
        std::fs::write(&file, service_account(&pem, &token_uri).to_string()).unwrap();
        let gateway = Gateway::with(&format!(
            "model_providers:\n  - {}\n  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@'}}\nmodel_aliases: {{both: {{targets: [vertex_ai/meta/llama, openai/m]}}}}\n",
            entry(&refusing, &file)
        ));
        let reply = gateway.chat("both", "Hi");
        assert_eq!((reply.status, reply.header("x-waypost-model")), (200, "openai/m"), "{}", reply.text());
        let reply = gateway.chat("vertex_ai/meta/llama", "Hi");
        assert_eq!(reply.status, 502);
        let error = &reply.json()["error"];
        assert_eq!(error["code"], "no_credential");
        assert_eq!(error["message"], format!("there is no access token for provider `vertex_ai`: {why}"));
        gateway.stop();
    }
    // The model itself was never asked.
    assert!(refusing.seen().iter().all(|seen| seen.head.starts_with("POST /token ")));
}

/// What an account sends for a token.
fn asks(account: Account) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(&ClientSettings::from_platform(Duration::from_secs(5)).unwrap());
        let token = Arc::new(Tokens::new(account)).current(&client).await?;
        assert!(token.is_sensitive());
        Ok(token.to_str().unwrap().to_owned())
    })
}

#[test]
fn a_machine_and_a_user_have_tokens_too() {
    let fake = Fake::answering(json_answer(200, &issued(300)));
    assert_eq!(asks(Account::of_machine(&fake.address.to_string()).unwrap()), Ok(format!("Bearer {TOKEN}")));
    let seen = fake.last();
    assert!(
        seen.head.starts_with("GET /computeMetadata/v1/instance/service-accounts/default/token "),
        "{}",
        seen.head
    );
    assert_eq!(seen.header("metadata-flavor"), Some("Google"));

    let user = json!({
        "type": "authorized_user", "client_id": "id.apps", "client_secret": "s&1", "refresh_token": "1//r",
        "token_uri": format!("http://{}/token", fake.address),
    });
    assert_eq!(asks(Account::read(user.to_string().as_bytes()).unwrap()), Ok(format!("Bearer {TOKEN}")));
    assert_eq!(
        fake.last().text(),
        "grant_type=refresh%5Ftoken&client_id=id%2Eapps&client_secret=s%261&refresh_token=1%2F%2Fr"
    );
}

/// A user's own project pays, not that of the tool that they logged in with.
#[test]
fn a_users_quota_project_goes_along() {
    let fake = google(200, issued(3600));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("user.json");
    let user = json!({
        "type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r",
        "quota_project_id": "mine", "token_uri": format!("http://{}/token", fake.address),
    });
    std::fs::write(&file, user.to_string()).unwrap();
    let gateway = Gateway::with(&format!("model_providers: [{}]", entry(&fake, &file)));
    assert_eq!(gateway.chat("vertex_ai/meta/llama", "Hi").status, 200);
    assert_eq!(fake.last().header("x-goog-user-project"), Some("mine"));
    gateway.stop();
}

#[test]
fn a_file_that_is_no_credential_says_what_it_lacks() {
    let (_, pem) = key();
    let whole = service_account(&pem, "https://oauth2.googleapis.com/token");
    assert!(Account::read(whole.to_string().as_bytes()).is_ok());
    let with = |key: &str, value: Value| {
        let mut file = whole.clone();
        file[key] = value;
        file.to_string()
    };
    for (file, expected) in [
        ("LEAK".to_owned(), "it is not a credentials file: not JSON of the expected form"),
        (
            r#"{"type": "service_account", "private_key": ["LEAK"]}"#.to_owned(),
            "it is not a credentials file: not JSON of the expected form",
        ),
        ("{}".to_owned(), "it has no `type`"),
        (
            with("type", "external_account".into()),
            "credentials of the type `external_account` are not supported",
        ),
        (with("private_key", Value::Null), "it has no `private_key`"),
        (with("private_key", "LEAK".into()), "its `private_key` is not an RSA key in PEM"),
        (with("client_email", Value::Null), "it has no `client_email`"),
        (
            with("token_uri", "http://example.com/token".into()),
            "its `token_uri` does not begin with `https://`",
        ),
        (with("token_uri", "ftp://LEAK/x".into()), "its `token_uri` does not begin with `https://`"),
        (with("token_uri", "LEAK LEAK".into()), "its `token_uri` is not a URL"),
    ] {
        assert_eq!(Account::read(file.as_bytes()).unwrap_err(), expected);
    }
    let shown = format!("{:?}", Account::read(whole.to_string().as_bytes()).unwrap());
    assert_eq!(shown, "Account::Service");
}

#[test]
fn the_environment_names_the_file_where_the_entry_has_no_key() {
    let (_, pem) = key();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.json");
    std::fs::write(&file, service_account(&pem, "https://oauth2.googleapis.com/token").to_string()).unwrap();
    let path = file.to_str().unwrap();
    let environment = |path: &str| {
        Environment::of([
            ("GOOGLE_APPLICATION_CREDENTIALS", path),
            ("GOOGLE_CLOUD_PROJECT", "p"),
            ("GOOGLE_CLOUD_LOCATION", "eu"),
        ])
    };
    let entry = "model_providers: [{model: vertex_ai/g, project: $GOOGLE_CLOUD_PROJECT, region: eu}]";
    let loaded = config::parse("x.yaml", entry, &environment(path)).unwrap();
    assert!(loaded.warnings.is_empty());
    let found = &loaded.config.entries[0];
    assert_eq!(found.key_source, "the file $GOOGLE_APPLICATION_CREDENTIALS (environment)");
    assert!(found.account.is_some() && found.key.is_none());
    // A key wins, and a file that is not there is told.
    let keyed = entry.replace("region", "access_key: ya29.x, region");
    assert!(config::parse("x.yaml", &keyed, &environment(path)).unwrap().config.entries[0].account.is_none());
    let missing = config::parse("x.yaml", entry, &environment("/nowhere/x.json")).unwrap_err().to_string();
    assert!(
        missing.contains("the file of `$GOOGLE_APPLICATION_CREDENTIALS`: it cannot be read"),
        "{missing}"
    );
    let warning = &config::parse("x.yaml", entry, &Environment::of([("GOOGLE_CLOUD_PROJECT", "p")]))
        .unwrap()
        .warnings[0];
    assert!(warning.to_string().contains("add `credentials_file: …`, `credentials: metadata`"), "{warning}");
    // Where nothing is called, files need not be there.
    let lenient = environment("/nowhere/x.json").without_keys();
    assert!(config::parse("x.yaml", entry, &lenient).unwrap().warnings.is_empty());
    let named = entry.replace("region", "credentials_file: /nowhere/x.json, region");
    config::parse("x.yaml", &named, &lenient).unwrap();
    // Without a configuration.
    let detected = config::detect(&environment(path)).unwrap().config.entries;
    let names: Vec<String> =
        detected.iter().map(|entry| format!("{} {}", entry.name, entry.provider.base_url)).collect();
    assert_eq!(names, ["vertex_ai/* https://aiplatform.eu.rep.googleapis.com"]);
    assert!(detected[0].account.is_some());
}

#[test]
fn a_machines_token_is_asked_for_where_the_environment_says() {
    let fake = Fake::answering(json_answer(200, &issued(300)));
    let host = fake.address.to_string();
    let environment = Environment::of([("GCE_METADATA_HOST", host.as_str())]);
    let entry = "model_providers: [{model: vertex_ai/g, project: p, region: global, credentials: metadata}]";
    let config = config::parse("x.yaml", entry, &environment).unwrap().config;
    assert_eq!(asks(config.entries[0].account.clone().unwrap()), Ok(format!("Bearer {TOKEN}")));
}

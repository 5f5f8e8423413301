//! The routing guide's own use cases, through the front door: its phrases, bare and around pasted material, and a
//! conversation whose topic shifts.

use serde_json::{Value, json};

use crate::support::{Gateway, KEYS};

const EXAMPLE: &str = include_str!("../../../../examples/use-cases.yaml");
const GUIDE: &str = include_str!("../fixtures/config/good/guide-3-by-preference.yaml");

/// A notice of some length, for what is pasted: nothing in it asks for anything.
const NOTICE: &str = "The county library is changing its hours from the first of March. On weekdays the main building \
    opens at nine in the morning and closes at seven in the evening; on Saturdays it opens at ten and closes at four. The \
    children's room keeps its present hours. Borrowed books can be returned at any time through the flap beside the east \
    door. During the works on the roof, which are expected to last until the end of May, the reading room on the second \
    floor is closed, and newspapers are laid out in the hall. Visitors who need a quiet place to study are asked to book \
    one of the six cabins at the desk. The café will move into the courtyard as soon as the weather allows.";

/// Material of subjects that have routes of their own: what is asked of it decides all the same.
const SUBJECTS: [&str; 3] = [
    "The tenant shall keep the premises in good repair and shall not sublet any part of them without the landlord's \
        written consent. If the tenant is in arrears for more than thirty days, the landlord may terminate this lease by \
        notice in writing and claim damages. Any dispute arising under it is subject to the exclusive jurisdiction of the \
        courts of the county in which the premises are situated.",
    "A man of 54 was admitted with shortness of breath and swelling of both ankles. Blood pressure was 165 over 95, the \
        pulse irregular. An echocardiogram showed a reduced ejection fraction. He was given diuretics and a beta blocker, \
        and the dose was raised over the following week; the symptoms improved and he was discharged on the ninth day.",
    "After the update some laptops do not find the office printer any more. Remove the device in the system settings, \
        restart the print spooler, install the current driver from the intranet and add the printer by its address. If \
        the wireless network drops meanwhile, forget the connection and sign in again with your account.",
];

const CODE: &str = "def unique(items):\n    result = []\n    for item in items:\n        if item not in result:\n            \
    result.append(item)\n    return result\n\nprint(unique(open('words.txt').read().split()))";

const ERROR: &str = "Traceback (most recent call last):\n  File \"report.py\", line 12, in <module>\n    total = \
    sum(row[\"amount\"] for row in rows)\n  File \"report.py\", line 12, in <genexpr>\n    total = sum(row[\"amount\"] \
    for row in rows)\nKeyError: 'amount'";

const FORMAT: &str = "The file has one record a line: an identifier of eight digits, a tab, a date as year-month-day, \
    a tab, and an amount in cents. Lines that start with # are comments.";

/// What the router chooses for the conversation of these user turns.
fn chosen(gateway: &Gateway, turns: &[&str]) -> String {
    let mut messages = Vec::new();
    for turn in turns {
        messages.push(json!({"role": "user", "content": turn}));
        messages.push(json!({"role": "assistant", "content": "Here you are."}));
    }
    messages.pop();
    let body = json!({"messages": messages}).to_string();
    let page: Value = gateway.post("/routing/v1/chat/completions", &body).json();
    page["route"].as_str().unwrap_or("none").to_owned()
}

#[test]
fn the_guides_story_goes_to_creative_writing() {
    let gateway = Gateway::with(GUIDE);
    assert_eq!(chosen(&gateway, &["Write a creative story about space exploration"]), "creative writing");
}

#[test]
fn the_guides_phrases_go_where_they_belong_with_and_without_pasted_material() {
    let gateway = Gateway::with(EXAMPLE);
    let mut wrong = Vec::new();
    for (phrase, material, route) in [
        ("write a Python function", FORMAT, "code generation"),
        ("fix this error", ERROR, "code debugging"),
        ("make this faster", CODE, "code optimization"),
        ("summarize this document", NOTICE, "summarization"),
        ("translate to Spanish", NOTICE, "translation"),
        ("what are the key themes", NOTICE, "text analysis"),
    ]
    .into_iter()
    .chain(SUBJECTS.iter().flat_map(|material| {
        [
            ("summarize this document", *material, "summarization"),
            ("translate to Spanish", *material, "translation"),
            ("what are the key themes", *material, "text analysis"),
        ]
    })) {
        for prompt in [
            phrase.to_owned(),
            format!("{phrase}:\n\n{material}"),
            format!("{material}\n\n{phrase}"),
            format!("{phrase}:\n\n{}", [material; 6].join("\n\n")),
            format!("{}\n\n{phrase}", [material; 6].join("\n\n")),
            format!("{phrase}\n```\n{material}\n```"),
        ] {
            let found = chosen(&gateway, &[&prompt]);
            if found != route {
                wrong.push(format!("{phrase} ({} bytes): {found}", prompt.len()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A letter about the law, of which no line asks for anything.
const LETTER: &str = "Dear tenants,\n\nThe county court has ruled on the dispute about the lease of the building. The \
    landlord may raise the rent once in a year, by notice in writing, and has to give reasons; who does not agree may \
    object within a month, and the court then decides on the amount by the usual rents of the area.\n\nYours sincerely,\n\
    The lawyers of the tenants' association";

/// No length of what is pasted decides, nor whether there is a line break before it.
#[test]
fn the_guides_phrases_go_where_they_belong_beside_short_material_too() {
    let gateway = Gateway::with(EXAMPLE);
    let lease = SUBJECTS[0];
    let sentences = lease.replace(". ", ".\n\n");
    let mut wrong = Vec::new();
    for (phrase, route) in [
        ("summarize this document", "summarization"),
        ("translate to Spanish", "translation"),
        ("what are the key themes", "text analysis"),
    ] {
        for prompt in [
            format!("{phrase}\n\n{}", &lease[..126]),
            format!("{phrase}\n\n{}", &lease[..200]),
            format!("{phrase}\n\n{}", &lease[..201]),
            format!("{}\n\n{phrase}", &lease[..200]),
            format!("{phrase}\n\n{sentences}"),
            format!("{sentences}\n\n{phrase}"),
            format!("{phrase}:\n\n{LETTER}"),
            format!("{LETTER}\n\n{phrase}"),
            format!("{phrase}: {lease}"),
        ] {
            let found = chosen(&gateway, &[&prompt]);
            if found != route {
                wrong.push(format!("{prompt}: {found}"));
            }
        }
    }
    let found = chosen(&gateway, &[&format!("fix this error:\n\n{LETTER}")]);
    assert_eq!((found.as_str(), wrong), ("code debugging", Vec::new()));
}

/// Nor whether there is a line break between the ask and what is pasted.
#[test]
fn an_ask_is_found_on_the_line_of_what_is_pasted() {
    let gateway = Gateway::with(EXAMPLE);
    let mut wrong = Vec::new();
    for (phrase, route) in [
        ("Summarize this in two sentences.", "summarization"),
        ("Please translate it into German.", "translation"),
        ("What are the key themes?", "text analysis"),
    ] {
        for material in SUBJECTS.iter().chain([&NOTICE]) {
            for prompt in [
                format!("{material} {phrase}"),
                format!("{phrase} {material}"),
                format!("{material} ---- {phrase}"),
                format!("{} {phrase}", [*material; 9].join(" ")),
            ] {
                let found = chosen(&gateway, &[&prompt]);
                if found != route {
                    wrong.push(format!("{prompt}: {found}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    gateway.stop();
}

/// A domain's probability is that of all its actions: the margin and what words do are about that number.
#[test]
fn a_domains_verdict_is_explained_by_the_number_that_is_shown() {
    let config = "model_providers: [{model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, default: true}]\nrouting_preferences:\n  \
        - {name: contract drafting, description: drafting of contracts and leases, models: [openai/gpt-5.2]}\n  \
        - {name: contract review, description: review of contracts and leases, models: [openai/gpt-5.2]}\n  \
        - {name: legal, description: 'law, contracts, courts and liability', models: [openai/gpt-5.2], domain: true}\n";
    let gateway = Gateway::with(config);
    let page = |prompt: &str| -> Value {
        let body = json!({"messages": [{"role": "user", "content": prompt}]}).to_string();
        gateway.post("/routing/v1/chat/completions?explain", &body).json()
    };
    let told = page("my tenancy agreement and the deposit");
    assert!(told["reason"].as_str().unwrap().contains("the domain `legal` with all its actions"), "{told}");
    let number = |value: &Value| value.as_f64().unwrap();
    let (confidence, none) = (number(&told["confidence"]), number(&told["none_probability"]));
    assert!((number(&told["margin"]) - (confidence - none)).abs() < 2e-4, "{told}");
    let effect = told["explanation"]["words"].as_array().unwrap().iter();
    let effect = effect.clone().find(|one| one["words"] == "agreement").unwrap();
    let without = page("my tenancy and the deposit");
    let left: f64 =
        without["scores"].as_array().unwrap().iter().map(|score| number(&score["probability"])).sum();
    assert!((number(&effect["effect"]) - (confidence - left)).abs() < 5e-4, "{told} {without}");
    gateway.stop();
}

/// What would have flipped a decision does flip it: the words together, and the threshold as it is written.
#[test]
fn what_would_have_flipped_it_does() {
    let gateway = Gateway::with(EXAMPLE);
    let told = |prompt: &str| -> Value {
        let body = json!({"messages": [{"role": "user", "content": prompt}]}).to_string();
        gateway.post("/routing/v1/chat/completions?explain", &body).json()
    };
    let prompt = "translate this sentence to Spanish";
    let page = told(prompt);
    let flip = &page["explanation"]["flip"];
    let words: Vec<&str> =
        flip["without"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert!((2..=4).contains(&words.len()), "{page}");
    let left_out = |left_out: &[&str]| -> String {
        let kept = prompt.split(' ').filter(|word| !left_out.contains(word));
        kept.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(told(&left_out(&words))["route"], flip["route"], "{page}");
    assert_ne!(flip["route"], page["route"]);
    // Each of them is needed.
    for kept in 0..words.len() {
        let fewer: Vec<&str> =
            words.iter().enumerate().filter(|(at, _)| *at != kept).map(|(_, word)| *word).collect();
        assert_eq!(told(&left_out(&fewer))["route"], page["route"], "{fewer:?}");
    }
    gateway.stop();

    let [flip] = page["explanation"]["thresholds"].as_array().unwrap().as_slice() else { panic!("{page}") };
    let least = flip["at_least"].as_f64().unwrap();
    for (threshold, route) in [(least, &flip["route"]), (least - 1e-4, &page["route"])] {
        let gateway = Gateway::with(&format!("{EXAMPLE}\nrouting: {{threshold: {threshold:.4}}}\n"));
        let body = json!({"messages": [{"role": "user", "content": prompt}]}).to_string();
        let now: Value = gateway.post("/routing/v1/chat/completions?explain", &body).json();
        assert_eq!(&now["route"], route, "{page} {now}");
        if threshold == least {
            let lower = now["explanation"]["thresholds"].as_array().unwrap();
            let lower = lower.iter().find(|one| one.get("at_most").is_some()).unwrap();
            assert_eq!(lower["route"], page["route"], "{now}");
            assert!((lower["at_most"].as_f64().unwrap() - (least - 1e-4)).abs() < 1e-6, "{now}");
        }
        gateway.stop();
    }
}

/// What drove a decision, over the decision endpoint and on the command line, and the same decision once more.
#[test]
fn a_decision_is_explained_and_replayed() {
    let gateway = Gateway::with(EXAMPLE);
    let body =
        json!({"messages": [{"role": "user", "content": "translate this sentence to Spanish"}]}).to_string();
    let page: Value = gateway.post("/routing/v1/chat/completions?explain", &body).json();
    let words = page["explanation"]["words"].as_array().unwrap();
    assert_eq!(words.len(), 5, "{page}");
    assert_eq!(words[0]["words"], "translate", "{page}");
    assert!(words[0]["effect"].as_f64().unwrap() > 0.0, "{page}");
    assert_eq!(page["explanation"]["of"], "translation", "{page}");
    // Where no threshold is set, none can be lowered; a higher one than the confidence takes nothing.
    let thresholds = page["explanation"]["thresholds"].as_array().unwrap();
    let least = thresholds[0]["at_least"].as_f64().unwrap();
    assert_eq!(
        (thresholds.len(), &thresholds[0]["route"], &thresholds[0]["of"]),
        (1, &Value::Null, &Value::Null)
    );
    assert!((least - page["confidence"].as_f64().unwrap()).abs() < 1.5e-4, "{page}");
    let plain: Value = gateway.post("/routing/v1/chat/completions", &body).json();
    assert_eq!((plain.get("explanation"), plain.get("request")), (None, None));
    assert_eq!((&plain["config_hash"], &plain["threshold"]), (&page["config_hash"], &0.0.into()));
    assert!(plain["margin"].as_f64().unwrap() > 0.0, "{plain}");
    // A model that is named is not what the words drove: they belong to what it overrode.
    let named = json!({"model": "openai/gpt-5.2", "messages": [{"role": "user", "content": "translate this sentence to Spanish"}]});
    let named: Value = gateway.post("/routing/v1/chat/completions?explain", &named.to_string()).json();
    assert_eq!(
        (named.get("explanation"), &named["by_preference"]["route"]),
        (None, &"translation".into()),
        "{named}"
    );
    assert_eq!(named["by_preference"]["explanation"]["of"], "translation", "{named}");

    let folder = tempfile::tempdir().unwrap();
    let (config, record) = (folder.path().join("waypost.yaml"), folder.path().join("record.json"));
    std::fs::write(&config, EXAMPLE).unwrap();
    let route = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_waypost"));
        command.arg("route").arg(&config).args(arguments).envs(KEYS).output().unwrap()
    };
    // What the endpoint has answered is a record, too.
    std::fs::write(&record, page.to_string()).unwrap();
    let again = route(&["--replay", record.to_str().unwrap()]);
    assert_eq!(
        String::from_utf8_lossy(&again.stdout),
        "the same decision, under the same configuration\n",
        "{again:?}"
    );
    std::fs::write(&record, plain.to_string()).unwrap();
    let again = route(&["--replay", record.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("has no `request`"), "{again:?}");
    let told = route(&["translate this sentence to Spanish", "--json"]);
    let page: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert!(page["config_hash"].as_str().unwrap().starts_with("sha256:"), "{page}");
    std::fs::write(&record, &told.stdout).unwrap();
    let record = record.to_str().unwrap();
    let again = route(&["--replay", record]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(String::from_utf8_lossy(&again.stdout), "the same decision, under the same configuration\n");
    // Another description, another decision.
    std::fs::write(&config, EXAMPLE.replace("translations of text into another language", "cooking"))
        .unwrap();
    let changed = route(&["--replay", record]);
    assert_eq!(changed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&changed.stdout).contains("confidence: "), "{changed:?}");
    // An explicit model wins, and the page says what it overrode.
    let told = route(&["translate this sentence to Spanish", "--model", "openai/gpt-5.2"]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("override  by name: without it, route"), "{told}");
}

#[test]
fn domains_take_what_no_action_fits() {
    let gateway = Gateway::with(EXAMPLE);
    for (prompt, route) in [
        ("Is my employer liable for an accident in the office, by law?", "legal"),
        ("What are the symptoms of the flu and how is it treated?", "healthcare"),
        ("Our office network drops every afternoon, how do I find the cause?", "technical"),
        ("Where should I travel with small children in May?", "general"),
    ] {
        assert_eq!(chosen(&gateway, &[prompt]), route, "{prompt}");
    }
}

#[test]
fn a_conversation_is_followed_as_its_topic_shifts() {
    let gateway = Gateway::with(EXAMPLE);
    let turns: [(&str, &str); 7] = [
        ("Write a Python function that reads a csv file into a list of dicts", "code generation"),
        ("Now add type hints", "code generation"),
        ("It raises KeyError: 'amount' on the second file, fix this error", "code debugging"),
        ("Still the same exception", "code debugging"),
        ("Translate this notice to Spanish: the office is closed on Monday", "translation"),
        ("And into French", "translation"),
        ("My landlord refuses to return my deposit, can I take him to court?", "legal"),
    ];
    let said: Vec<&str> = turns.iter().map(|(text, _)| *text).collect();
    let found: Vec<String> = (1..=said.len()).map(|count| chosen(&gateway, &said[..count])).collect();
    let expected: Vec<&str> = turns.iter().map(|(_, route)| *route).collect();
    assert_eq!(found, expected);
}

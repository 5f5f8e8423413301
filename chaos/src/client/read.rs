//! What an SDK takes for an answer of its API, as strict as the strictest of them: each event in its place, once, with
//! what it must have.

use serde_json::Value;

use crate::api::Api;

/// How far a stream has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// More is to come.
    Open,
    /// The API's own end has come.
    Whole,
    /// An error event has come.
    Failed(String),
}

/// Reads a stream of one API.
#[derive(Debug)]
pub(super) struct Reader {
    api: Api,
    pub(super) state: State,
    /// The words so far.
    pub(super) text: String,
    /// How many events have come.
    events: u64,
    /// What all events of the stream share.
    id: String,
    /// A response has failed, and the error may follow.
    has_failed: bool,
    /// The next step, by the API's own order.
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Start,
    /// It has begun; no block, item or role is there yet.
    Begun,
    /// An item is there, and no part of it.
    Item,
    /// Words may come.
    Words,
    /// The words are over.
    Said,
    /// The part is over.
    PartDone,
    /// The block or item is over.
    ItemDone,
    /// The reason for the end has been said.
    Reason,
}

type Result<T = ()> = std::result::Result<T, String>;

fn text<'v>(value: &'v Value, pointer: &str) -> Result<&'v str> {
    value.pointer(pointer).and_then(Value::as_str).ok_or_else(|| format!("no text at `{pointer}`: {value}"))
}

fn same(value: &Value, pointer: &str, due: impl Into<Value>) -> Result {
    let due = due.into();
    let found = value.pointer(pointer).unwrap_or(&Value::Null);
    if *found == due { Ok(()) } else { Err(format!("`{pointer}` is {found}, not {due}: {value}")) }
}

fn number(value: &Value, pointer: &str) -> Result<u64> {
    value.pointer(pointer).and_then(Value::as_u64).ok_or_else(|| format!("no number at `{pointer}`: {value}"))
}

impl Reader {
    pub(super) fn new(api: Api) -> Self {
        Self {
            api,
            state: State::Open,
            text: String::new(),
            events: 0,
            id: String::new(),
            has_failed: false,
            step: Step::Start,
        }
    }

    /// Takes an event.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn event(&mut self, name: &str, data: &str) -> Result {
        if self.is_reason(name) {
            return Ok(());
        }
        if self.state != State::Open {
            return Err(format!("an event behind the end ({:?}): {name} {data}", self.state));
        }
        if self.api == Api::Chat && data == "[DONE]" {
            self.due(Step::Reason, "[DONE]")?;
            self.state = State::Whole;
            return Ok(());
        }
        let value: Value =
            serde_json::from_str(data).map_err(|error| format!("no JSON ({error}): {name} {data}"))?;
        let kind = value["type"].as_str().unwrap_or_default();
        let is_named = matches!(self.api, Api::Messages | Api::Responses);
        if name != if is_named { kind } else { "" } {
            return Err(format!("the event is named `{name}`: {data}"));
        }
        if let Some(message) = self.error(&value)? {
            self.has_failed = kind == "response.failed";
            self.state = State::Failed(message);
            return Ok(());
        }
        match self.api {
            Api::Chat => self.chat(&value)?,
            Api::Messages => self.messages(&value)?,
            Api::Responses => self.responses(&value)?,
            Api::Gemini => self.gemini(&value)?,
        }
        self.events += 1;
        Ok(())
    }

    /// The error that a failed response has failed by: one API may say it behind the end.
    fn is_reason(&mut self, name: &str) -> bool {
        let is_due = std::mem::take(&mut self.has_failed);
        is_due && name == "error"
    }

    /// Its message if it is an error event.
    fn error(&self, value: &Value) -> Result<Option<String>> {
        let pointer = match self.api {
            Api::Responses if value["type"] == "response.failed" => "/response/error/message",
            Api::Responses if value["type"] == "error" => "/message",
            Api::Responses => return Ok(None),
            Api::Messages if value["type"] == "error" => "/error/message",
            Api::Messages => return Ok(None),
            Api::Chat | Api::Gemini if value.get("error").is_some() => "/error/message",
            Api::Chat | Api::Gemini => return Ok(None),
        };
        text(value, pointer).map(|message| Some(message.to_owned()))
    }

    fn due(&self, step: Step, what: &str) -> Result {
        if self.step == step { Ok(()) } else { Err(format!("`{what}` comes at {:?}", self.step)) }
    }

    /// From one step to the next.
    fn go(&mut self, from: Step, to: Step, what: &str) -> Result {
        self.due(from, what)?;
        self.step = to;
        Ok(())
    }

    fn of_one(&mut self, id: &str) -> Result {
        if self.events == 0 {
            id.clone_into(&mut self.id);
        }
        if self.id == id { Ok(()) } else { Err(format!("the id changes from `{}` to `{id}`", self.id)) }
    }

    fn chat(&mut self, value: &Value) -> Result {
        same(value, "/object", "chat.completion.chunk")?;
        self.of_one(text(value, "/id")?)?;
        number(value, "/created")?;
        text(value, "/model")?;
        let choices = value["choices"].as_array().ok_or("no `choices`")?;
        let Some(choice) = choices.first() else {
            number(value, "/usage/total_tokens")?;
            return self.due(Step::Reason, "usage");
        };
        same(choice, "/index", 0)?;
        if self.step == Step::Start {
            same(choice, "/delta/role", "assistant")?;
            self.step = Step::Words;
        }
        if let Some(words) = choice["delta"]["content"].as_str().filter(|words| !words.is_empty()) {
            self.due(Step::Words, "words")?;
            self.text.push_str(words);
        }
        if !choice["finish_reason"].is_null() {
            same(choice, "/finish_reason", "stop")?;
            self.go(Step::Words, Step::Reason, "finish_reason")?;
        }
        Ok(())
    }

    fn messages(&mut self, value: &Value) -> Result {
        let kind = text(value, "/type")?;
        match kind {
            "ping" => Ok(()),
            "message_start" => {
                text(value, "/message/id")?;
                same(value, "/message/role", "assistant")?;
                same(value, "/message/content", Vec::<Value>::new())?;
                same(value, "/message/stop_reason", Value::Null)?;
                number(value, "/message/usage/input_tokens")?;
                self.go(Step::Start, Step::Begun, kind)
            }
            "content_block_start" => {
                same(value, "/index", 0)?;
                same(value, "/content_block/type", "text")?;
                self.text.push_str(text(value, "/content_block/text")?);
                self.go(Step::Begun, Step::Words, kind)
            }
            "content_block_delta" => {
                same(value, "/index", 0)?;
                same(value, "/delta/type", "text_delta")?;
                self.text.push_str(text(value, "/delta/text")?);
                self.due(Step::Words, kind)
            }
            "content_block_stop" => {
                same(value, "/index", 0)?;
                self.go(Step::Words, Step::ItemDone, kind)
            }
            "message_delta" => {
                same(value, "/delta/stop_reason", "end_turn")?;
                number(value, "/usage/output_tokens")?;
                self.go(Step::ItemDone, Step::Reason, kind)
            }
            "message_stop" => {
                self.due(Step::Reason, kind)?;
                self.state = State::Whole;
                Ok(())
            }
            _ => Err(format!("`{kind}` is no event that is due: {value}")),
        }
    }

    fn responses(&mut self, value: &Value) -> Result {
        same(value, "/sequence_number", self.events)?;
        let kind = text(value, "/type")?;
        let short = kind.strip_prefix("response.").unwrap_or_default();
        if matches!(
            short,
            "content_part.added" | "output_text.delta" | "output_text.done" | "content_part.done"
        ) {
            same(value, "/output_index", 0)?;
            same(value, "/content_index", 0)?;
            same(value, "/item_id", self.id.as_str())?;
        }
        match short {
            "created" => {
                same(value, "/response/status", "in_progress")?;
                same(value, "/response/output", Vec::<Value>::new())?;
                self.go(Step::Start, Step::Begun, kind)
            }
            "in_progress" => self.due(Step::Begun, kind),
            "output_item.added" => {
                same(value, "/output_index", 0)?;
                same(value, "/item/type", "message")?;
                text(value, "/item/id")?.clone_into(&mut self.id);
                self.go(Step::Begun, Step::Item, kind)
            }
            "content_part.added" => {
                same(value, "/part/text", "")?;
                self.go(Step::Item, Step::Words, kind)
            }
            "output_text.delta" => {
                self.text.push_str(text(value, "/delta")?);
                self.due(Step::Words, kind)
            }
            "output_text.done" => {
                same(value, "/text", self.text.as_str())?;
                self.go(Step::Words, Step::Said, kind)
            }
            "content_part.done" => {
                same(value, "/part/text", self.text.as_str())?;
                self.go(Step::Said, Step::PartDone, kind)
            }
            "output_item.done" => {
                same(value, "/output_index", 0)?;
                same(value, "/item/id", self.id.as_str())?;
                same(value, "/item/content/0/text", self.text.as_str())?;
                self.go(Step::PartDone, Step::ItemDone, kind)
            }
            "completed" => {
                self.due(Step::ItemDone, kind)?;
                if response(&value["response"])? != self.text {
                    return Err(format!("the whole is not what its pieces were: {value}"));
                }
                self.state = State::Whole;
                Ok(())
            }
            _ => Err(format!("`{kind}` is no event that is due: {value}")),
        }
    }

    fn gemini(&mut self, value: &Value) -> Result {
        self.due(Step::Start, "a piece")?;
        self.of_one(text(value, "/responseId")?)?;
        let candidate = value.pointer("/candidates/0").ok_or_else(|| format!("no candidate: {value}"))?;
        if candidate.get("index").is_some() {
            same(candidate, "/index", 0)?;
        }
        for part in candidate.pointer("/content/parts").and_then(Value::as_array).into_iter().flatten() {
            self.text.push_str(text(part, "/text")?);
        }
        if candidate.get("finishReason").is_some() {
            same(candidate, "/finishReason", "STOP")?;
            self.step = Step::Reason;
        }
        Ok(())
    }

    /// HTTP's end has come.
    ///
    /// # Errors
    /// The API's own end has not.
    pub(super) fn finish(&mut self) -> Result {
        if self.api == Api::Gemini && self.step == Step::Reason && self.state == State::Open {
            // The last piece says why it is the last; nothing else does.
            self.state = State::Whole;
        }
        if self.state == State::Open {
            Err(format!("the stream ends at {:?}, without an end or an error", self.step))
        } else {
            Ok(())
        }
    }
}

fn response(value: &Value) -> Result<&str> {
    same(value, "/object", "response")?;
    same(value, "/status", "completed")?;
    same(value, "/error", Value::Null)?;
    number(value, "/usage/total_tokens")?;
    text(value, "/id")?;
    same(value, "/output/0/type", "message")?;
    same(value, "/output/1", Value::Null)?;
    same(value, "/output/0/content/0/type", "output_text")?;
    text(value, "/output/0/content/0/text")
}

/// The words of a plain answer.
///
/// # Errors
/// What is wrong with it.
pub(super) fn plain(api: Api, value: &Value) -> Result<&str> {
    match api {
        Api::Chat => {
            same(value, "/object", "chat.completion")?;
            text(value, "/id")?;
            number(value, "/created")?;
            number(value, "/usage/total_tokens")?;
            same(value, "/choices/0/index", 0)?;
            same(value, "/choices/1", Value::Null)?;
            same(value, "/choices/0/message/role", "assistant")?;
            same(value, "/choices/0/finish_reason", "stop")?;
            text(value, "/choices/0/message/content")
        }
        Api::Messages => {
            same(value, "/type", "message")?;
            text(value, "/id")?;
            same(value, "/role", "assistant")?;
            same(value, "/stop_reason", "end_turn")?;
            number(value, "/usage/output_tokens")?;
            same(value, "/content/0/type", "text")?;
            same(value, "/content/1", Value::Null)?;
            text(value, "/content/0/text")
        }
        Api::Responses => response(value),
        Api::Gemini => {
            same(value, "/candidates/0/finishReason", "STOP")?;
            number(value, "/usageMetadata/totalTokenCount")?;
            same(value, "/candidates/0/content/parts/1", Value::Null)?;
            text(value, "/candidates/0/content/parts/0/text")
        }
    }
}

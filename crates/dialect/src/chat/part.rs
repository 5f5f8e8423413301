//! What a message is made of.

use super::{Extra, Json, Seal};

/// One piece of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it is.
    pub content: Content,
    /// The provider's id of the item that the part belongs to. Parts that follow one another under one id are one
    /// item.
    pub item: Option<String>,
    /// What the provider needs to recognise the part when it comes back.
    pub seal: Option<Seal>,
    /// Where the text comes from.
    pub annotations: Vec<Annotation>,
    /// Log probabilities, one token each, in the form that both of OpenAI's dialects share.
    pub logprobs: Vec<Json>,
    /// Prompt cache marker, such as `{"type":"ephemeral"}`.
    pub cache_control: Option<Json>,
    /// What else the dialect of origin said.
    pub extra: Extra,
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        Self {
            content,
            item: None,
            seal: None,
            annotations: Vec::new(),
            logprobs: Vec::new(),
            cache_control: None,
            extra: Extra::default(),
        }
    }
}

impl Part {
    /// A part of text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Content::Text(text.into()).into()
    }

    /// Nothing but text: no marker, no annotations, no extra fields.
    pub(crate) fn plain_text(&self) -> Option<&str> {
        let is_plain = self.cache_control.is_none() && self.annotations.is_empty() && self.extra.0.is_empty();
        match &self.content {
            Content::Text(text) if is_plain => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_call(&self) -> bool {
        matches!(self.content, Content::ToolCall(_))
    }

    pub(crate) fn is_reasoning(&self) -> bool {
        matches!(self.content, Content::Reasoning(_))
    }

    pub(crate) fn is_result(&self) -> bool {
        matches!(self.content, Content::ToolResult { .. })
    }

    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.content, Content::Refusal(_))
    }
}

/// What a part of a message is.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Text.
    Text(String),
    /// The model's words where it refuses.
    Refusal(String),
    /// The model's thinking. Both texts may be empty: then only the provider can read it, by the part's seal.
    Reasoning(Reasoning),
    /// An image.
    Image {
        /// Where it is.
        source: Source,
        /// How closely to look: `auto`, `low`, `high`.
        detail: Option<String>,
    },
    /// Sound.
    Audio(Audio),
    /// A document.
    File {
        /// Where it is.
        source: Source,
        /// Its name or title.
        name: Option<String>,
    },
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// What the tool answered.
    ToolResult {
        /// Which call is answered.
        call_id: String,
        /// The answer: text, images and documents.
        parts: Vec<Part>,
        /// The tool failed.
        is_error: bool,
        /// What kind of call it was, as far as the dialect says.
        kind: CallKind,
    },
    /// A kind that only the dialect of origin knows.
    Other {
        /// Its type there.
        kind: String,
        /// All of it.
        json: Json,
    },
}

/// The model's thinking.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// The thinking itself, as far as the provider shows it.
    pub text: String,
    /// Summaries of it.
    pub summary: Vec<String>,
}

impl Reasoning {
    /// The thinking itself.
    #[must_use]
    pub fn of_text(text: String) -> Self {
        Self { text, summary: Vec::new() }
    }

    /// What there is to show: the thinking itself, else its summaries.
    #[must_use]
    pub fn shown(&self) -> String {
        if self.text.is_empty() { self.summary.join("\n\n") } else { self.text.clone() }
    }
}

/// Sound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audio {
    /// The bytes in base64; empty where only the id is known.
    pub data: String,
    /// Such as `wav` or `mp3`; empty where the request said it and the answer does not.
    pub format: String,
    /// The provider's id of it.
    pub id: Option<String>,
    /// What is said in it.
    pub transcript: Option<String>,
    /// Unix time in seconds until which the provider knows the id.
    pub expires_at: Option<u64>,
}

/// Where a text comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    /// As the dialect of origin writes it.
    pub json: Json,
    /// The same as a citation of a page, which is what several dialects can say.
    pub url: Option<UrlCitation>,
}

/// A page that a text cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlCitation {
    /// Its address.
    pub url: String,
    /// Its title.
    pub title: Option<String>,
    /// The characters of the part that rest on it; all of them where nobody says.
    pub range: Option<(u64, u64)>,
}

/// Where the bytes of an image or a document are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// At an address.
    Url(String),
    /// Here, in base64.
    Base64 {
        /// Such as `image/png`.
        media_type: String,
        /// The bytes in base64.
        data: String,
    },
    /// Here, as text.
    Text(String),
    /// With the provider, under this id.
    FileId(String),
}

impl Source {
    /// Reads an address, taking `data:` addresses apart (RFC 2397; base64 only).
    #[must_use]
    pub fn from_url(mut url: String) -> Self {
        let head = url
            .get(..5)
            .filter(|scheme| scheme.eq_ignore_ascii_case("data:"))
            .and_then(|_| url.split_once(','))
            .and_then(|(head, _)| head.get(5..)?.strip_suffix(";base64"));
        match head {
            Some(head) => {
                let media_type = head.split(';').next().unwrap_or_default().to_owned();
                // The data may be megabytes: it moves to the front of its own memory.
                let data_at = "data:".len() + head.len() + ";base64,".len();
                url.drain(..data_at);
                Self::Base64 { media_type, data: url }
            }
            None => Self::Url(url),
        }
    }
}

/// What kind of tool is called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallKind {
    /// One with arguments in JSON.
    #[default]
    Function,
    /// One that takes free text.
    Custom,
}

/// A call of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// What its result refers to.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// JSON text as the model wrote it: usually an object, not always valid; `{}` where it wrote nothing. Of a custom
    /// tool: any text.
    pub arguments: String,
    /// What kind of tool.
    pub kind: CallKind,
}

impl ToolCall {
    /// A call of a function; blank arguments become `{}`.
    #[must_use]
    pub fn new(id: String, name: String, arguments: String) -> Self {
        let arguments = if arguments.trim().is_empty() { "{}".to_owned() } else { arguments };
        Self { id, name, arguments, kind: CallKind::Function }
    }

    /// A call of a custom tool.
    #[must_use]
    pub fn custom(id: String, name: String, input: String) -> Self {
        Self { id, name, arguments: input, kind: CallKind::Custom }
    }
}

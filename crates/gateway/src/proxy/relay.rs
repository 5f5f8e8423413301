//! What a stream goes through on its way: untouched where the dialects agree, else decoded and encoded.

use std::sync::Arc;

use bytes::Bytes;
use waypost_dialect::chat::{CustomTools, Extra, ToolNames};
use waypost_dialect::dialect::{Observed, StreamDecoder, StreamEncoder, StreamOptions, StreamTap};
use waypost_dialect::error::{ApiError, ResponseError};
use waypost_dialect::event::{BlockKind, Delta, StreamEvent};
use waypost_dialect::gemini::array::{ToArray, ToEvents};
use waypost_dialect::loss::Loss;
use waypost_dialect::openai_chat;
use waypost_dialect::openai_responses;
use waypost_dialect::{ClientDialect, DialectId, before_nonsense};

use super::boundary::Boundary;
use super::forward::Wish;
use crate::responses::Keeper;
use crate::telemetry::record::Record;

const EVENTS: &str = "text/event-stream; charset=utf-8";
/// What a token of text is counted as, in bytes.
const BYTES_PER_TOKEN: u64 = 4;

/// One stream's way from a provider to a client.
pub(super) struct Relay {
    way: Way,
    /// The provider's stream is a JSON array.
    from_array: Option<ToEvents>,
    /// The client's is to be one.
    to_array: Option<ToArray>,
}

enum Way {
    /// Same dialect: the bytes go through in whole events, the tap watches.
    Pass(Box<Pass>),
    /// Other dialect: decoded and encoded.
    Translate(Box<Translation>),
}

struct Pass {
    tap: Box<dyn StreamTap>,
    boundary: Boundary,
    keeper: Option<Keeper>,
    /// Takes out what was not asked for by the client.
    hides_usage: bool,
    /// The number of the next event, where the dialect has such.
    sequence: Option<u64>,
    /// Looks for the first content; gone once it has come.
    scout: Option<Box<dyn StreamDecoder>>,
    opening: Opening,
}

struct Translation {
    decoder: Box<dyn StreamDecoder>,
    encoder: Box<dyn StreamEncoder>,
    /// Kept for its capacity; empty between calls.
    events: Vec<StreamEvent>,
    loss: Loss,
    /// When the request came; some dialects want a time that others don't state.
    created: u64,
    /// The same of an id.
    id: String,
    /// The same of the model: the one that was asked.
    model: Option<Arc<str>>,
    /// What the client's dialect repeats of the request.
    echo: Extra,
    /// Makes calls of functions calls of the client's custom tools.
    custom: CustomTools,
    /// The client's names of tools.
    names: ToolNames,
    /// Where the answer is kept.
    keeper: Option<Keeper>,
    opening: Opening,
}

/// How far a stream has come.
#[derive(Debug, Default)]
struct Opening {
    content: bool,
    error: Option<ApiError>,
    /// Events so far.
    heard: u32,
    /// Bytes of words, thinking and calls so far, where they are looked at.
    text: u64,
}

impl Opening {
    fn saw(&mut self, event: &StreamEvent) {
        self.heard = self.heard.saturating_add(1);
        if let StreamEvent::Delta {
            delta: Delta::Text(text) | Delta::Thinking(text) | Delta::Summary(text) | Delta::Arguments(text),
            ..
        } = event
        {
            self.text += text.len() as u64;
        }
        match event {
            StreamEvent::Error(error) if !self.content => self.error = Some(error.clone()),
            // Words, calls and thinking are content, and so is an end without any.
            StreamEvent::Delta { .. }
            | StreamEvent::Finish { .. }
            | StreamEvent::End
            | StreamEvent::BlockStart {
                kind: BlockKind::ToolCall { .. } | BlockKind::Other { .. }, ..
            } => {
                self.content = true;
            }
            _ => {}
        }
    }
}

impl Relay {
    /// The way from one dialect to another, or the same.
    pub(super) fn new(from: DialectId, to: ClientDialect, wish: Wish, record: &Record) -> Self {
        let from_array = wish.from_array.then(ToEvents::default);
        let to_array = wish.as_array.then(ToArray::default);
        Self { way: Way::new(from, to, wish, record), from_array, to_array }
    }

    /// The content type of what the client gets, where it is not the provider's.
    pub(super) fn content_type(&self) -> Option<&'static str> {
        match (&self.to_array, &self.way) {
            (Some(_), _) => Some("application/json; charset=utf-8"),
            (None, Way::Translate(_)) => Some(EVENTS),
            (None, Way::Pass(_)) => self.from_array.is_some().then_some(EVENTS),
        }
    }

    /// The events that these bytes of the provider become, and what is wrong after them.
    pub(super) fn push(&mut self, data: &Bytes) -> (Bytes, Option<ResponseError>) {
        match &mut self.from_array {
            None => self.way.push(data),
            Some(array) => {
                let mut events = Vec::new();
                array.push(data, &mut events);
                self.way.push(&events.into())
            }
        }
    }

    /// The last events; the provider sends no more.
    pub(super) fn finish(&mut self) -> Result<Bytes, ResponseError> {
        self.way.finish()
    }

    /// The events by which a stream that breaks off says so.
    pub(super) fn fail(&mut self, error: &ApiError, client: ClientDialect) -> Vec<u8> {
        let mut out = Vec::new();
        match &mut self.way {
            // What has begun is ended, too: an answer of Responses fails as one.
            Way::Translate(translation) => {
                let Translation { encoder, loss, .. } = &mut **translation;
                encoder.push(&StreamEvent::Error(error.clone()), &mut out, loss);
            }
            Way::Pass(pass) => {
                if let Some(sequence) = pass.sequence {
                    out = openai_responses::encode_stream_error_at(error, sequence);
                }
            }
        }
        if out.is_empty() { client.codec().encode_stream_error(error) } else { out }
    }

    /// Events in the form that the client wants.
    pub(super) fn framed(&mut self, events: Bytes, is_end: bool) -> Bytes {
        let Some(array) = &mut self.to_array else { return events };
        let mut out = Vec::with_capacity(events.len());
        array.push(&events, &mut out);
        if is_end {
            array.finish(&mut out);
        }
        out.into()
    }

    /// The first content has come.
    pub(super) fn has_content(&self) -> bool {
        self.way.opening().content
    }

    /// How many events that say something have come up to the content.
    pub(super) fn heard(&self) -> u32 {
        self.way.opening().heard
    }

    /// The error that came in place of the content.
    pub(super) fn error_before_content(&self) -> Option<&ApiError> {
        self.way.opening().error.as_ref()
    }

    /// Facts about what went by.
    pub(super) fn observed(&self) -> &Observed {
        match &self.way {
            Way::Pass(pass) => pass.tap.observed(),
            Way::Translate(translation) => translation.decoder.observed(),
        }
    }

    /// About how many tokens have gone by, where the provider does not say: of a stream that is read by its text, of one
    /// that is passed by its events, as servers which do not say send one for each token.
    pub(super) fn tokens(&self) -> u64 {
        match &self.way {
            Way::Pass(pass) => pass.tap.events(),
            Way::Translate(translation) => translation.opening.text.div_ceil(BYTES_PER_TOKEN),
        }
    }

    /// The client can be sent comments between its events: the events are ours, and there are such.
    pub(super) fn takes_comments(&self) -> bool {
        self.to_array.is_none() && matches!(self.way, Way::Translate(_))
    }

    pub(super) fn note(&self, record: &mut Record) {
        record.saw(self.observed());
        if let Way::Translate(translation) = &self.way {
            record.lost(&translation.loss);
        }
    }
}

impl Way {
    fn new(from: DialectId, to: ClientDialect, wish: Wish, record: &Record) -> Self {
        if from == to.id() {
            return Self::Pass(Box::new(Pass {
                tap: to.codec().stream_tap(),
                boundary: Boundary::default(),
                keeper: wish.keeper,
                hides_usage: wish.hides_usage,
                sequence: (to == ClientDialect::OpenAiResponses).then_some(0),
                scout: Some(from.codec().stream_decoder()),
                opening: Opening::default(),
            }));
        }
        let options = StreamOptions { include_usage: wish.include_usage };
        Self::Translate(Box::new(Translation {
            decoder: from.codec().stream_decoder(),
            encoder: to.codec().stream_encoder(options),
            events: Vec::new(),
            loss: Loss::default(),
            created: record.created(),
            id: record.answer_id(),
            model: record.model.clone(),
            echo: wish.echo,
            custom: wish.custom,
            names: wish.names,
            keeper: wish.keeper,
            opening: Opening::default(),
        }))
    }

    fn push(&mut self, data: &Bytes) -> (Bytes, Option<ResponseError>) {
        match self {
            Self::Pass(pass) => {
                pass.tap.push(data);
                let mut error = pass.look(data);
                let mut events = pass.boundary.push(data);
                if pass.tap.is_garbled() {
                    events.truncate(before_nonsense(&events));
                    error = error.or_else(|| Some(garbled()));
                }
                if let Some(sequence) = &mut pass.sequence {
                    *sequence = openai_responses::sequence_after(&events).unwrap_or(*sequence);
                }
                let events = pass.visible(events);
                if let Some(keeper) = &pass.keeper
                    && let Some(response) = openai_responses::last_response(&events)
                {
                    keeper.keep(response);
                }
                (events, error)
            }
            Self::Translate(translation) => {
                let error = translation.decoder.push(data, &mut translation.events).err();
                (translation.encode().into(), error)
            }
        }
    }

    fn finish(&mut self) -> Result<Bytes, ResponseError> {
        match self {
            Self::Pass(pass) if pass.tap.observed().complete || pass.tap.observed().error.is_some() => {
                let rest = pass.boundary.finish();
                Ok(pass.visible(rest))
            }
            Self::Pass(..) => Err(ResponseError::Truncated),
            Self::Translate(translation) => {
                translation.decoder.finish(&mut translation.events)?;
                let mut out = translation.encode();
                translation.encoder.finish(&mut out);
                Ok(out.into())
            }
        }
    }

    fn opening(&self) -> &Opening {
        match self {
            Self::Pass(pass) => &pass.opening,
            Self::Translate(translation) => &translation.opening,
        }
    }
}

impl Pass {
    /// What the client gets of these events.
    fn visible(&self, events: Bytes) -> Bytes {
        if self.hides_usage { openai_chat::without_usage(&events) } else { events }
    }

    /// Looks for the first content. Behind it the bytes go through as they are, unless they are no events at all.
    fn look(&mut self, data: &[u8]) -> Option<ResponseError> {
        let scout = self.scout.as_mut()?;
        let mut events = Vec::new();
        let ends = memchr::memchr_iter(b'\n', data).map(|newline| newline + 1);
        let mut from = 0;
        // By lines: what comes behind the first content is not read.
        for end in ends.chain([data.len()]) {
            let result = scout.push(data.get(from..end).unwrap_or_default(), &mut events);
            from = end;
            events.drain(..).for_each(|event| self.opening.saw(&event));
            if self.opening.content || result.is_err() {
                self.scout = None;
                return result.err().filter(|_| !self.opening.content);
            }
        }
        None
    }
}

/// A client would fail at it in its own way, so it gets an error that it knows instead.
fn garbled() -> ResponseError {
    ResponseError::Format { dialect: "JSON", message: "an event in the middle of its stream".to_owned() }
}

impl Translation {
    fn encode(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let Self { encoder, loss, custom, names, opening, .. } = self;
        for mut event in self.events.drain(..) {
            opening.saw(&event);
            if let StreamEvent::Start { created, echo, id, model, .. } = &mut event {
                created.get_or_insert(self.created);
                if id.is_empty() {
                    *id = std::mem::take(&mut self.id);
                }
                if let Some(asked) = self.model.as_deref().filter(|_| model.is_empty()) {
                    asked.clone_into(model);
                }
                *echo = std::mem::take(&mut self.echo);
            }
            names.restore_event(&mut event);
            custom.push(event, &mut |event| encoder.push(event, &mut out, loss));
        }
        if let Some(keeper) = &self.keeper
            && let Some(response) = openai_responses::last_response(&out)
        {
            keeper.keep(response);
        }
        out
    }
}

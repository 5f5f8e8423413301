//! Names of tools that a provider's dialect refuses: each goes out as one that it takes, and comes back as the client's
//! own. A name always becomes the same one, whatever stands beside it, so that a prompt's beginning stays the same.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::{AllowedTool, ChatRequest, ChatResponse, Content, Tool, ToolChoice};
use crate::dialect::DialectId;
use crate::event::{BlockKind, StreamEvent};

/// Letters of the digest that tells apart what would else become the same name.
const DIGEST: usize = 8;

/// What names of tools may look like.
#[derive(Debug, Clone, Copy)]
struct Rule {
    /// Bytes at most.
    most: usize,
    /// Taken beside letters, digits, `_` and `-`.
    also: &'static str,
    /// Has to begin with a letter or `_`.
    begins_with_letter: bool,
}

impl Rule {
    fn of(dialect: DialectId) -> Self {
        let plain = Self { most: 64, also: "", begins_with_letter: false };
        match dialect {
            DialectId::OpenAiChat | DialectId::OpenAiResponses | DialectId::BedrockConverse => plain,
            DialectId::AnthropicMessages => Self { most: 128, ..plain },
            DialectId::Gemini => Self { most: 128, also: ".:", begins_with_letter: true },
        }
    }

    fn takes(self, c: char) -> bool {
        c.is_ascii_alphanumeric() || c == '_' || c == '-' || self.also.contains(c)
    }

    fn begins(self, name: &str) -> bool {
        !self.begins_with_letter || name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    }

    /// The name as the dialect takes it. An empty one stays: it is the provider's to refuse.
    fn fit(self, name: &str) -> Cow<'_, str> {
        if name.is_empty()
            || (name.len() <= self.most && name.chars().all(|c| self.takes(c)) && self.begins(name))
        {
            return Cow::Borrowed(name);
        }
        let mut fit = String::with_capacity(self.most);
        if !self.begins(name) {
            fit.push('_');
        }
        let room = self.most - DIGEST - 1;
        let letters = name.chars().map(|c| if self.takes(c) { c } else { '_' });
        fit.extend(letters.take(room - fit.len()));
        fit.push('_');
        fit.push_str(&digest(name));
        Cow::Owned(fit)
    }
}

/// FNV-1a of 64 bits, of which so many letters are told as there is room for.
fn digest(name: &str) -> String {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut digest = format!("{hash:016x}");
    digest.truncate(DIGEST);
    digest
}

/// All names of tools in a request, wherever one stands.
fn each_name(request: &mut ChatRequest, take: &mut dyn FnMut(&mut String)) {
    for tool in &mut request.tools {
        match tool {
            Tool::Function(function) => take(&mut function.name),
            Tool::Custom(custom) => take(&mut custom.name),
            Tool::Other { .. } => {}
        }
    }
    match &mut request.tool_choice {
        Some(ToolChoice::Function(name) | ToolChoice::Custom(name)) => take(name),
        Some(ToolChoice::Allowed { tools, .. }) => {
            for tool in tools {
                if let AllowedTool::Function(name) | AllowedTool::Custom(name) = tool {
                    take(name);
                }
            }
        }
        _ => {}
    }
    for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
        if let Content::ToolCall(call) = &mut part.content {
            take(&mut call.name);
        }
    }
}

/// The client's own names of tools that its provider knows by others.
#[derive(Debug, Default)]
pub struct ToolNames {
    /// By the name that went out.
    own: HashMap<String, String>,
}

impl ToolNames {
    /// Makes the names of a request fit for a provider of this dialect, and keeps the client's own. Two tools that would
    /// be one for the provider, by chance or on purpose, get a number each beside their names.
    #[must_use]
    pub fn fit(request: &mut ChatRequest, dialect: DialectId) -> Self {
        let rule = Rule::of(dialect);
        let mut names = Self::default();
        if request.source == Some(dialect) {
            return names;
        }
        let mut all_fit = true;
        each_name(request, &mut |name| all_fit &= matches!(rule.fit(name), Cow::Borrowed(_)));
        if all_fit {
            return names;
        }
        let mut sent: HashMap<String, String> = HashMap::new();
        let mut taken: HashSet<String> = HashSet::new();
        each_name(request, &mut |name| {
            if let Cow::Borrowed(_) = rule.fit(name) {
                taken.insert(name.clone());
            }
        });
        each_name(request, &mut |name| {
            let Cow::Owned(mut fit) = rule.fit(name) else { return };
            if let Some(known) = sent.get(name) {
                known.clone_into(name);
                return;
            }
            let mut number = 0_u32;
            while taken.contains(&fit) {
                number += 1;
                let suffix = format!("-{number}");
                fit = rule.fit(name).into_owned();
                fit.truncate(rule.most - suffix.len());
                fit.push_str(&suffix);
            }
            taken.insert(fit.clone());
            names.own.insert(fit.clone(), name.clone());
            sent.insert(std::mem::replace(name, fit.clone()), fit);
        });
        names
    }

    /// Gives calls in an answer the client's names.
    pub fn restore(&self, response: &mut ChatResponse) {
        for part in response.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
            if let Content::ToolCall(call) = &mut part.content {
                self.give_back(&mut call.name);
            }
        }
    }

    /// The same for an event of a stream.
    pub fn restore_event(&self, event: &mut StreamEvent) {
        if let StreamEvent::BlockStart { kind: BlockKind::ToolCall { name, .. }, .. } = event {
            self.give_back(name);
        }
    }

    fn give_back(&self, name: &mut String) {
        if let Some(own) = self.own.get(name) {
            own.clone_into(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Choice, Function, ToolCall};

    fn asking(names: &[&str]) -> ChatRequest {
        let tool = |name: &&str| Tool::Function(Function { name: (*name).to_owned(), ..Function::default() });
        ChatRequest { tools: names.iter().map(tool).collect(), ..ChatRequest::default() }
    }

    fn names(request: &ChatRequest) -> Vec<String> {
        let name = |tool: &Tool| match tool {
            Tool::Function(function) => function.name.clone(),
            _ => unreachable!(),
        };
        request.tools.iter().map(name).collect()
    }

    #[test]
    fn names_fit_and_come_back() {
        let long = format!("mcp__server__{}", "x".repeat(100));
        let own = ["get.weather", "get:weather", &long, "9lives", "größe", "fine", ""];
        for dialect in DialectId::ALL {
            let mut request = asking(&own);
            let fitted = ToolNames::fit(&mut request, dialect);
            let sent = names(&request);
            let rule = Rule::of(dialect);
            for (sent, own) in sent.iter().zip(own) {
                assert!(matches!(rule.fit(sent), Cow::Borrowed(_)), "{dialect:?}: {sent}");
                let call = ToolCall { name: sent.clone(), ..ToolCall::default() };
                let parts = vec![Content::ToolCall(call).into()];
                let choices = vec![Choice { parts, ..Choice::default() }];
                let mut answer = ChatResponse { choices, ..ChatResponse::default() };
                fitted.restore(&mut answer);
                let Content::ToolCall(call) = &answer.choices[0].parts[0].content else { unreachable!() };
                assert_eq!(call.name, own);
            }
        }
    }

    #[test]
    fn a_name_does_not_depend_on_others_unless_they_are_the_same() {
        let one = |names_of: &[&str]| {
            let mut request = asking(names_of);
            let _ = ToolNames::fit(&mut request, DialectId::OpenAiChat);
            names(&request)
        };
        let alone = one(&["a.b"]);
        assert_eq!(one(&["c", "a.b"])[1], alone[0]);
        // Somebody has the very name that it would get.
        let both = one(&["a.b", &alone[0]]);
        assert_eq!(both[1], alone[0], "what fits stays");
        assert_ne!(both[0], both[1]);
        assert_eq!(one(&["a.b", "a.b"]), [alone[0].clone(), alone[0].clone()]);
    }
}

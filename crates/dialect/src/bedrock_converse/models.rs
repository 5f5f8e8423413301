//! What is known of a model by its name: the API is one for all makers, and what their models take is not.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-supported-models-features.html>

use crate::claude;

/// Whose model it is, as far as requests differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// Anthropic: `anthropic.claude-…`, with a region's prefix or in an ARN, too.
    Claude,
    /// Amazon: `amazon.nova-…` of the first generation.
    Nova,
    /// Amazon: `amazon.nova-2-…` and later, which think.
    Nova2,
    /// OpenAI's open models: `openai.gpt-oss-…`.
    GptOss,
    /// Any other name.
    Other,
    /// An ARN that tells an account's own profile, prompt or deployment and no model.
    Opaque,
}

impl Maker {
    pub(super) fn of(model: &str) -> Self {
        if claude::is_claude(model) {
            return Self::Claude;
        }
        if let Some((_, behind)) = model.split_once("nova-") {
            let digit = behind.chars().next().and_then(|first| first.to_digit(10));
            return if digit.is_some_and(|digit| digit >= 2) { Self::Nova2 } else { Self::Nova };
        }
        if model.contains("gpt-oss") {
            return Self::GptOss;
        }
        if model.starts_with("arn:") && !model.contains("foundation-model/") {
            return Self::Opaque;
        }
        Self::Other
    }

    /// May be one of Anthropic's.
    pub(super) fn may_be_claude(self) -> bool {
        matches!(self, Self::Claude | Self::Opaque)
    }

    /// Takes points of caching in prompts.
    pub(super) fn caches(self) -> bool {
        matches!(self, Self::Claude | Self::Nova | Self::Nova2 | Self::Opaque)
    }

    /// Takes them among tools, and for an hour.
    pub(super) fn caches_tools(self) -> bool {
        self.may_be_claude()
    }

    /// Takes the status of a tool's result.
    pub(super) fn takes_status(self) -> bool {
        self.caches()
    }

    /// Holds to the schema of a tool exactly if asked to.
    pub(super) fn is_strict(self, model: &str) -> bool {
        match self {
            Self::Claude => claude::generation(model) >= (4, 5),
            Self::GptOss => true,
            Self::Nova | Self::Nova2 | Self::Other | Self::Opaque => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Maker;

    #[test]
    fn makers_by_name() {
        for (model, maker) in [
            ("anthropic.claude-3-5-sonnet-20241022-v2:0", Maker::Claude),
            ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", Maker::Claude),
            ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-4-6-v1", Maker::Claude),
            ("us.amazon.nova-pro-v1:0", Maker::Nova),
            ("us.amazon.nova-2-lite-v1:0", Maker::Nova2),
            ("openai.gpt-oss-120b-1:0", Maker::GptOss),
            ("meta.llama3-3-70b-instruct-v1:0", Maker::Other),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2", Maker::Opaque),
            ("arn:aws:bedrock:us-east-1::foundation-model/meta.llama4", Maker::Other),
            ("nova-", Maker::Nova),
        ] {
            assert_eq!(Maker::of(model), maker, "{model}");
        }
    }
}

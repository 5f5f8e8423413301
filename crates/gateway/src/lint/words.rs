//! Words that make a description work worse, and what stands better in their place.

/// Words and phrases that fit any request.
pub(super) const VAGUE: &[&str] = &[
    "anything",
    "everything",
    "something",
    "whatever",
    "stuff",
    "things",
    "various",
    "miscellaneous",
    "misc",
    "etc",
    "and so on",
    "and more",
    "all kinds of",
    "all sorts of",
    "any kind of",
    "any type of",
    "in general",
    "general purpose",
    "general-purpose",
    "related to",
    "other requests",
    "other questions",
    "other tasks",
    "general questions",
    "general requests",
    "general tasks",
    "any request",
    "any question",
    "any task",
];

/// Verbs that begin descriptions, with the noun that says the same; empty where the object says it alone.
const VERBS: &[(&str, &str)] = &[
    ("handle", ""),
    ("process", "processing"),
    ("manage", "managing"),
    ("do", ""),
    ("perform", ""),
    ("provide", ""),
    ("give", "giving"),
    ("get", "getting"),
    ("use", "using"),
    ("help", "helping"),
    ("assist", "assisting"),
    ("support", "supporting"),
    ("answer", "answering"),
    ("explain", "explaining"),
    ("understand", "understanding"),
    ("describe", "describing"),
    ("discuss", "discussing"),
    ("write", "writing"),
    ("rewrite", "rewriting"),
    ("edit", "editing"),
    ("draft", "drafting"),
    ("compose", "composing"),
    ("create", "creating"),
    ("generate", "generating"),
    ("make", "making"),
    ("build", "building"),
    ("develop", "developing"),
    ("design", "designing"),
    ("implement", "implementing"),
    ("fix", "fixing"),
    ("repair", "repairing"),
    ("debug", "debugging"),
    ("refactor", "refactoring"),
    ("review", "reviewing"),
    ("test", "testing"),
    ("optimize", "optimizing"),
    ("optimise", "optimising"),
    ("improve", "improving"),
    ("convert", "converting"),
    ("translate", "translating"),
    ("summarize", "summarizing"),
    ("summarise", "summarising"),
    ("extract", "extracting"),
    ("classify", "classifying"),
    ("analyze", "analyzing"),
    ("analyse", "analysing"),
    ("compare", "comparing"),
    ("evaluate", "evaluating"),
    ("solve", "solving"),
    ("calculate", "calculating"),
    ("compute", "computing"),
    ("plan", "planning"),
    ("schedule", "scheduling"),
    ("book", "booking"),
    ("buy", "buying"),
    ("order", "ordering"),
    ("find", "finding"),
    ("search", "searching"),
    ("look", "looking"),
    ("recommend", "recommending"),
    ("suggest", "suggesting"),
    ("play", "playing"),
    ("show", "showing"),
    ("tell", "telling"),
    ("teach", "teaching"),
    ("learn", "learning"),
    ("brainstorm", "brainstorming"),
    ("check", "checking"),
    ("cancel", "cancelling"),
    ("update", "updating"),
    ("change", "changing"),
    ("send", "sending"),
];

/// Verbs of the list that are nouns as often: commands only where an object with an article or pronoun follows.
const ALSO_NOUNS: &[&str] = &[
    "help", "support", "process", "answer", "draft", "design", "build", "fix", "repair", "review", "test",
    "plan", "schedule", "book", "order", "search", "look", "play", "show", "check", "update", "change",
    "use", "learn",
];

/// What makes the word before it a command.
const OBJECTS: &[&str] = &[
    "a",
    "an",
    "the",
    "any",
    "all",
    "this",
    "that",
    "these",
    "those",
    "my",
    "your",
    "their",
    "user",
    "users",
    "questions",
    "requests",
    "people",
    "new",
    "existing",
];

/// Words that carry no meaning of their own.
const FUNCTION_WORDS: &[&str] = &[
    "a",
    "an",
    "the",
    "of",
    "to",
    "and",
    "or",
    "in",
    "on",
    "for",
    "with",
    "by",
    "from",
    "at",
    "is",
    "are",
    "as",
    "its",
    "their",
    "such",
    "about",
    "into",
    "between",
    "user",
    "users",
    "request",
    "requests",
    "question",
    "questions",
];

/// A command in a description: where it is, and the noun in its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// The verb, as it is written.
    pub(super) verb: String,
    /// Where the verb begins, in bytes.
    pub(super) start: usize,
    /// The noun phrase that says the same.
    pub(super) noun: &'static str,
}

/// The commands of a description: verbs in their plain form where a clause begins.
pub(super) fn commands(description: &str) -> Vec<Command> {
    let words = words(description);
    let mut commands = Vec::new();
    let mut begins = true;
    for (index, (start, word)) in words.iter().enumerate() {
        let plain = word.to_lowercase();
        let row = VERBS.iter().find(|(verb, _)| *verb == plain);
        let next = words.get(index + 1).map(|(_, next)| next.to_lowercase()).unwrap_or_default();
        let joins = |word: &str| matches!(word, "and" | "or");
        let commands_it = !ALSO_NOUNS.contains(&plain.as_str()) || OBJECTS.contains(&next.as_str());
        if let Some((_, noun)) = row.filter(|_| begins && commands_it) {
            commands.push(Command { verb: (*word).to_owned(), start: *start, noun });
        }
        let end = start + word.len();
        let gap_end = words.get(index + 1).map_or(description.len(), |(start, _)| *start);
        let gap = description.get(end..gap_end).unwrap_or_default();
        // "and", "or" and "to" open a clause where one has opened: "understand and explain", "to write".
        begins = gap.contains([',', ';', ':', '.', '(', '/']) || joins(&plain) || (plain == "to" && begins);
    }
    commands
}

/// The description with nouns in place of its commands.
pub(super) fn with_nouns(description: &str, commands: &[Command]) -> String {
    let mut text = String::with_capacity(description.len() + 16);
    let mut end = 0;
    for command in commands {
        text.push_str(description.get(end..command.start).unwrap_or_default());
        text.push_str(command.noun);
        end = command.start + command.verb.len();
        if command.noun.is_empty() {
            let rest = description.get(end..).unwrap_or_default();
            end += rest.len() - rest.trim_start().len();
        }
    }
    text.push_str(description.get(end..).unwrap_or_default());
    // "handle and explain x" is "explaining x".
    ["and ", "or ", ", "].iter().fold(text.as_str(), |text, joint| text.trim_start_matches(joint)).to_owned()
}

/// The vague words of a description.
pub(super) fn vague(description: &str) -> Vec<&'static str> {
    let spaced: String = description.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let has = |phrase: &&&str| {
        spaced.match_indices(**phrase).any(|(at, _)| {
            let before = spaced.get(..at).and_then(|text| text.chars().next_back());
            let after = spaced.get(at + phrase.len()..).and_then(|text| text.chars().next());
            let is_word = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
            !is_word(before) && !is_word(after)
        })
    };
    VAGUE.iter().filter(has).copied().collect()
}

/// The first five letters of each word that carries meaning: the router's own stems.
pub(super) fn stems(text: &str) -> Vec<String> {
    let words = text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    let words = words.map(str::to_lowercase).filter(|word| !FUNCTION_WORDS.contains(&word.as_str()));
    words.map(|word| word.chars().take(5).collect()).collect()
}

/// A text without case and the punctuation around its words: what is left when two people write the same. Signs between
/// letters stay (`C++`, `2-1`).
pub(super) fn plain(text: &str) -> String {
    let around = |letter: char| {
        letter.is_ascii_punctuation() && !"+-*/=<>#$%&@^|~".contains(letter)
            || "“”‘’„«»…–—¿¡".contains(letter)
    };
    let words = text.split_whitespace().map(|word| word.trim_matches(around)).filter(|word| !word.is_empty());
    let plain = words.map(str::to_lowercase).collect::<Vec<_>>().join(" ");
    if plain.is_empty() { text.trim().to_owned() } else { plain }
}

/// Words and where they begin.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, character) in text.char_indices().chain([(text.len(), ' ')]) {
        match (character.is_alphanumeric() || character == '\'' || character == '-', start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.extend(text.get(from..at).map(|word| (from, word)));
                start = None;
            }
            _ => {}
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_nouns() {
        for (description, expected) in [
            (
                "understand and explain existing code snippets",
                "understanding and explaining existing code snippets",
            ),
            ("handle solving quadratic equations", "solving quadratic equations"),
            ("Write poems, translate letters", "writing poems, translating letters"),
            ("answer questions about invoices", "answering questions about invoices"),
            ("help users with their taxes", "helping users with their taxes"),
            // Nouns and gerunds are fine.
            ("solving, explaining math problems, concepts", ""),
            ("search for hotels", ""),
            ("order status and change of address", ""),
            ("deep analysis, mathematical problem solving, and logical reasoning", ""),
            ("questions about how to write code", ""),
            ("test automation, design patterns", ""),
        ] {
            let commands = commands(description);
            let found = if commands.is_empty() { String::new() } else { with_nouns(description, &commands) };
            assert_eq!(found, expected, "{description}");
        }
    }

    #[test]
    fn vague_words_are_whole_words() {
        assert_eq!(vague("Anything closely  related to mathematics"), ["anything", "related to"]);
        assert!(vague("stuffing recipes and nothings, generality").is_empty());
        assert_eq!(plain(" “Bean  soup”, please! "), plain("bean soup please"));
        assert_ne!(plain("write C++ code"), plain("write C code"));
        assert_ne!(plain("?"), plain("!"));
        assert_eq!(stems("solving quadratic_equations of the user"), ["solvi", "quadr", "equat"]);
    }
}

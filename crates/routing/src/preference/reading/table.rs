//! The table of what is not the person's ask: one row for each envelope that a harness puts around it.
//!
//! Facts only: names of tags and the words by which a message is known, from the harnesses' published sources; the
//! fixtures in `tests/fixtures/reading` name them. `docs/reference/what-the-router-reads.md` is made from this table.

/// Counts up with each change of what is stripped, so that a decision can be told from one under another table.
pub const VERSION: u32 = 4;

/// Who writes the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of products")]
pub enum Harness {
    ClaudeCode,
    Codex,
    Cursor,
    Cline,
    OpenHands,
    Aider,
    ReAct,
    Copilot,
    OpenCode,
    Crush,
    GeminiCli,
    Goose,
    OpenWebUi,
    LibreChat,
    ChatUi,
    CherryStudio,
    LobeChat,
}

impl Harness {
    /// Its name in sentences.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Claude Code",
            Self::Codex => "Codex",
            Self::Cursor => "Cursor",
            Self::Cline => "Cline or Roo Code",
            Self::OpenHands => "OpenHands",
            Self::Aider => "Aider",
            Self::ReAct => "a ReAct agent",
            Self::Copilot => "GitHub Copilot",
            Self::OpenCode => "OpenCode",
            Self::Crush => "Crush",
            Self::GeminiCli => "Gemini CLI or Qwen Code",
            Self::Goose => "Goose",
            Self::OpenWebUi => "Open WebUI",
            Self::LibreChat => "LibreChat",
            Self::ChatUi => "Hugging Face's Chat UI",
            Self::CherryStudio => "Cherry Studio",
            Self::LobeChat => "LobeChat",
        }
    }
}

/// How an envelope is recognised, and what happens to it. A "part" is a text part of a message of the person. White
/// space in a text of more words matches any white space. Tags count at the beginning of a line only, so that a
/// prompt that talks about a tag keeps it, and an element that is not closed stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An element goes, with all that is in it. An attribute may follow the tag's name: `command name=`.
    Element(&'static str),
    /// An element with a name that others use too: it goes only from a message that holds the second text as well.
    ElementWith(&'static str, &'static str),
    /// An element that makes the message a call of the harness's own.
    CallElement(&'static str),
    /// The tags go; what is between them is the person's.
    Wrapper(&'static str),
    /// A part that begins so goes.
    Part(&'static str),
    /// A part that is this and nothing else goes.
    WholePart(&'static str),
    /// A part whose first line begins with the first text and ends with the second is a tool's result: it goes, except
    /// what stands in a wrapper of the same harness.
    Result(&'static str, &'static str),
    /// A part that begins with the first text is a tool's result if the model's message before it holds the second.
    Observation(&'static str, &'static str),
    /// A part that begins so is a summary of what was said before: it goes if anything else of the person is there.
    Summary(&'static str),
    /// A part that begins so ends a worked example: all messages before it go too.
    Restart(&'static str),
    /// In a part that begins with the first text, the person's words stand behind a line that begins with the second.
    Preface(&'static str, &'static str),
    /// What stands from a line that begins so to the end of the part goes.
    Tail(&'static str),
    /// A transcript that an agent keeps of its own steps, in the person's name, so that the model goes on with it: from
    /// the first line that begins with the first text to the end of the part. It is one if a line that begins with the
    /// second stands in it and its last line is the first text alone, or if a [`Kind::Preface`] of the same harness
    /// stood before it.
    Scratchpad(&'static str, &'static str),
    /// A short answer of the model that begins so goes with the message that it answers, if that went whole.
    Reply(&'static str),
    /// A part that begins so makes the message a call of the harness's own.
    Call(&'static str),
    /// A part that is this and nothing else makes the message a call of the harness's own.
    WholeCall(&'static str),
    /// A first part of the first message that is this and nothing else makes the conversation a call of the harness's
    /// own: what it is about stands behind.
    FirstCall(&'static str),
    /// A text of the system prompt that begins so makes the request a call of the harness's own, whatever its messages
    /// say. For models without a system prompt harnesses put it before the message, so a part that begins so does, too.
    SystemCall(&'static str),
}

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its name, unique, as explanations show it.
    pub name: &'static str,
    /// Whose envelope it is.
    pub harness: Harness,
    /// What it is known by and what becomes of it.
    pub kind: Kind,
    /// Words that the message must hold as well; none if empty.
    pub with: &'static str,
    /// A person may well write these words: the row counts only in a request with another sign of the same harness.
    pub common: bool,
}

/// What base64 and data URLs are called in explanations; `base64.rs` finds them, in turns of both sides.
pub const BASE64: &str = "base64";

const fn row(name: &'static str, harness: Harness, kind: Kind) -> Rule {
    Rule { name, harness, kind, with: "", common: false }
}

impl Rule {
    const fn with(self, words: &'static str) -> Self {
        Self { with: words, ..self }
    }

    const fn common(self) -> Self {
        Self { common: true, ..self }
    }
}

use Harness::{
    Aider, ChatUi, CherryStudio, ClaudeCode, Cline, Codex, Copilot, Crush, Cursor, GeminiCli, Goose,
    LibreChat, LobeChat, OpenCode, OpenHands, OpenWebUi, ReAct,
};
use Kind::{
    Call, CallElement, Element, ElementWith, FirstCall, Observation, Part, Preface, Reply, Restart, Result,
    Scratchpad, Summary, SystemCall, Tail, WholeCall, WholePart, Wrapper,
};

/// All rows. Of two that fit, the first one is taken.
///
/// A row must not take what a person wrote, so a sentence that a person could begin with is either given with the rest
/// of the harness's own shape (`with`) or counts only where the harness shows itself otherwise (`common`). Nor may it take
/// an application's system prompt, which decides over all of its requests: those rows are long, or name the product.
#[rustfmt::skip]
pub const TABLE: &[Rule] = &[
    row("claude-code/reminder", ClaudeCode, Element("system-reminder")),
    row("claude-code/hook", ClaudeCode, Element("user-prompt-submit-hook")),
    row("claude-code/session-hook", ClaudeCode, Element("session-start-hook")),
    row("claude-code/caveat-tag", ClaudeCode, Element("local-command-caveat")),
    row("claude-code/caveat", ClaudeCode, Result("Caveat: The messages below were generated by the user while running local commands", "")),
    row("claude-code/command-name", ClaudeCode, Element("command-name")),
    row("claude-code/command-message", ClaudeCode, Element("command-message")),
    row("claude-code/command-contents", ClaudeCode, Element("command-contents")),
    row("claude-code/command-args", ClaudeCode, Wrapper("command-args")),
    row("claude-code/command-stdout", ClaudeCode, Element("local-command-stdout")),
    row("claude-code/command-stderr", ClaudeCode, Element("local-command-stderr")),
    row("claude-code/bash-input", ClaudeCode, Element("bash-input")),
    row("claude-code/bash-stdout", ClaudeCode, Element("bash-stdout")),
    row("claude-code/bash-stderr", ClaudeCode, Element("bash-stderr")),
    row("claude-code/opened-file", ClaudeCode, Element("ide_opened_file")),
    row("claude-code/selection", ClaudeCode, Element("ide_selection")),
    row("claude-code/diagnostics", ClaudeCode, Element("ide_diagnostics")),
    row("claude-code/new-diagnostics", ClaudeCode, Element("new-diagnostics")),
    row("claude-code/deferred-tools", ClaudeCode, Element("available-deferred-tools")),
    row("claude-code/task-notification", ClaudeCode, Element("task-notification")),
    row("claude-code/pasted", ClaudeCode, Wrapper("pasted_content")),
    row("claude-code/interrupted", ClaudeCode, WholePart("[Request interrupted by user]")),
    row("claude-code/interrupted-tool", ClaudeCode, WholePart("[Request interrupted by user for tool use]")),
    row("claude-code/skill", ClaudeCode, Part("Base directory for this skill:")).common(),
    // Cline wrote the same words before its version 4.
    row("claude-code/summary", ClaudeCode, Summary("This session is being continued from a previous conversation that ran out of context")),
    row("claude-code/title", ClaudeCode, Call("Please write a 5-10 word title for the following conversation:")),
    row("claude-code/compact", ClaudeCode, Call("Your task is to create a detailed summary of the conversation so far, paying close attention to")),
    row("claude-code/compact-text", ClaudeCode, Call("CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.")),
    row("claude-code/suggestion", ClaudeCode, Call("[SUGGESTION MODE:")),
    row("claude-code/recap", ClaudeCode, Call("The user stepped away and is coming back.")).common(),
    row("claude-code/command-prefix", ClaudeCode, Call("<policy_spec>")),
    row("claude-code/warm-up", ClaudeCode, WholeCall("Warmup")).common(),
    row("claude-code/quota", ClaudeCode, WholeCall("quota")).common(),
    row("claude-code/count", ClaudeCode, WholeCall("count")).common(),
    row("claude-code/system-topic", ClaudeCode, SystemCall("Analyze if this message indicates a new conversation topic.")),
    row("claude-code/system-summary", ClaudeCode, SystemCall("Summarize this coding conversation in under 50 characters.")),
    row("claude-code/system-title", ClaudeCode, SystemCall("Generate a concise, sentence-case title (3-7 words) that captures the main topic or goal of this coding session.")),
    row("claude-code/system-title-long", ClaudeCode, SystemCall("You are naming a coding session so the user can pick it out of a long list of sessions.")),
    row("claude-code/system-title-short", ClaudeCode, SystemCall("You are coming up with a succinct title for a coding session")),
    row("claude-code/system-branch", ClaudeCode, SystemCall("You are coming up with a title and a git branch name for a coding session")),
    row("claude-code/system-branch-short", ClaudeCode, SystemCall("You are coming up with a succinct title and git branch name for a coding session")),
    row("claude-code/system-name", ClaudeCode, SystemCall("Generate a short kebab-case name (2-4 words) that captures the main topic of this conversation.")),
    row("claude-code/system-paths", ClaudeCode, SystemCall("Extract any file paths that this command reads or modifies. For commands like")),
    row("claude-code/system-prefix", ClaudeCode, SystemCall("Your task is to process Bash commands that an AI coding agent wants to run")),
    row("claude-code/system-output", ClaudeCode, SystemCall("You are analyzing output from a bash command to determine if it should be summarized.")),
    row("claude-code/system-label", ClaudeCode, SystemCall("Write a short summary label describing what these tool calls accomplished.")),
    row("claude-code/system-hook", ClaudeCode, SystemCall("You are evaluating a hook in Claude Code.")),
    row("claude-code/system-condition", ClaudeCode, SystemCall("You are evaluating a hook condition in Claude Code.")),
    row("claude-code/system-stop", ClaudeCode, SystemCall("You are evaluating a stop-condition hook in Claude Code.")),

    row("codex/environment", Codex, Element("environment_context")),
    row("codex/instructions", Codex, Element("user_instructions")),
    row("codex/agents-md", Codex, Part("# AGENTS.md instructions")).with("</INSTRUCTIONS>"),
    row("codex/skill", Codex, Part("<skill> <name>")),
    row("codex/aborted", Codex, Element("turn_aborted")),
    row("codex/shell", Codex, Element("user_shell_command")),
    row("codex/subagent", Codex, Element("subagent_notification")),
    row("codex/extension", Codex, Element("extension_context")),
    row("codex/goal", Codex, Element("goal_context")),
    row("codex/internal", Codex, Element("codex_internal_context")),
    row("codex/plugins", Codex, Element("recommended_plugins")),
    row("codex/hook", Codex, Element("hook_prompt")),
    row("codex/ide", Codex, Preface("# Context from my IDE setup:", "## My request")),
    row("codex/files", Codex, Preface("# Files mentioned by the user:", "## My request")),
    row("codex/pasted", Codex, Preface("# Files pasted by the user:", "## My request")),
    row("codex/annotations", Codex, Preface("# Response annotations:", "## My request")),
    row("codex/summary", Codex, Summary("Another language model started to solve this problem and produced a summary")),
    row("codex/compact", Codex, Call("You are performing a CONTEXT CHECKPOINT COMPACTION")),

    row("cursor/query", Cursor, Wrapper("user_query")),
    row("cursor/additional-data", Cursor, Element("additional_data")),
    row("cursor/attached-files", Cursor, Element("attached_files")),
    row("cursor/viewed-files", Cursor, Element("open_and_recently_viewed_files")),
    row("cursor/user-info", Cursor, Element("user_info")),
    row("cursor/project-layout", Cursor, Element("project_layout")),
    row("cursor/reminder", Cursor, Element("system_reminder")),
    row("cursor/transcripts", Cursor, Element("agent_transcripts")),
    row("cursor/skills", Cursor, Element("agent_skills")),
    row("cursor/attached-skills", Cursor, Element("manually_attached_skills")),
    row("cursor/workspace-rules", Cursor, Element("always_applied_workspace_rules")),
    row("cursor/requestable-rules", Cursor, Element("agent_requestable_workspace_rules")),
    row("cursor/mcp", Cursor, Element("mcp_file_system")),
    row("cursor/image-files", Cursor, Element("image_files")),
    row("cursor/links", Cursor, Element("external_links")),
    row("cursor/task-notification", Cursor, Element("task_notification")),
    row("cursor/timestamp", Cursor, ElementWith("timestamp", "<user_query>")),
    row("cursor/git-status", Cursor, ElementWith("git_status", "<user_info>")),
    row("cursor/rules", Cursor, ElementWith("rules", "<user_info>")),
    row("cursor/user-rules", Cursor, ElementWith("user_rules", "<user_info>")),
    row("cursor/current-file", Cursor, ElementWith("current_file", "<user_query>")),
    row("cursor/linter-errors", Cursor, ElementWith("linter_errors", "<user_query>")),

    row("cline/environment", Cline, Element("environment_details")),
    row("cline/task", Cline, Wrapper("task")),
    row("cline/feedback", Cline, Wrapper("feedback")),
    row("cline/answer", Cline, Wrapper("answer")),
    row("cline/message", Cline, Wrapper("user_message")),
    row("cline/input", Cline, Wrapper("user_input mode=")),
    row("cline/user-command", Cline, Wrapper("user_command slash=")),
    row("cline/mode-notice", Cline, Element("mode_notice")),
    row("cline/hook", Cline, Element("hook_context source=")),
    row("cline/compact", Cline, CallElement("explicit_instructions type=\"summarize_task\"")),
    row("cline/condense", Cline, CallElement("explicit_instructions type=\"condense\"")),
    row("cline/instructions", Cline, Element("explicit_instructions")),
    row("cline/file", Cline, Element("file_content path=")),
    row("cline/final-file", Cline, Element("final_file_content path=")),
    row("cline/folder", Cline, Element("folder_content path=")),
    row("cline/url", Cline, Element("url_content url=")),
    row("cline/diagnostics", Cline, Element("workspace_diagnostics")),
    row("cline/git-state", Cline, Element("git_working_state")),
    row("cline/git-commit", Cline, Element("git_commit hash=")),
    row("cline/terminal", Cline, Element("terminal_output")),
    row("cline/command", Cline, Element("command name=")),
    row("cline/tool-result", Cline, Result("[", "] Result:")).common(),
    row("cline/read-file", Cline, Result("[read_file for '", "']")),
    row("cline/denied", Cline, Result("The user denied this operation", "")).common(),
    row("cline/mistakes", Cline, Result("You seem to be having trouble proceeding.", "")).common(),
    row("cline/resumption", Cline, Result("[TASK RESUMPTION]", "")),
    row("cline/resumed", Cline, Result("New instructions for task continuation:", "")).common(),
    row("cline/no-tool", Cline, Part("[ERROR] You did not use a tool in your previous response!")).common(),
    row("cline/truncated", Cline, Part("[NOTE] Some previous conversation history with the user has been removed")).common(),
    row("cline/summary", Cline, Summary("Context summary:")).common(),
    row("cline/roo-summary", Cline, Summary("## Conversation Summary")).common(),
    row("cline/roo-condense", Cline, Call("CRITICAL: This summarization request is a SYSTEM OPERATION")),
    row("cline/enhance", Cline, Call("Generate an enhanced version of this prompt (reply with only the enhanced prompt")),
    row("cline/commit-notes", Cline, Call("Notes from developer (ignore if not relevant):")).with("Based on the provided git diff"),
    row("cline/commit", Cline, Call("Based on the provided git diff, generate a concise and descriptive commit message")).with("The commit message should:"),
    row("cline/system-commit", Cline, SystemCall("You are a helpful assistant that generates informative git commit messages based on git diffs output. Skip preamble")),
    row("cline/system-condense", Cline, SystemCall("You are a helpful AI assistant tasked with summarizing conversations. CRITICAL: This is a summarization-only request.")),
    // The words that Claude Code says in a message.
    row("cline/system-condense-long", Cline, SystemCall("Your task is to create a detailed summary of the conversation so far, paying close attention to")),

    row("openhands/runtime", OpenHands, Element("RUNTIME_INFORMATION")),
    row("openhands/repository", OpenHands, Element("REPOSITORY_INFO")),
    row("openhands/instructions", OpenHands, Element("REPOSITORY_INSTRUCTIONS")),
    row("openhands/conversation", OpenHands, Element("CONVERSATION_INSTRUCTIONS")),
    row("openhands/secrets", OpenHands, Element("CUSTOM_SECRETS")),
    row("openhands/knowledge", OpenHands, Element("EXTRA_INFO")),
    row("openhands/uploaded", OpenHands, Element("uploaded_files")),
    row("openhands/issue", OpenHands, Wrapper("issue_description")),
    row("openhands/example", OpenHands, Preface("Here's a running example of how to perform a task with the provided tools.", "--------------------- NEW TASK DESCRIPTION ---------------------")),
    row("openhands/format", OpenHands, Tail("--------------------- END OF NEW TASK DESCRIPTION ---------------------")),
    row("openhands/turns-left", OpenHands, Tail("ENVIRONMENT REMINDER: You have ")).with(" turns left to complete the task"),
    row("openhands/result", OpenHands, Result("EXECUTION RESULT of [", "]:")),
    row("openhands/rejected", OpenHands, Part("OBSERVATION:")).with("[Last action has been rejected by the user]"),
    row("openhands/command", OpenHands, Part("OBSERVATION:")).with("[Command finished with exit code "),
    row("openhands/error", OpenHands, Part("OBSERVATION:")).with("[Error occurred in processing last action]"),
    row("openhands/observation", OpenHands, Observation("OBSERVATION:", "<execute_")),
    row("openhands/title", OpenHands, Call("Generate a title (maximum ")).with(" for a conversation that starts with this message:"),
    row("openhands/condense", OpenHands, Call("You are maintaining a context-aware state summary for an interactive agent.")),
    row("openhands/system-title", OpenHands, SystemCall("You are a helpful assistant that generates concise, descriptive titles for conversations with OpenHands.")),

    row("aider/files", Aider, Part("I have *added these files to the chat*")),
    row("aider/files-context", Aider, Part("These files have been *added these files to the chat*")),
    row("aider/files-help", Aider, Part("These are some files we have been discussing that we may want to edit after we talk:")).common(),
    row("aider/files-read-only", Aider, Part("Here are some READ ONLY files, provided for your reference.")).with("Do not edit these files!"),
    row("aider/files-current", Aider, Part("Here is the current content of the file:")).common(),
    row("aider/files-currents", Aider, Part("Here is the current content of the files:")).common(),
    row("aider/files-none", Aider, Part("I am not sharing any files")).common(),
    row("aider/files-none-full", Aider, Part("I am not sharing the full contents of any files with you yet.")).common(),
    row("aider/files-ask", Aider, Part("Don't try and edit any existing code without asking me to add the files to the chat!")).with("Just tell me which files in my repo"),
    row("aider/map", Aider, Part("Here are summaries of some files present in my git repository.")).with("Do not propose changes to these files"),
    row("aider/map-ask", Aider, Part("I am working with you on code in a git repository.")).with("Here are summaries of some files present in my git repo"),
    row("aider/map-other", Aider, Part("Below here are summaries of other files!")).common(),
    row("aider/committed", Aider, Part("I committed the changes with git hash")).with(" & commit msg: "),
    row("aider/edited", Aider, WholePart("I edited the files myself.")).common(),
    row("aider/updated", Aider, WholePart("I updated the files.")).common(),
    row("aider/no-edits", Aider, WholePart("I didn't see any properly formatted edits in your reply?!")).common(),
    row("aider/ran", Aider, Part("I ran this command:")).with("And got this output:").common(),
    row("aider/example", Aider, Restart("I switched to a new code base. Please don't consider the above files or try to edit them any longer")),
    row("aider/reminder-blocks", Aider, Tail("# *SEARCH/REPLACE block* Rules:")),
    row("aider/reminder-diffs", Aider, Tail("# File editing rules:")).common(),
    row("aider/reply", Aider, Reply("Ok")),
    row("aider/summary", Aider, Summary("I spoke to you previously about a number of things.")).common(),
    row("aider/system-commit", Aider, SystemCall("You are an expert software engineer that generates concise, one-line Git commit messages based on the provided diffs.")),
    row("aider/system-summary", Aider, SystemCall("*Briefly* summarize this partial conversation about programming.")),

    row("react/observation", ReAct, Observation("Observation:", "Action")),
    row("react/instructions", ReAct, Preface("Answer the following questions as best you can.", "Begin!")),
    row("react/scratchpad", ReAct, Scratchpad("Thought:", "Action:")),

    row("copilot/request", Copilot, Wrapper("userRequest")),
    row("copilot/environment", Copilot, Element("environment_info")),
    row("copilot/workspace", Copilot, Element("workspace_info")),
    row("copilot/editor", Copilot, Element("editorContext")),
    row("copilot/reminder", Copilot, Element("reminderInstructions")),
    row("copilot/context", Copilot, ElementWith("context", "<userRequest>")),
    row("copilot/attachments", Copilot, ElementWith("attachments", "<userRequest>")),
    row("copilot/system-title", Copilot, SystemCall("You are an expert in crafting pithy titles for chatbot conversations.")),
    row("copilot/system-commit", Copilot, SystemCall("You are an AI programming assistant, helping a software developer to come with the best git commit message for their code changes.")),
    row("copilot/system-progress", Copilot, SystemCall("You are an expert in writing short, catchy, and encouraging progress messages for a coding assistant.")),
    row("copilot/system-category", Copilot, SystemCall("You are an expert classifier for AI coding assistant prompts.")),
    row("copilot/system-summary", Copilot, SystemCall("Your task is to create a comprehensive, detailed summary of the entire conversation that captures all essential information needed to seamlessly continue the work")),

    row("opencode/title-ahead", OpenCode, FirstCall("Generate a title for this conversation:")),
    row("opencode/system-title", OpenCode, SystemCall("You are a title generator. You output ONLY a thread title.")),
    row("opencode/system-compact", OpenCode, SystemCall("You are a helpful AI assistant tasked with summarizing conversations. When asked to summarize, provide a detailed but concise summary")),
    row("opencode/system-summary", OpenCode, SystemCall("Summarize what was done in this conversation. Write like a pull request description.")),
    row("opencode/compact", OpenCode, Call("Provide a detailed prompt for continuing our conversation above.")).with("Focus on information that would be helpful for continuing the conversation"),

    row("crush/system-title", Crush, SystemCall("You will generate a short title based on the first message a user begins a conversation with.")),
    row("crush/system-summary", Crush, SystemCall("You are summarizing a conversation to preserve context for continuing work later.")),

    row("gemini-cli/system-compress", GeminiCli, SystemCall("You are the component that summarizes internal chat history into a given structure.")),
    row("gemini-cli/system-snapshot", GeminiCli, SystemCall("You are a specialized system component responsible for distilling chat history into a structured XML <state_snapshot>.")),
    row("gemini-cli/system-route", GeminiCli, SystemCall("You are a specialized Task Routing AI. Your sole function is to analyze the user's request and")),
    row("gemini-cli/next-speaker", GeminiCli, Call("Analyze *only* the content and structure of your immediately preceding response")),
    row("gemini-cli/summary", GeminiCli, Call("Summarize the user's primary intent or goal in this conversation in ONE sentence")),

    row("goose/system-name", Goose, SystemCall("Reply with only a description in four words or less")),
    row("goose/system-title", Goose, SystemCall("Generate a short title (four words or less) for this conversation. Title what the work is ABOUT")),

    row("open-webui/title", OpenWebUi, Call("### Task: Generate a concise")).with("<chat_history>"),
    row("open-webui/tags", OpenWebUi, Call("### Task: Generate 1-3 broad tags")).with("<chat_history>"),
    row("open-webui/follow-ups", OpenWebUi, Call("### Task: Suggest 3-5 relevant follow-up questions")).with("<chat_history>"),
    row("open-webui/image-prompt", OpenWebUi, Call("### Task: Generate a detailed prompt for")).with("<chat_history>"),
    row("open-webui/queries", OpenWebUi, Call("### Task: Analyze the chat history to determine the necessity of generating search queries")).with("<chat_history>"),
    row("open-webui/completion", OpenWebUi, Call("### Task: You are an autocompletion system")).with("<chat_history>"),
    row("open-webui/emoji", OpenWebUi, Call("Your task is to reflect the speaker's likely facial expression through a fitting emoji")).with("Message:"),
    row("open-webui/documents", OpenWebUi, Preface("### Task: Respond to the user query using the provided context", "</context>")),

    row("librechat/title", LibreChat, Call("Provide a concise, 5-word-or-less title for the conversation")).with("Only return the title itself"),
    row("librechat/title-language", LibreChat, Call("Analyze this conversation and provide:")).with("1. The detected language"),
    row("librechat/title-long", LibreChat, Call("Please generate a concise title (max 40 characters) for a conversation that starts with")),
    row("librechat/system-title", LibreChat, SystemCall("Please generate a concise, 5-word-or-less title for the conversation")),
    row("librechat/system-title-language", LibreChat, SystemCall("Detect user language and write in the same language an extremely concise title for this conversation")),

    row("chat-ui/system-title", ChatUi, SystemCall("You are a chat thread titling assistant.")),

    row("cherry-studio/system-title", CherryStudio, SystemCall("You are an assistant skilled in conversation. You need to summarize the user's conversation into a title within 10 words.")),

    row("lobe-chat/system-title", LobeChat, SystemCall("You are a professional conversation summarizer. Generate a concise title that captures the essence of the conversation.")),
];

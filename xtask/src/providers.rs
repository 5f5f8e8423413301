//! Which folder of models.dev is about which provider of our table. Where the names agree there is no row.

/// Our id, and theirs.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("azure_openai", "azure"),
    ("cloudflare", "cloudflare-workers-ai"),
    ("gemini", "google"),
    ("gmi_cloud", "gmicloud"),
    ("novita", "novita-ai"),
    ("qwen", "alibaba"),
    ("together_ai", "togetherai"),
    ("zhipu", "zhipuai"),
];

/// Theirs is a list of what people usually load, ours is whatever one's own machine serves.
const OWN_MACHINE: &[&str] = &["lm_studio", "llama_cpp", "ollama", "sglang", "vllm"];

/// The folder for a provider of ours; it need not be there.
pub(crate) fn folder(id: &str) -> Option<String> {
    if OWN_MACHINE.contains(&id) {
        return None;
    }
    let other = OTHER_NAMES.iter().find(|(ours, _)| *ours == id).map(|(_, theirs)| (*theirs).to_owned());
    Some(other.unwrap_or_else(|| id.replace('_', "-")))
}

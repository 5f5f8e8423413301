//! Questions on a terminal.

use dialoguer::theme::ColorfulTheme;
use dialoguer::{MultiSelect, Select};

use super::found::Found;
use super::template::{TEMPLATES, Template};

/// Which template.
pub(super) fn template() -> anyhow::Result<&'static Template> {
    let rows: Vec<String> =
        TEMPLATES.iter().map(|template| format!("{:<14} {}", template.name, template.about())).collect();
    let chosen = Select::with_theme(&ColorfulTheme::default())
        .with_prompt("What is it for?")
        .items(&rows)
        .default(0)
        .interact_opt()?;
    let chosen = chosen.and_then(|index| TEMPLATES.get(index));
    chosen.ok_or_else(|| anyhow::anyhow!("nothing has been chosen, and nothing written"))
}

/// Which providers; those that are there are chosen until somebody says otherwise.
pub(super) fn providers(offered: Vec<Found>) -> anyhow::Result<Vec<Found>> {
    let rows: Vec<(String, bool)> = offered.iter().map(|found| (found.about(), found.is_there)).collect();
    let chosen = MultiSelect::with_theme(&ColorfulTheme::default())
        .with_prompt("Which providers? (space chooses, enter goes on)")
        .items_checked(rows)
        .interact_opt()?;
    let chosen = chosen.unwrap_or_default();
    anyhow::ensure!(!chosen.is_empty(), "no provider has been chosen, and nothing written");
    Ok(offered
        .into_iter()
        .enumerate()
        .filter(|(index, _)| chosen.contains(index))
        .map(|(_, found)| found)
        .collect())
}

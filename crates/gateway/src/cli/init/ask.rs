//! Questions on a terminal.

use std::path::{Path, PathBuf};

use dialoguer::theme::ColorfulTheme;
use dialoguer::{Input, MultiSelect, Select};

use super::found::Found;
use super::imported;
use super::template::{TEMPLATES, Template};

/// Which template; none is another configuration.
pub(super) fn template() -> anyhow::Result<Option<&'static Template>> {
    let row = |name: &str, about: &str| format!("{name:<14} {about}");
    let mut rows: Vec<String> =
        TEMPLATES.iter().map(|template| row(template.name, template.about())).collect();
    rows.push(row(imported::NAME, imported::ABOUT));
    let chosen = Select::with_theme(&ColorfulTheme::default())
        .with_prompt("What is it for?")
        .items(&rows)
        .default(0)
        .interact_opt()?;
    let chosen = chosen.ok_or_else(|| anyhow::anyhow!("nothing has been chosen, and nothing written"))?;
    Ok(TEMPLATES.get(chosen))
}

/// Where another configuration is; `usual` is what enter takes.
pub(super) fn path(usual: Option<&Path>) -> anyhow::Result<PathBuf> {
    let theme = ColorfulTheme::default();
    let mut input = Input::<String>::with_theme(&theme).with_prompt("Which file?");
    if let Some(usual) = usual {
        input = input.default(usual.display().to_string());
    }
    Ok(input.interact_text()?.trim().into())
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

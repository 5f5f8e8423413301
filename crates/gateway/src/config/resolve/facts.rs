//! What the operator says of an entry's models: prices, and what they take.

use waypost_routing::catalog::{Facts, Modality, Prices};

use super::super::diagnostic::Problem;
use super::super::schema::{self, Entry};
use super::super::setting::Setting;
use super::{Context, values};

/// Only what is written; what the catalogue knows is asked for where it is needed.
pub(super) fn resolve(context: Context<'_>, entry: &Entry) -> Facts {
    let price = |key: &str, setting: &Setting<String>| price(context, key, setting);
    let prices = entry.cost.value().map(|cost| Prices {
        input: price("cost.input", &cost.input),
        output: price("cost.output", &cost.output),
        cache_read: price("cost.cache_read", &cost.cache_read),
        cache_write: price("cost.cache_write", &cost.cache_write),
    });
    let modalities = entry.modalities.given().and_then(|written| {
        if written.value.is_empty() {
            let problem = Problem::error("`modalities` is empty: it reads nothing").at(&written.place);
            context.add(problem.hint("remove the key, or name what it reads, such as `[text, image]`"));
            return None;
        }
        Some(entry.modalities.items().map(|item| modality(item.value)).collect())
    });
    Facts {
        context: window(context, entry),
        prices: prices.unwrap_or_default(),
        modalities,
        ..Facts::default()
    }
}

fn price(context: Context<'_>, key: &str, setting: &Setting<String>) -> Option<f64> {
    let written = setting.given()?;
    let text = written.value.trim();
    match text.parse::<f64>() {
        Ok(price) if price.is_finite() && price >= 0.0 => return Some(price),
        _ => {
            let problem = Problem::error(format!("`{key}` is not a price: `{}`", values::shorten(text)));
            context
                .add(problem.at(&written.place).hint("write US dollars per million tokens, such as `2.5`"));
        }
    }
    None
}

fn window(context: Context<'_>, entry: &Entry) -> Option<u32> {
    let written = entry.context_window.given()?;
    let tokens = u32::try_from(written.value).ok().filter(|tokens| *tokens > 0);
    if tokens.is_none() {
        let problem = Problem::error("`context_window` is not a number of tokens").at(&written.place);
        context.add(problem.hint("write it as `200000`"));
    }
    tokens
}

fn modality(written: schema::Modality) -> Modality {
    match written {
        schema::Modality::Text => Modality::Text,
        schema::Modality::Image => Modality::Image,
        schema::Modality::Audio => Modality::Audio,
        schema::Modality::Pdf => Modality::Pdf,
        schema::Modality::Video => Modality::Video,
    }
}

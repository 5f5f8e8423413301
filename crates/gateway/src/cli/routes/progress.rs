//! A progress bar on standard error, where that is a terminal and the work takes a while.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar for `steps` steps of `what`.
pub(in crate::cli) fn bar(what: &'static str, steps: usize) -> ProgressBar {
    // Draws nothing where standard error is not a terminal.
    let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len} {eta}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.with_message(what)
}

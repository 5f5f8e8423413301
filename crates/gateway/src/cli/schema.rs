//! `waypost schema`: the JSON Schema of the configuration, for editors.

use super::Stop;

#[expect(clippy::unnecessary_wraps, reason = "the shape of every command")]
pub(super) fn run() -> Result<(), Stop> {
    anstream::println!("{}", crate::config::json_schema());
    Ok(())
}

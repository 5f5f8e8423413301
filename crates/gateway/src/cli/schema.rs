//! `waypost schema`: the JSON Schema of the configuration, for editors; the table of `log.postgres`, for whoever makes it.

use clap::Args;

use super::Stop;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Print the SQL of the table of `log.postgres` instead, for an administrator to run
    #[cfg(feature = "postgres")]
    #[arg(long)]
    postgres: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of every command")]
pub(super) fn run(options: &Options) -> Result<(), Stop> {
    #[cfg(feature = "postgres")]
    if options.postgres {
        use crate::store::postgres::{GRANT, SQL};
        anstream::print!(
            "{SQL}-- All that the role of a gateway needs, with its name for `waypost`:\n-- {GRANT}\n"
        );
        return Ok(());
    }
    #[cfg(not(feature = "postgres"))]
    let Options {} = options;
    anstream::println!("{}", crate::config::json_schema());
    Ok(())
}

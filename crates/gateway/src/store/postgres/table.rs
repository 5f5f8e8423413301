//! The table in the server: whether it is there, making it, and what an administrator runs who makes it.
//!
//! A role that may only insert has to do: where the table is there, nothing is made and nothing asked for that takes
//! another right (<https://www.postgresql.org/docs/current/ddl-priv.html>).

use std::fmt;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

/// What makes the table. Its comment says its format; a table without one was made before there were numbers, and is
/// of the first.
pub const SQL: &str = "\
CREATE TABLE IF NOT EXISTS waypost_records (
    id UUID PRIMARY KEY,
    time TIMESTAMPTZ NOT NULL,
    status INTEGER NOT NULL,
    method TEXT,
    route TEXT,
    model TEXT,
    caller TEXT,
    cost DOUBLE PRECISION,
    total_ms DOUBLE PRECISION NOT NULL,
    record JSONB NOT NULL,
    content JSONB
);
CREATE INDEX IF NOT EXISTS waypost_records_time ON waypost_records (time);
COMMENT ON TABLE waypost_records IS 'Requests of Waypost, format 1';
";
/// All that a gateway's role needs in a table that is there.
pub const GRANT: &str = "GRANT INSERT ON waypost_records TO waypost;";

const FORMAT: u32 = 1;
const BEFORE_FORMAT: &str = "format ";
/// One row where the table is there, on the search path of the role; reading a comment takes no right.
const FIND: &str = "
    SELECT obj_description(found::oid, 'pg_class') FROM to_regclass('waypost_records') AS found
    WHERE found IS NOT NULL
";
/// Of gateways that start at once, one makes it: `IF NOT EXISTS` alone lets the others fail. The number is any.
const ALONE: &str = "SELECT pg_advisory_xact_lock(7305431829);\n";

/// Why records cannot be put into the server.
#[derive(Debug)]
pub(super) enum Problem {
    /// The server says so, or it cannot be reached.
    Server(Error),
    /// The table is not there and cannot be made.
    Make(Error),
    /// The table is a later version's.
    Newer(u32),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

/// What the server says, or what else is wrong, and what helps; no address and no password is in it.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(error) => {
                f.write_str(&shown(error))?;
                match error.code() {
                    Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
                        write!(
                            f,
                            "; an administrator lets the role insert: `{GRANT}`, with its name for `waypost`"
                        )
                    }
                    Some(code) if *code == SqlState::UNDEFINED_COLUMN => {
                        f.write_str("; `waypost schema --postgres` prints the table as it has to be")
                    }
                    _ => Ok(()),
                }
            }
            Self::Make(error) => write!(
                f,
                "the table `waypost_records` is not there, and cannot be made: {}; an administrator makes it by what \
                 `waypost schema --postgres` prints",
                shown(error)
            ),
            Self::Newer(found) => write!(
                f,
                "the table `waypost_records` was made by a newer version of Waypost (format {found}, this one knows \
                 {FORMAT}): use that one, or another database"
            ),
        }
    }
}

/// Makes sure that the table is there.
pub(super) async fn prepare(client: &Client) -> Result<(), Problem> {
    if let Some(row) = client.query_opt(FIND, &[]).await? {
        let comment: Option<String> = row.try_get(0)?;
        return match format_of(comment.as_deref()) {
            found if found > FORMAT => Err(Problem::Newer(found)),
            _ => Ok(()),
        };
    }
    client.batch_execute(&format!("{ALONE}{SQL}")).await.map_err(Problem::Make)
}

/// The format that a comment names. A comment of an operator's own says nothing of it.
fn format_of(comment: Option<&str>) -> u32 {
    let said = comment.and_then(|comment| comment.rsplit_once(BEFORE_FORMAT));
    said.and_then(|(_, number)| number.trim().parse().ok()).unwrap_or(1)
}

/// What the server says, or else the innermost cause.
pub(super) fn shown(error: &Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => {
            let mut cause: &dyn std::error::Error = error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            cause.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_says_the_format_of_the_table() {
        let own = SQL.split('\'').nth(1);
        assert_eq!(format_of(own), FORMAT);
        for (comment, expected) in
            [(None, 1), (Some("ours"), 1), (Some("Requests of Waypost, format 12"), 12)]
        {
            assert_eq!(format_of(comment), expected, "{comment:?}");
        }
    }
}

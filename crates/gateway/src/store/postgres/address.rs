//! The address of a server, judged once for whoever reads it: `waypost check` and the start.

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Config;

/// What only libpq's own programs take
/// (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS>).
const TLS_PARAMETERS: [&str; 5] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl"];

/// Why an address is none. What is written there is not told: it may be a part of the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It cannot be read.
    #[error("`log.postgres` is not the address of a Postgres server")]
    Form,
    /// It can be read, but for this parameter.
    #[error("the address in `log.postgres` has a `{0}` that is not known")]
    Tls(&'static str),
    /// It says nothing of where the server is.
    #[error("the address in `log.postgres` names no server")]
    NoServer,
}

impl AddressError {
    /// What to do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Form | Self::NoServer => {
                "write `postgres://`, user, `:`, password, `@`, host, `/` and database, best as a variable such as `$DATABASE_URL`; a character \
                 of the password that means something in an address is written as `%40` for `@`"
            }
            Self::Tls(_) => {
                "`sslmode` is `disable`, `prefer` or `require`; a certificate is always checked with its name, against the \
                 system's authorities, or those of `$SSL_CERT_FILE`"
            }
        }
    }
}

/// Reads `postgres://user:password@host:5432/database?sslmode=require`, or the same as libpq's `host=… user=…`.
///
/// # Errors
/// It cannot be read, or there is no server in it.
pub fn parse(address: &SecretString) -> Result<Config, AddressError> {
    let config: Config = address.expose_secret().trim().parse().map_err(|error: tokio_postgres::Error| {
        let said = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let named = TLS_PARAMETERS.into_iter().find(|name| said.contains(&format!("`{name}`")));
        named.map_or(AddressError::Form, AddressError::Tls)
    })?;
    match config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        true => Err(AddressError::NoServer),
        false => Ok(config),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_no_connection_can_be_made_by_is_refused() {
        for (address, expected) in [
            ("postgres://user:password@host/database", None),
            ("postgresql://user@[::1]:5433/database?sslmode=require&application_name=waypost", None),
            ("postgres://user@%2Fvar%2Frun%2Fpostgresql/database", None),
            ("host=/var/run/postgresql user=waypost dbname=records", None),
            ("postgres://host/database?sslmode=verify-full", Some(AddressError::Tls("sslmode"))),
            ("postgres://host/database?sslrootcert=ca.pem", Some(AddressError::Tls("sslrootcert"))),
            ("mysql://user:password@host/database", Some(AddressError::Form)),
            ("postgres://user:pass/word@host/database", None),
            ("postgres://host:port/database", Some(AddressError::Form)),
            ("host", Some(AddressError::Form)),
            ("postgres://", Some(AddressError::NoServer)),
            ("user=waypost dbname=records", Some(AddressError::NoServer)),
        ] {
            let parsed = parse(&SecretString::from(address.to_owned()));
            assert_eq!(parsed.err(), expected, "{address}");
        }
    }
}

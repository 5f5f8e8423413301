//! `waypost --version`: which program this is, and what it was built from and for.

/// The version alone.
pub(super) const SHORT: &str = env!("CARGO_PKG_VERSION");

/// The version and what is known of the build; `unknown` for the rest. Nothing that differs between two builds of the
/// same source.
pub(super) const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit:   ",
    env!("WAYPOST_COMMIT"),
    "\ntarget:   ",
    env!("WAYPOST_TARGET"),
    "\nrustc:    ",
    env!("WAYPOST_RUSTC"),
    "\nfeatures: ",
    env!("WAYPOST_FEATURES"),
);

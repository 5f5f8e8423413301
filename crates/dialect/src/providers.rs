//! One row a company: the only file that names one.

use crate::provider::Provider;

/// Every known provider, in alphabetical order of its id.
pub const PROVIDERS: &[Provider] = &[];

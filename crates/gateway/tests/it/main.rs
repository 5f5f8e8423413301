//! The one integration binary.

mod echo;

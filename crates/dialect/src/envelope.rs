//! Borrow-peek at a request; splice a model name into its bytes.

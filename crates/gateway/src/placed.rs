//! Large values made where they stay.

use std::pin::Pin;

/// The same as `Box::pin`, but that room is made first: a future is then written into it with what it begins with, where
/// it else is made on the stack and copied with all the room for what it will hold later.
#[inline(always)]
pub(crate) fn pinned<F>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(boxed(make))
}

/// The same as `Box::new`, made in place.
#[inline(always)]
pub(crate) fn boxed<T>(make: impl FnOnce() -> T) -> Box<T> {
    let room = Box::new_uninit();
    Box::write(room, make())
}

//! Which request the code that runs belongs to, so that each line of the log can say it. A thread works on one request at
//! a time, between two waits.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;

use uuid::Uuid;

thread_local! {
    static CURRENT: Cell<Option<Uuid>> = const { Cell::new(None) };
}

/// The request's id.
#[must_use]
pub fn request() -> Option<Uuid> {
    CURRENT.get()
}

/// From here to the end of what is returned, this thread works on this request.
#[must_use]
pub fn enter(request: Uuid) -> Entered {
    Entered(CURRENT.replace(Some(request)))
}

/// Ends what [`enter`] has begun.
#[derive(Debug)]
pub struct Entered(Option<Uuid>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Works on this request whenever the future is polled.
pub async fn within<F: Future>(request: Uuid, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(move |context| {
        let _entered = enter(request);
        future.as_mut().poll(context)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_that_take_turns_on_a_thread_are_told_apart() {
        let one = |id: u128| async move {
            for _ in 0..3 {
                assert_eq!(request(), Some(Uuid::from_u128(id)));
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(within(Uuid::from_u128(1), one(1)), within(Uuid::from_u128(2), one(2)), async {
            tokio::task::yield_now().await;
            assert_eq!(request(), None);
        });
        let _outer = enter(Uuid::from_u128(3));
        drop(enter(Uuid::from_u128(4)));
        assert_eq!(request(), Some(Uuid::from_u128(3)));
    }
}

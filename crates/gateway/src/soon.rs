//! Waiting with a limit for what is mostly there already: then no clock is looked at.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::time::Timeout;
use tokio::time::error::Elapsed;

/// What comes of this if it is there at once, or else within the limit that is then put on it.
///
/// # Errors
/// It took longer.
pub(crate) async fn soon<F: Future>(
    future: F,
    limited: impl FnOnce(Pin<&mut F>) -> Timeout<Pin<&mut F>>,
) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    match poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => limited(future).await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_there_is_not_limited_and_what_is_not_is() {
        let limit = Duration::from_secs(1);
        assert_eq!(soon(async { 1 }, |_| unreachable!()).await, Ok(1));
        let after = |seconds| soon(sleep(Duration::from_secs_f32(seconds)), |rest| timeout(limit, rest));
        assert!(after(0.5).await.is_ok());
        assert!(after(1.5).await.is_err());
    }
}

//! Frames leave in the order in which they are asked for, without waiting for one before the next.

use std::future::{Future, Ready, poll_fn, ready};
use std::pin::Pin;
use std::task::Poll;

use futures_util::future::Either;
use futures_util::stream::{FuturesOrdered, StreamExt as _};

/// A future that is done at once, or goes on.
type Started<F> = Either<Ready<<F as Future>::Output>, Pin<Box<F>>>;

/// Futures that have begun.
pub(super) struct Begun<F: Future>(FuturesOrdered<Started<F>>);

/// Starts futures one after the other: what they send first is sent in order, and all of it before this returns.
pub(super) async fn begin<F: Future>(futures: impl IntoIterator<Item = F>) -> Begun<F> {
    let mut begun = FuturesOrdered::new();
    for future in futures {
        let mut future = Box::pin(future);
        let once = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        begun.push_back(match once {
            Poll::Ready(output) => Either::Left(ready(output)),
            Poll::Pending => Either::Right(future),
        });
    }
    Begun(begun)
}

impl<F: Future> Begun<F> {
    /// Waits for all of them.
    pub(super) async fn finish(self) -> Vec<F::Output> {
        self.0.collect().await
    }
}

//! Why a connection or a channel ended.

use std::io;
use std::sync::Arc;

/// What ended it; everybody who used it is told the same.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The broker closed it: one of the protocol's reply codes, and its own words.
    Refused {
        /// The reply code.
        code: u16,
        /// The broker's words.
        said: Box<str>,
    },
    /// The socket's end.
    Lost(Arc<io::Error>),
    /// Nothing came for two heartbeats.
    Silent,
    /// Something came that the protocol has no place for.
    Unexpected(&'static str),
    /// We closed it.
    Closed,
}

/// `NOT_ALLOWED`, `ACCESS_REFUSED` and so on, as the protocol counts them.
impl Fault {
    pub(crate) const ACCESS_REFUSED: u16 = 403;
    pub(crate) const PRECONDITION_FAILED: u16 = 406;
    pub(crate) const NOT_ALLOWED: u16 = 530;
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Lost(Arc::new(error))
    }
}

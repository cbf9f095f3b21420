//! Messages come in parts: a method, a header, and a body in as many frames as it takes.

use std::sync::Arc;

use super::fault::Fault;
use super::properties::Properties;
use super::wire::{HEADERS, Reader};

/// Room that is made for a body before any of it has come, at most.
const ROOM: u64 = 1 << 20;

/// A message for a consumer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Names it on its channel.
    pub(crate) tag: u64,
    pub(crate) redelivered: bool,
    /// Its routing key.
    pub(crate) key: Arc<str>,
    /// As they came, where there are headers among them: nothing else is ever looked at.
    properties: Option<Box<[u8]>>,
    pub(crate) data: Vec<u8>,
}

impl Delivery {
    /// Its properties; `None` without headers.
    pub(crate) fn properties(&self) -> Option<Properties<'_>> {
        Properties::read(self.properties.as_ref()?)
    }
}

/// The method that a message begins with.
#[derive(Debug)]
pub(super) enum Opening {
    Delivery {
        tag: u64,
        redelivered: bool,
        key: Arc<str>,
    },
    /// It was to be published, and no queue took it.
    Return { exchange: String, key: String },
}

/// A message of which all parts have come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Delivery(Delivery),
    Return {
        exchange: String,
        key: String,
        id: Box<[u8]>,
        size: usize,
    },
}

/// The message of a channel of which parts have come.
#[derive(Debug, Default)]
pub(super) struct Assembly(Option<Partial>);

#[derive(Debug)]
struct Partial {
    opening: Opening,
    /// Once the header has come.
    header: Option<Header>,
    body: Vec<u8>,
}

#[derive(Debug)]
struct Header {
    size: u64,
    properties: Option<Box<[u8]>>,
}

impl Assembly {
    pub(super) fn open(&mut self, opening: Opening) -> Result<(), Fault> {
        let partial = Partial {
            opening,
            header: None,
            body: Vec::new(),
        };
        match self.0.replace(partial) {
            None => Ok(()),
            Some(_) => Err(Fault::Unexpected("a message within another")),
        }
    }

    pub(super) fn header(&mut self, size: u64, properties: &[u8]) -> Result<Option<Whole>, Fault> {
        let Some(partial) = self.0.as_mut().filter(|partial| partial.header.is_none()) else {
            return Err(Fault::Unexpected("a header without a message"));
        };
        let is_return = matches!(partial.opening, Opening::Return { .. });
        let has_headers = Reader(properties).u16().is_some_and(|flags| flags & HEADERS != 0);
        partial.header = Some(Header {
            size,
            properties: (is_return || has_headers).then(|| properties.into()),
        });
        partial.body = Vec::with_capacity(usize::try_from(size.min(ROOM)).unwrap_or_default());
        self.whole()
    }

    pub(super) fn body(&mut self, part: &[u8]) -> Result<Option<Whole>, Fault> {
        let Some(partial) = self.0.as_mut().filter(|partial| partial.header.is_some()) else {
            return Err(Fault::Unexpected("a body without a header"));
        };
        partial.body.extend_from_slice(part);
        self.whole()
    }

    /// The message, if nothing of it is missing any more.
    fn whole(&mut self) -> Result<Option<Whole>, Fault> {
        let (came, size) = match &self.0 {
            Some(Partial {
                header: Some(header),
                body,
                ..
            }) => (body.len() as u64, header.size),
            _ => return Ok(None),
        };
        if came > size {
            return Err(Fault::Unexpected("a body that is larger than was said"));
        }
        if came < size {
            return Ok(None);
        }
        Ok(self.0.take().map(Partial::finish))
    }
}

impl Partial {
    fn finish(self) -> Whole {
        let properties = self.header.and_then(|header| header.properties);
        match self.opening {
            Opening::Delivery {
                tag,
                redelivered,
                key,
            } => Whole::Delivery(Delivery {
                tag,
                redelivered,
                key,
                properties,
                data: self.body,
            }),
            Opening::Return { exchange, key } => {
                let read = properties.as_deref().and_then(Properties::read);
                Whole::Return {
                    exchange,
                    key,
                    id: read.and_then(|read| read.id).unwrap_or_default().into(),
                    size: self.body.len(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delivery(tag: u64) -> Opening {
        Opening::Delivery {
            tag,
            redelivered: false,
            key: "k".into(),
        }
    }

    proptest! {
        #[test]
        fn a_body_is_what_its_parts_were(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..9)) {
            let mut assembly = Assembly::default();
            let expected = parts.concat();
            for tag in 1..3 {
                assembly.open(delivery(tag)).unwrap();
                let mut whole = assembly.header(expected.len() as u64, &[0, 0]).unwrap();
                for part in &parts {
                    prop_assert!(whole.is_none());
                    whole = assembly.body(part).unwrap();
                }
                let Some(Whole::Delivery(delivery)) = whole else { panic!("{whole:?}") };
                prop_assert_eq!((delivery.tag, &delivery.data), (tag, &expected));
                prop_assert!(delivery.properties().is_none());
            }
        }
    }

    #[test]
    fn parts_that_belong_to_nothing_are_refused() {
        let mut assembly = Assembly::default();
        assert!(assembly.header(1, &[0, 0]).is_err());
        assert!(assembly.body(b"x").is_err());
        assembly.open(delivery(1)).unwrap();
        assert!(assembly.body(b"x").is_err());
        assert_eq!(assembly.header(1, &[0, 0]).unwrap(), None);
        assert!(assembly.header(1, &[0, 0]).is_err());
        assert!(assembly.body(b"xx").is_err());
        let mut assembly = Assembly::default();
        assembly.open(delivery(1)).unwrap();
        assert!(assembly.open(delivery(2)).is_err());
    }

    #[test]
    fn a_size_that_was_only_said_takes_no_memory() {
        let mut assembly = Assembly::default();
        assembly.open(delivery(1)).unwrap();
        assert_eq!(assembly.header(u64::MAX, &[0, 0]).unwrap(), None);
        assert!(assembly.0.unwrap().body.capacity() <= 2 << 20);
    }
}

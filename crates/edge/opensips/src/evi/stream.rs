//! Events in a stream: objects one after the other, without anything between them and cut anywhere (`event_stream`).

use std::collections::BTreeMap;

use super::MAX_EVENT;

/// Most connections whose events are read at once.
pub const MAX_STREAMS: usize = 64;

/// All streams that are open.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: BTreeMap<u64, Stream>,
}

impl Streams {
    /// Takes in some bytes; gives each whole object to `object`, and says how many things in between were no object.
    pub(crate) fn feed(&mut self, connection: u64, bytes: &[u8], object: &mut dyn FnMut(&[u8])) -> u64 {
        if !self.open.contains_key(&connection) && self.open.len() >= MAX_STREAMS {
            return 1;
        }
        self.open.entry(connection).or_default().feed(bytes, object)
    }

    /// The stream has ended; says how many objects were cut off by that.
    pub(crate) fn close(&mut self, connection: u64) -> u64 {
        self.open.remove(&connection).map_or(0, |stream| u64::from(stream.depth > 0))
    }
}

/// One stream. Finds where objects begin and end, and nothing else.
#[derive(Debug, Default)]
struct Stream {
    held: Vec<u8>,
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The object is longer than any event: it is counted and thrown away, but its end is still looked for.
    too_long: bool,
    /// Something that is no object has been counted already.
    in_garbage: bool,
}

impl Stream {
    fn feed(&mut self, bytes: &[u8], object: &mut dyn FnMut(&[u8])) -> u64 {
        let mut bad = 0;
        for &byte in bytes {
            if self.depth == 0 {
                bad += self.between(byte);
                continue;
            }
            if self.held.len() < MAX_EVENT {
                self.held.push(byte);
            } else {
                self.too_long = true;
            }
            self.within(byte);
            if self.depth == 0 {
                if self.too_long {
                    bad += 1;
                } else {
                    object(&self.held);
                }
                *self = Self { held: std::mem::take(&mut self.held), ..Self::default() };
                self.held.clear();
                self.held.shrink_to(KEPT);
            }
        }
        bad
    }

    fn between(&mut self, byte: u8) -> u64 {
        match byte {
            b'{' => {
                self.held.push(byte);
                self.depth = 1;
                self.in_garbage = false;
                0
            }
            b' ' | b'\t' | b'\r' | b'\n' | 0 => 0,
            _ => u64::from(!std::mem::replace(&mut self.in_garbage, true)),
        }
    }

    fn within(&mut self, byte: u8) {
        if self.in_string {
            match (self.escaped, byte) {
                (true, _) => self.escaped = false,
                (false, b'\\') => self.escaped = true,
                (false, b'"') => self.in_string = false,
                (false, _) => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' => self.depth = self.depth.saturating_add(1),
            b'}' => self.depth -= 1,
            _ => {}
        }
    }
}

/// How much room an idle stream keeps, in bytes.
const KEPT: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(streams: &mut Streams, bytes: &[u8]) -> (Vec<String>, u64) {
        let mut found = Vec::new();
        let bad = streams.feed(1, bytes, &mut |object| found.push(String::from_utf8_lossy(object).into_owned()));
        (found, bad)
    }

    #[test]
    fn objects_without_a_delimiter_are_found_wherever_they_are_cut() {
        let text = r#"{"a":"}{\"\\"}{"b":{"c":{}}} {"d":1}"#;
        for cut in 0..text.len() {
            let mut streams = Streams::default();
            let (mut found, _) = collect(&mut streams, &text.as_bytes()[..cut]);
            found.extend(collect(&mut streams, &text.as_bytes()[cut..]).0);
            assert_eq!(found, [r#"{"a":"}{\"\\"}"#, r#"{"b":{"c":{}}}"#, r#"{"d":1}"#], "cut at {cut}");
        }
    }

    #[test]
    fn an_object_that_never_ends_does_not_grow_and_the_next_is_found() {
        let mut streams = Streams::default();
        let (found, bad) = collect(&mut streams, b"{\"a\":\"");
        assert!(found.is_empty() && bad == 0);
        for _ in 0..3 {
            collect(&mut streams, &[b'x'; MAX_EVENT]);
        }
        assert!(streams.open[&1].held.capacity() <= 2 * MAX_EVENT);
        assert_eq!(collect(&mut streams, br#""}{"b":1}"#), (vec![r#"{"b":1}"#.to_owned()], 1));
        assert!(streams.open[&1].held.capacity() <= 2 * KEPT);
    }

    #[test]
    fn garbage_between_objects_is_counted_once() {
        let mut streams = Streams::default();
        assert_eq!(collect(&mut streams, b"HTTP/1.1 200 OK {}"), (vec!["{}".to_owned()], 1));
        assert_eq!(collect(&mut streams, b"}}{}"), (vec!["{}".to_owned()], 1));
    }

    #[test]
    fn a_stream_that_ends_in_an_object_is_counted_and_forgotten() {
        let mut streams = Streams::default();
        collect(&mut streams, b"{\"a\"");
        assert_eq!((streams.close(1), streams.close(1)), (1, 0));
        assert!(streams.open.is_empty());
    }

    #[test]
    fn there_is_a_limit_of_streams() {
        let mut streams = Streams::default();
        for connection in 0..=MAX_STREAMS as u64 {
            streams.feed(connection, b"{", &mut |_| {});
        }
        assert_eq!(streams.open.len(), MAX_STREAMS);
    }
}

//! Frames: a tag, a length, a payload.
//!
//! **Invariant:** a decoder holds at most one frame and one chunk more than it has been asked for,
//! whatever the peer sends. Must not know: what the payloads mean.

use std::marker::PhantomData;

/// The longest payload, in bytes.
pub const MAX_PAYLOAD: usize = 64 << 10;

/// Tag and length.
const HEADER: usize = 5;

/// Why bytes are no frames.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The length exceeds [`MAX_PAYLOAD`].
    #[error("frame {tag:#04x} claims {len} bytes; at most {MAX_PAYLOAD} are allowed")]
    TooLong {
        /// Its tag.
        tag: u8,
        /// Its length in bytes.
        len: usize,
    },
    /// The payload of a known tag is not what it should be.
    #[error("frame {tag:#04x} cannot be read")]
    Payload {
        /// Its tag.
        tag: u8,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// One direction of the protocol.
pub trait Frame: Sized {
    /// Reads a payload; `None` for a tag of a later version.
    ///
    /// # Errors
    /// [`WireError::Payload`].
    fn decode(tag: u8, payload: &[u8]) -> Result<Option<Self>, WireError>;

    /// Appends the frame. A raw payload over the bound becomes several frames.
    ///
    /// # Errors
    /// [`WireError::TooLong`] where a JSON payload is over the bound; nothing is then appended.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError>;
}

/// Cuts frames out of a byte stream.
#[derive(Debug)]
pub struct Decoder<F> {
    buffer: Vec<u8>,
    start: usize,
    frame: PhantomData<fn() -> F>,
}

impl<F> Default for Decoder<F> {
    fn default() -> Self {
        Self { buffer: Vec::new(), start: 0, frame: PhantomData }
    }
}

impl<F: Frame> Decoder<F> {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what was read. Call [`Decoder::next_frame`] until it has no more before the next
    /// feed: that keeps the buffer bounded.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame of a known tag; `None` until more is fed.
    ///
    /// # Errors
    /// [`WireError`]: the stream is broken, and the connection should be closed.
    pub fn next_frame(&mut self) -> Result<Option<F>, WireError> {
        loop {
            let rest = &self.buffer[self.start..];
            let Some((header, rest)) = rest.split_first_chunk::<HEADER>() else { return Ok(None) };
            let [tag, length @ ..] = *header;
            let len = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            if len > MAX_PAYLOAD {
                return Err(WireError::TooLong { tag, len });
            }
            let Some(payload) = rest.get(..len) else { return Ok(None) };
            let frame = F::decode(tag, payload)?;
            self.start += HEADER + len;
            if self.start == self.buffer.len() {
                self.buffer.clear();
                self.start = 0;
            }
            if frame.is_some() {
                return Ok(frame);
            }
        }
    }
}

/// Appends one frame's header.
fn header(tag: u8, len: usize, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&u32::try_from(len).expect("at most MAX_PAYLOAD").to_be_bytes());
}

/// Appends raw bytes as frames of `tag`; nothing for no bytes.
pub(super) fn raw(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(MAX_PAYLOAD) {
        header(tag, chunk.len(), out);
        out.extend_from_slice(chunk);
    }
}

/// Appends a JSON frame.
pub(super) fn json<T: serde::Serialize>(tag: u8, value: &T, out: &mut Vec<u8>) -> Result<(), WireError> {
    let payload = serde_json::to_vec(value).map_err(|source| WireError::Payload { tag, source })?;
    if payload.len() > MAX_PAYLOAD {
        return Err(WireError::TooLong { tag, len: payload.len() });
    }
    header(tag, payload.len(), out);
    out.extend_from_slice(&payload);
    Ok(())
}

/// An enum of frames and its codec, from one table.
macro_rules! frames {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $tag:literal => $variant:ident($kind:ident $($ty:ty)?)),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$vdoc])* $variant($crate::wire::host::frame::frames!(@type $kind $($ty)?)),)*
        }

        impl $crate::wire::host::frame::Frame for $name {
            fn decode(tag: u8, payload: &[u8]) -> Result<Option<Self>, $crate::wire::host::frame::WireError> {
                Ok(Some(match tag {
                    $($tag => Self::$variant($crate::wire::host::frame::frames!(@decode $kind tag payload)),)*
                    _ => return Ok(None),
                }))
            }

            fn encode(&self, out: &mut Vec<u8>) -> Result<(), $crate::wire::host::frame::WireError> {
                match self {
                    $(Self::$variant(value) => $crate::wire::host::frame::frames!(@encode $kind $tag value out),)*
                }
                Ok(())
            }
        }
    };
    (@type raw) => { Vec<u8> };
    (@type json $ty:ty) => { $ty };
    (@decode raw $tag:ident $payload:ident) => { $payload.to_vec() };
    (@decode json $tag:ident $payload:ident) => {
        serde_json::from_slice($payload)
            .map_err(|source| $crate::wire::host::frame::WireError::Payload { tag: $tag, source })?
    };
    (@encode raw $tag:literal $value:ident $out:ident) => { $crate::wire::host::frame::raw($tag, $value, $out) };
    (@encode json $tag:literal $value:ident $out:ident) => { $crate::wire::host::frame::json($tag, $value, $out)? };
}
pub(super) use frames;

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;
    use proptest::prelude::*;

    fn decode_all(decoder: &mut Decoder<ToHost>, bytes: &[u8]) -> Result<Vec<ToHost>, WireError> {
        decoder.feed(bytes);
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    fn sample() -> Vec<ToHost> {
        vec![
            ToHost::Hello(Hello {
                versions: VERSIONS,
                features: 0,
                role: Role::Client,
                size: Some(Size { rows: 24, cols: 80 }),
                readonly: false,
                scrollback: 100,
            }),
            ToHost::Input(b"ls\r".to_vec()),
            ToHost::Key(KeyRequest {
                msg_id: 3,
                if_signal_seq: Some(9),
                bytes: Bytes(vec![0x1b, 0xff]),
                if_shows: vec!["a".into()],
            }),
            ToHost::Status(Empty {}),
        ]
    }

    #[test]
    fn frames_survive_any_cut() {
        let mut bytes = Vec::new();
        for frame in sample() {
            frame.encode(&mut bytes).expect("encode");
        }
        for step in [1, 2, 3, 7, bytes.len()] {
            let mut decoder = Decoder::new();
            let mut got = Vec::new();
            for chunk in bytes.chunks(step) {
                got.extend(decode_all(&mut decoder, chunk).expect("decode"));
            }
            assert_eq!(got, sample());
        }
    }

    #[test]
    fn a_tag_of_a_later_version_is_skipped() {
        let mut bytes = Vec::new();
        header(0x3f, 4, &mut bytes);
        bytes.extend_from_slice(b"what");
        ToHost::Input(b"x".to_vec()).encode(&mut bytes).expect("encode");
        assert_eq!(decode_all(&mut Decoder::new(), &bytes).expect("ok"), [ToHost::Input(b"x".to_vec())]);
    }

    #[test]
    fn fields_of_a_later_version_are_ignored_and_missing_ones_have_defaults() {
        let mut bytes = Vec::new();
        let hello = br#"{"versions":{"min":1,"max":9},"role":"watcher","mood":"good"}"#;
        header(0x01, hello.len(), &mut bytes);
        bytes.extend_from_slice(hello);
        let got = decode_all(&mut Decoder::new(), &bytes).expect("ok");
        let [ToHost::Hello(hello)] = got.as_slice() else { panic!("{got:?}") };
        assert_eq!((hello.role, hello.size, hello.scrollback), (Role::Watcher, None, 0));
        assert_eq!(VERSIONS.common(hello.versions), Some(1));
        assert_eq!(VERSIONS.common(Versions { min: 2, max: 3 }), None);
    }

    #[test]
    fn a_length_over_the_bound_ends_the_stream() {
        let error = decode_all(&mut Decoder::new(), &[0x02, 0xff, 0xff, 0xff, 0xff]).expect_err("too long");
        assert!(matches!(error, WireError::TooLong { tag: 2, .. }));
        let text = "x".repeat(MAX_PAYLOAD);
        let big = ToHost::Type(TypeRequest { msg_id: 1, if_signal_seq: None, text, submit: true, withhold_on: vec![] });
        let mut out = Vec::new();
        assert!(matches!(big.encode(&mut out), Err(WireError::TooLong { .. })));
        assert!(out.is_empty());
    }

    #[test]
    fn raw_bytes_over_the_bound_become_several_frames() {
        let mut out = Vec::new();
        ToHost::Input(vec![7; MAX_PAYLOAD + 1]).encode(&mut out).expect("encode");
        let got = decode_all(&mut Decoder::new(), &out).expect("ok");
        assert_eq!(got, [ToHost::Input(vec![7; MAX_PAYLOAD]), ToHost::Input(vec![7])]);
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_never_grows(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..50)) {
            let mut decoder = Decoder::<FromHost>::new();
            for chunk in chunks {
                decoder.feed(&chunk);
                loop {
                    match decoder.next_frame() {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => return Ok(()),
                    }
                }
                prop_assert!(decoder.buffer.len() <= HEADER + MAX_PAYLOAD + 200);
            }
        }
    }
}

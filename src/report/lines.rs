//! Bytes in chunks of any size, lines of bounded length out.
//!
//! **Invariant:** memory is bounded by one line of [`MAX_LINE`]; every byte sequence is a sequence
//! of lines. Must not know any format.

/// The longest line that is looked at, in bytes. Tools print no longer ones on purpose; the rest
/// of such a line is dropped.
pub const MAX_LINE: usize = 64 << 10;

/// Cuts a stream into lines.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Hands every line that `chunk` completes to `take`, without its line end. What is not UTF-8
    /// comes as U+FFFD.
    pub fn feed(&mut self, mut chunk: &[u8], take: &mut dyn FnMut(&str)) {
        while let Some(end) = chunk.iter().position(|&b| b == b'\n') {
            if self.partial.is_empty() {
                give(&chunk[..end.min(MAX_LINE)], take);
            } else {
                self.push(&chunk[..end]);
                give(&self.partial, take);
                self.partial.clear();
            }
            chunk = &chunk[end + 1..];
        }
        self.push(chunk);
    }

    /// Hands over what follows the last line end, if anything.
    pub fn finish(&mut self, take: &mut dyn FnMut(&str)) {
        if !self.partial.is_empty() {
            give(&self.partial, take);
            self.partial.clear();
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = MAX_LINE - self.partial.len();
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

fn give(line: &[u8], take: &mut dyn FnMut(&str)) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    take(&String::from_utf8_lossy(line));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.feed(chunk, &mut |line| out.push(line.to_owned()));
        }
        lines.finish(&mut |line| out.push(line.to_owned()));
        out
    }

    #[test]
    fn lines_survive_any_cut() {
        assert_eq!(split(&[b"on", b"e\r\ntw", b"o\n\nthr\xffee"]), ["one", "two", "", "thr\u{fffd}ee"]);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let long = vec![b'x'; MAX_LINE * 3];
        let out = split(&[&long, &long, b"\nnext\n"]);
        assert_eq!((out[0].len(), out[1].as_str()), (MAX_LINE, "next"));
        let whole = [&long[..], b"\nnext"].concat();
        assert_eq!(split(&[&whole])[0].len(), MAX_LINE);
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..300) {
            let cut = cut.min(bytes.len());
            prop_assert_eq!(split(&[&bytes]), split(&[&bytes[..cut], &bytes[cut..]]));
        }
    }
}

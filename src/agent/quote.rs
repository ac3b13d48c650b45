//! Text as one word of another language: a POSIX shell, TOML.
//!
//! **Invariant:** what the other language reads back is the text, byte by byte. Must not know: what
//! the words are for.

/// One word of a POSIX shell.
#[must_use]
pub fn sh(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A command of a POSIX shell from its words.
#[must_use]
pub fn sh_command(words: &[&str]) -> String {
    words.iter().map(|w| sh(w)).collect::<Vec<_>>().join(" ")
}

/// A string of TOML, on one line.
#[must_use]
pub fn toml(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// An array of strings of TOML, on one line.
#[must_use]
pub fn toml_array(words: &[&str]) -> String {
    format!("[{}]", words.iter().map(|w| toml(w)).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_shell_word_is_quoted_only_where_it_must_be() {
        assert_eq!(sh("/usr/bin/standup"), "/usr/bin/standup");
        assert_eq!(sh(""), "''");
        assert_eq!(sh("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(sh_command(&["/a b/x", "hook"]), "'/a b/x' hook");
    }

    proptest! {
        #[test]
        fn toml_reads_back_what_was_quoted(text in any::<String>(), other in "[\\x00-\\x7f]{0,12}") {
            let line = format!("x={}", toml_array(&[&text, &other]));
            prop_assert!(!line.contains('\n'));
            let read: toml::Table = line.parse().expect("TOML");
            let words: Vec<&str> = read["x"].as_array().expect("array").iter().filter_map(|v| v.as_str()).collect();
            prop_assert_eq!(words, [text.as_str(), other.as_str()]);
        }

        #[test]
        fn a_quoted_shell_word_has_no_open_end(text in "[^\\x00]{0,24}") {
            // What is outside single quotes may only be plain, or an escaped quote.
            let word = sh(&text);
            let mut read = String::new();
            let mut chars = word.chars();
            let mut inside = false;
            while let Some(c) = chars.next() {
                match (inside, c) {
                    (_, '\'') => inside = !inside,
                    (false, '\\') => read.push(chars.next().expect("escaped")),
                    (true, c) => read.push(c),
                    (false, c) => {
                        prop_assert!(c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c));
                        read.push(c);
                    }
                }
            }
            prop_assert!(!inside);
            prop_assert_eq!(read, text);
        }
    }
}

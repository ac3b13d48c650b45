//! Bytes in JSON.
//!
//! **Invariant:** what goes in comes out, UTF-8 or not: text is written as a string, anything else
//! as `{"b64": "…"}`. Must not know: what the bytes mean.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A byte string: an argument, a path, the value of a variable, a payload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// As the operating system takes it.
    #[must_use]
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }

    /// As a path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(self.as_os_str())
    }

    /// For people: what is no UTF-8 is replaced.
    #[must_use]
    pub fn to_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<OsString> for Bytes {
    fn from(text: OsString) -> Self {
        Self(text.into_vec())
    }
}

impl From<PathBuf> for Bytes {
    fn from(path: PathBuf) -> Self {
        path.into_os_string().into()
    }
}

impl From<&Path> for Bytes {
    fn from(path: &Path) -> Self {
        Self(path.as_os_str().as_bytes().to_vec())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form<'a> {
    Text(#[serde(borrow)] std::borrow::Cow<'a, str>),
    Base64 { b64: String },
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => Form::Text(text.into()),
            Err(_) => Form::Base64 { b64: STANDARD.encode(&self.0) },
        }
        .serialize(s)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self(match Form::deserialize(d)? {
            Form::Text(text) => text.into_owned().into_bytes(),
            Form::Base64 { b64 } => STANDARD.decode(b64).map_err(serde::de::Error::custom)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_readable_and_the_rest_survives() {
        let json = serde_json::to_string(&vec![Bytes::from("a=\u{1b}é"), Bytes(vec![0xff, 0, 7])]).expect("json");
        assert_eq!(json, "[\"a=\\u001bé\",{\"b64\":\"/wAH\"}]");
        let back: Vec<Bytes> = serde_json::from_str(&json).expect("back");
        assert_eq!((back[0].to_text().as_ref(), back[1].0.as_slice()), ("a=\u{1b}é", &[0xff, 0, 7][..]));
        assert!(serde_json::from_str::<Bytes>("{\"b64\":\"?\"}").is_err());
    }
}

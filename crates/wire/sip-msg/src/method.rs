//! Request methods.

use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::limits::MAX_METHOD;
use crate::scan::is_token_text;

macro_rules! methods {
    ($($variant:ident $text:literal $rfc:literal,)*) => {
        /// A request method. Names are case-sensitive tokens (RFC 3261 7.1), so `invite` is `Other`.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Method {
            $(#[doc = concat!("`", $text, "`, ", $rfc)] $variant,)*
            /// Any other token; names of up to 24 bytes need no allocation.
            Other(CompactString),
        }

        impl Method {
            /// Every method this crate has a variant for.
            pub const KNOWN: &'static [Method] = &[$(Method::$variant,)*];

            /// The name as it goes on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Method::$variant => $text,)*
                    Method::Other(name) => name,
                }
            }

            fn known(name: &[u8]) -> Option<Method> {
                $(if name == $text.as_bytes() { return Some(Method::$variant); })*
                None
            }
        }
    };
}

methods! {
    Invite "INVITE" "RFC 3261",
    Ack "ACK" "RFC 3261",
    Bye "BYE" "RFC 3261",
    Cancel "CANCEL" "RFC 3261",
    Register "REGISTER" "RFC 3261",
    Options "OPTIONS" "RFC 3261",
    Info "INFO" "RFC 6086",
    Update "UPDATE" "RFC 3311",
    Prack "PRACK" "RFC 3262",
    Refer "REFER" "RFC 3515",
    Notify "NOTIFY" "RFC 6665",
    Subscribe "SUBSCRIBE" "RFC 6665",
    Publish "PUBLISH" "RFC 3903",
    Message "MESSAGE" "RFC 3428",
}

impl Method {
    /// Reads a method name; `None` when it is not a token or longer than [`MAX_METHOD`].
    pub fn from_bytes(name: &[u8]) -> Option<Method> {
        if let Some(known) = Method::known(name) {
            return Some(known);
        }
        if name.len() > MAX_METHOD || !is_token_text(name) {
            return None;
        }
        // A token is ASCII, so this cannot fail.
        std::str::from_utf8(name).ok().map(|name| Method::Other(name.into()))
    }
}

impl From<&str> for Method {
    /// Takes any text; text that is no token becomes `Other` as it stands.
    fn from(name: &str) -> Method {
        Method::known(name.as_bytes()).unwrap_or_else(|| Method::Other(name.into()))
    }
}

impl PartialEq<str> for Method {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Method {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Method, D::Error> {
        let name = CompactString::deserialize(deserializer)?;
        Ok(Method::from(name.as_str()))
    }
}

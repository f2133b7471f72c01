//! What is said of a user who was asked for, and what that means.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_call::directory::UserAnswer;
use hookswitch_dialect::mediaswitch::found_user;

/// What whoever was asked for a user has said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UserReply {
    /// The user exists: its document, which is what would be pushed for it.
    Document {
        /// The document. It has a password in it.
        body: Bytes,
        /// How long it is good, if that was said.
        max_age: Option<Duration>,
    },
    /// There is no such user.
    Nobody {
        /// How long that is good, if that was said.
        max_age: Option<Duration>,
    },
    /// Nothing of use: why, without anything secret.
    Failed(String),
}

impl From<UserReply> for UserAnswer {
    fn from(reply: UserReply) -> Self {
        match reply {
            UserReply::Document { body, max_age } => match found_user(&body) {
                Ok(user) => Self::Found { user: Box::new(user), max_age },
                Err(error) => Self::Failed(format!("the document cannot be used: {error}")),
            },
            UserReply::Nobody { max_age } => Self::Nobody { max_age },
            UserReply::Failed(why) => Self::Failed(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &'static str) -> UserAnswer {
        UserReply::Document { body: Bytes::from_static(body.as_bytes()), max_age: None }.into()
    }

    #[test]
    fn a_document_is_what_would_be_pushed_for_the_user() {
        let body = r#"{"secret":"s3cret","forward":{"busy":"sip:v@a.test"},"limits":{"calls":2},"display":"ignored"}"#;
        let UserAnswer::Found { user, max_age: None } = answer(body) else { panic!("found") };
        assert_eq!((user.secret.reveal(), user.limits.calls), ("s3cret", Some(2)));
        assert_eq!(user.forward.otherwise.busy, Some("sip:v@a.test".into()));
    }

    #[test]
    fn what_is_wrong_with_a_document_is_said_with_its_place_and_without_what_stands_there() {
        for (body, expected) in [
            ("", "body must be a JSON object (body)"),
            ("{}", "secret is required (secret)"),
            (r#"{"secret":12345}"#, "secret must be a string (secret)"),
            (r#"{"secret":"s3cret""#, "the body is not valid JSON (body, line 1 column 18)"),
            (
                r#"{"secret":"s3cret","limits":{"call":1}}"#,
                "limits must be an object of numbers `contacts` and `calls`, and limits by name in `classes` (limits)",
            ),
            (
                r#"{"secret":"s3cret","forward":{"busy":"1002"}}"#,
                "forward.busy of \"user\" is not an address such as sip:NAME@HOST or tel:NUMBER (forward.busy)",
            ),
        ] {
            let expected = format!("the document cannot be used: {expected}");
            let UserAnswer::Failed(why) = answer(body) else { panic!("{body} is taken") };
            assert_eq!(why, expected);
            assert!(!why.contains("s3cret") && !why.contains("12345"), "{why}");
        }
    }
}

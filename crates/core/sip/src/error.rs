//! Why the endpoint refuses what its user asks; a refusal changes nothing.

/// A refused order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SipError {
    /// [`EndpointConfig::max_transactions`](crate::EndpointConfig::max_transactions) is reached.
    #[error("too many transactions")]
    TransactionLimit,
    /// [`EndpointConfig::max_dialogs`](crate::EndpointConfig::max_dialogs) is reached.
    #[error("too many dialogs")]
    DialogLimit,
    /// There is no such dialog, or no longer.
    #[error("no such dialog")]
    UnknownDialog,
    /// The dialog is not established, or is ending.
    #[error("dialog is not established")]
    NotEstablished,
    /// An INVITE is under way in this dialog, or its ACK is due (RFC 3261 14.1).
    #[error("an INVITE is under way in this dialog")]
    Pending,
    /// The method has a function of its own, or a flow is missing.
    #[error("request cannot be sent this way")]
    Unsendable,
    /// A URI, name-addr or Call-ID in the order holds characters that cannot go on the wire.
    #[error("order holds characters that cannot be sent")]
    Malformed,
    /// The message would be larger than any transport carries.
    #[error("message is too large")]
    TooLarge,
}

//! Header names: recognition on the way in, canonical text on the way out.

use std::fmt;

/// What a header name means for comma-separated values (RFC 3261 7.3.1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A comma separates values.
    List,
    /// One value per line; commas belong to it.
    Single,
}
use Shape::{List, Single};

macro_rules! header_names {
    ($($variant:ident $text:literal $compact:literal $shape:ident,)*) => {
        /// A header this crate knows by name, in its long or its compact form, in any case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum HeaderName {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
            /// A name without a variant; [`Message::header_by_name`](crate::Message::header_by_name) finds its values.
            Other,
        }

        impl HeaderName {
            /// Every known header.
            pub const ALL: &'static [HeaderName] = &[$(HeaderName::$variant,)*];
        }

        const ROWS: &[(&str, &str, Shape)] = &[$(($text, $compact, $shape),)*];
    };
}

header_names! {
    Via "Via" "v" List,
    From "From" "f" Single,
    To "To" "t" Single,
    CallId "Call-ID" "i" Single,
    CSeq "CSeq" "" Single,
    Contact "Contact" "m" List,
    MaxForwards "Max-Forwards" "" Single,
    Route "Route" "" List,
    RecordRoute "Record-Route" "" List,
    ContentLength "Content-Length" "l" Single,
    ContentType "Content-Type" "c" Single,
    Expires "Expires" "" Single,
    MinExpires "Min-Expires" "" Single,
    Allow "Allow" "" List,
    Supported "Supported" "k" List,
    Require "Require" "" List,
    ProxyRequire "Proxy-Require" "" List,
    Unsupported "Unsupported" "" List,
    Authorization "Authorization" "" Single,
    ProxyAuthorization "Proxy-Authorization" "" Single,
    WwwAuthenticate "WWW-Authenticate" "" Single,
    ProxyAuthenticate "Proxy-Authenticate" "" Single,
    AuthenticationInfo "Authentication-Info" "" Single,
    Reason "Reason" "" List,
    RetryAfter "Retry-After" "" Single,
    UserAgent "User-Agent" "" Single,
    Server "Server" "" Single,
    Path "Path" "" List,
    ServiceRoute "Service-Route" "" List,
    Accept "Accept" "" List,
    AcceptEncoding "Accept-Encoding" "" List,
    AcceptLanguage "Accept-Language" "" List,
    AcceptContact "Accept-Contact" "a" List,
    RejectContact "Reject-Contact" "j" List,
    RequestDisposition "Request-Disposition" "d" List,
    ContentEncoding "Content-Encoding" "e" List,
    ContentDisposition "Content-Disposition" "" Single,
    ContentLanguage "Content-Language" "" List,
    MimeVersion "MIME-Version" "" Single,
    Subject "Subject" "s" Single,
    Date "Date" "" Single,
    Event "Event" "o" Single,
    AllowEvents "Allow-Events" "u" List,
    SubscriptionState "Subscription-State" "" Single,
    SipEtag "SIP-ETag" "" Single,
    SipIfMatch "SIP-If-Match" "" Single,
    ReferTo "Refer-To" "r" Single,
    ReferredBy "Referred-By" "b" Single,
    ReferSub "Refer-Sub" "" Single,
    TargetDialog "Target-Dialog" "" Single,
    Replaces "Replaces" "" Single,
    Join "Join" "" Single,
    RSeq "RSeq" "" Single,
    RAck "RAck" "" Single,
    SessionExpires "Session-Expires" "x" Single,
    MinSe "Min-SE" "" Single,
    PAssertedIdentity "P-Asserted-Identity" "" List,
    PPreferredIdentity "P-Preferred-Identity" "" List,
    PAccessNetworkInfo "P-Access-Network-Info" "" List,
    PChargingVector "P-Charging-Vector" "" Single,
    PEarlyMedia "P-Early-Media" "" List,
    RemotePartyId "Remote-Party-ID" "" List,
    Privacy "Privacy" "" Single,
    Diversion "Diversion" "" List,
    HistoryInfo "History-Info" "" List,
    Identity "Identity" "y" Single,
    IdentityInfo "Identity-Info" "n" Single,
    AlertInfo "Alert-Info" "" List,
    CallInfo "Call-Info" "" List,
    ErrorInfo "Error-Info" "" List,
    InReplyTo "In-Reply-To" "" List,
    ReplyTo "Reply-To" "" Single,
    Organization "Organization" "" Single,
    Priority "Priority" "" Single,
    Warning "Warning" "" List,
    Timestamp "Timestamp" "" Single,
    UserToUser "User-to-User" "" List,
    InfoPackage "Info-Package" "" Single,
    RecvInfo "Recv-Info" "" List,
    FlowTimer "Flow-Timer" "" Single,
    AnswerMode "Answer-Mode" "" Single,
    MaxBreadth "Max-Breadth" "" Single,
    ResourcePriority "Resource-Priority" "" List,
    SessionId "Session-ID" "" Single,
}

/// Slots of the name table: a power of two, some three times the number of names.
const SLOTS: usize = 512;
const EMPTY: u8 = u8::MAX;

/// Length, first and last letter tell nearly all names apart.
const fn slot(name: &[u8]) -> usize {
    let first = (name[0] | 0x20) as usize;
    let last = (name[name.len() - 1] | 0x20) as usize;
    (first * 7 + last * 61 + name.len() * 37) & (SLOTS - 1)
}

const fn insert(mut table: [u8; SLOTS], name: &[u8], row: u8) -> [u8; SLOTS] {
    let mut at = slot(name);
    while table[at] != EMPTY {
        at = (at + 1) & (SLOTS - 1);
    }
    table[at] = row;
    table
}

static TABLE: [u8; SLOTS] = {
    assert!(ROWS.len() < EMPTY as usize);
    let mut table = [EMPTY; SLOTS];
    let mut row = 0;
    while row < ROWS.len() {
        table = insert(table, ROWS[row].0.as_bytes(), row as u8);
        row += 1;
    }
    table
};

/// Compact forms by letter, `a` first.
static COMPACT: [u8; 26] = {
    let mut table = [EMPTY; 26];
    let mut row = 0;
    while row < ROWS.len() {
        let compact = ROWS[row].1.as_bytes();
        if compact.len() == 1 {
            let letter = (compact[0] - b'a') as usize;
            assert!(table[letter] == EMPTY);
            table[letter] = row as u8;
        }
        row += 1;
    }
    table
};

impl HeaderName {
    /// Recognises a long or compact name in any case; everything else is [`HeaderName::Other`].
    pub fn from_bytes(name: &[u8]) -> HeaderName {
        let row = match name {
            [] => EMPTY,
            [letter] => {
                let at = (letter | 0x20).wrapping_sub(b'a');
                COMPACT.get(usize::from(at)).copied().unwrap_or(EMPTY)
            }
            _ => find(name),
        };
        HeaderName::ALL.get(usize::from(row)).copied().unwrap_or(HeaderName::Other)
    }

    /// The canonical long name; empty for [`HeaderName::Other`].
    pub fn as_str(self) -> &'static str {
        ROWS.get(self as usize).map_or("", |row| row.0)
    }

    /// The one-letter form, where there is one (RFC 3261 7.3.3 and the IANA list).
    pub fn compact(self) -> Option<&'static str> {
        ROWS.get(self as usize).map(|row| row.1).filter(|form| !form.is_empty())
    }

    /// True when a comma separates values of this header; for others a comma belongs to the value (`Date`, `Subject`,
    /// the authentication headers) and for unknown names nobody can tell.
    pub fn is_list(self) -> bool {
        ROWS.get(self as usize).is_some_and(|row| row.2 == List)
    }
}

fn find(name: &[u8]) -> u8 {
    let mut at = slot(name);
    loop {
        let row = TABLE[at];
        let Some((text, ..)) = ROWS.get(usize::from(row)) else {
            return EMPTY;
        };
        // Nearly everybody writes names as the RFC does, and that is compared at once.
        if text.as_bytes() == name || text.len() == name.len() && text.as_bytes().eq_ignore_ascii_case(name) {
            return row;
        }
        at = (at + 1) & (SLOTS - 1);
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeaderName::Other => "unknown header",
            known => known.as_str(),
        })
    }
}

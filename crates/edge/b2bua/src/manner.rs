//! What a controller of single legs wants of one beside what the core's words say.

use compact_str::CompactString;
use hookswitch_call::{CallId, Handle, LegId};
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::{Header, Invite, Response};
use hookswitch_sip_msg::HeaderName;

use crate::B2bua;

/// How a leg is called, or told that it rings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Who we are to whoever asks, where that is no trunk with a login of its own.
    pub credentials: Option<Credentials>,
    /// `Remote-Party-ID` of the INVITE, whoever is called.
    pub remote_party: Option<String>,
    /// `Alert-Info` of provisional responses.
    pub alert_info: Option<CompactString>,
}

impl B2bua {
    /// Says how a leg is to be treated by the next [`Op::Dial`](hookswitch_call::Op::Dial) or by each
    /// [`Op::Ring`](hookswitch_call::Op::Ring), until it ends.
    pub fn set_manner(&mut self, call: CallId, leg: LegId, manner: Manner) {
        self.manners.insert((call, leg), manner);
    }

    /// The user of ours that calls in with this leg and has proved to be it: its address of record.
    #[must_use]
    pub fn offered_by(&self, handle: Handle) -> Option<&str> {
        self.legs.get(self.offered.get(&handle)?)?.user.as_deref()
    }

    pub(crate) fn mannered(&self, name: (CallId, LegId), invite: &mut Invite) {
        let Some(manner) = self.manners.get(&name) else { return };
        if invite.credentials.is_none() {
            invite.credentials.clone_from(&manner.credentials);
        }
        if let Some(value) = &manner.remote_party {
            invite.headers.retain(|header| header.name() != HeaderName::RemotePartyId.as_str());
            invite.headers.push(Header::new(HeaderName::RemotePartyId, value.clone()));
        }
    }

    pub(crate) fn mannered_ring(&self, name: (CallId, LegId), response: &mut Response) {
        let value = self.manners.get(&name).and_then(|manner| manner.alert_info.as_ref());
        response.headers.extend(value.map(|value| Header::new(HeaderName::AlertInfo, value.to_string())));
    }
}

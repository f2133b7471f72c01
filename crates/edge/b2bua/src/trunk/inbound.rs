//! A call comes from a trunk: the number that it asks for is made one of ours.

use compact_str::{CompactString, format_compact};
use hookswitch_call::{Address, Identity};
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::{Header, Response};
use hookswitch_sip_msg::{HeaderName, Message, Uri};

use super::Trunks;
use super::config::Inbound;
use super::dress::number_of;
use super::number::rewrite;
use crate::locate::{escape, host_text};
use crate::route::{destination_for, glob};

/// When a call that a trunk has no room for may come again, in seconds.
const RETRY_AFTER: &str = "5";

impl Trunks {
    /// Whether what the trunk says of its callers is believed.
    pub fn believes(&self, trunk: u8) -> bool {
        self.get(trunk).is_some_and(|state| state.config.trusted)
    }

    /// Who calls whom, in our terms; or why the call is not taken.
    pub fn admit(
        &self,
        trunk: u8,
        request: &Message,
        from: &str,
        to: &str,
    ) -> Result<(Address, Address), Box<Response>> {
        let (from, to) = (Address::from(from), Address::from(to));
        let Some(state) = self.get(trunk) else { return Ok((from, to)) };
        if state.config.max_calls > 0 && state.calls >= state.config.max_calls {
            let later = Header::new(HeaderName::RetryAfter, RETRY_AFTER);
            return Err(Box::new(Response::new(503).with_header(later)));
        }
        let inbound = &state.config.inbound;
        let dialled = match inbound.number_in_to {
            true => request.to().ok().and_then(|to| to.uri_str()).map_or_else(|| to.clone(), Address::from),
            false => to,
        };
        let to = inbound.destination(&dialled).ok_or_else(|| Box::new(Response::new(404)))?;
        Ok((inbound.caller(&from), to))
    }

    /// What is known of the caller besides, in our terms.
    pub fn identify(&self, trunk: u8, trusted: bool, identity: &mut Identity) {
        let Some(state) = self.get(trunk) else { return };
        // Without trust nobody has proved what stands in From.
        let asserted = identity.asserted.take().filter(|_| trusted);
        identity.asserted = asserted.map(|address| state.config.inbound.caller(&address));
    }

    /// The password for requests to this trunk.
    pub fn credentials(&self, trunk: Option<u8>) -> Option<Credentials> {
        self.get(trunk?)?.config.credentials.clone()
    }

    /// A call of this trunk's begins.
    pub fn came_in(&mut self, trunk: u8) {
        if let Some(state) = self.get_mut(trunk) {
            state.calls += 1;
            state.totals.received += 1;
        }
    }
}

impl Inbound {
    /// Where a call for this address goes. `None` if there are routes and it has none of them.
    pub(super) fn destination(&self, dialled: &Address) -> Option<Address> {
        let (number, _) = rewrite(&self.called, &number_of(dialled));
        if !self.routes.is_empty() {
            let (_, to) = self.routes.iter().find(|(pattern, _)| glob(pattern.as_bytes(), number.as_bytes()))?;
            return Some(Address(destination_for(to, Some(&escape(&number)))));
        }
        if let Some(domain) = &self.domain {
            return Some(Address(format_compact!("sip:{}@{domain}", escape(&number))));
        }
        Some(if self.called.is_empty() { dialled.clone() } else { with_number(dialled, &number) })
    }

    pub(super) fn caller(&self, address: &Address) -> Address {
        if self.calling.is_empty() {
            return address.clone();
        }
        with_number(address, &rewrite(&self.calling, &number_of(address)).0)
    }
}

/// The address with another number.
fn with_number(address: &Address, number: &str) -> Address {
    let Ok(uri) = Uri::parse(&address.0) else { return address.clone() };
    let user = escape(number);
    let port = uri.port.map(|port| format_compact!(":{port}")).unwrap_or_default();
    let text: CompactString = if uri.is_sip() {
        format_compact!("{}:{user}@{}{port}{}", uri.scheme_text(), host_text(uri.host), uri.params.as_str())
    } else {
        format_compact!("{}:{user}", uri.scheme_text())
    };
    Address(text)
}

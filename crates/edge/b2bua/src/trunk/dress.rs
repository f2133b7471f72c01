//! What a call looks like to a trunk: whose number it shows, which number it asks for, and in which headers.

use compact_str::{CompactString, format_compact};
use hookswitch_call::{Address, Dial, Target};
use hookswitch_sip::Invite;
use hookswitch_sip_msg::Uri;

use super::number::rewrite;
use super::{Trunk, TrunkHost, headers};
use crate::locate::{TRUSTED_ROUTE, escape, host_text};

impl Trunk {
    /// The call as this host of the trunk gets it.
    pub(super) fn dress(&self, host: &TrunkHost, dial: &Dial) -> Dial {
        let mut dressed = dial.clone();
        let number = number_of(&dial.to);
        let (uri, to) = self.address_of(host, &number);
        let via = self.trusted.then_some(TRUSTED_ROUTE);
        dressed.target = Target { via, address: Address(uri), ..dial.target.clone() };
        dressed.to = Address(to);
        let caller = self.caller(&dial.from);
        let asserted = dial.identity.asserted.as_ref().map(|address| self.caller(address));
        // The number behind a fixed From is told where the trunk is told anything.
        dressed.identity.asserted = asserted.or_else(|| self.from_user.as_ref().map(|_| caller.clone()));
        dressed.from = match &self.from_user {
            Some(user) => with_user(&caller, user),
            None => caller,
        };
        dressed
    }

    /// The Request-URI for a number, and what stands in To.
    pub(super) fn address_of(&self, host: &TrunkHost, number: &str) -> (CompactString, CompactString) {
        let (number, _) = rewrite(&self.called, number);
        let Ok(uri) = Uri::parse(&host.uri) else { return (host.uri.clone(), host.uri.clone()) };
        let user = uri.user.map_or_else(|| escape(&number), CompactString::from);
        let at = if user.is_empty() { "" } else { "@" };
        let (scheme, place) = (uri.scheme_text(), host_text(uri.host));
        let port = uri.port.map(|port| format_compact!(":{port}")).unwrap_or_default();
        let to = format_compact!("{scheme}:{user}{at}{place}");
        (format_compact!("{to}{port}{}", uri.params.as_str()), to)
    }

    /// A caller's address as it is shown to the trunk.
    fn caller(&self, address: &Address) -> Address {
        let Ok(uri) = Uri::parse(&address.0) else { return address.clone() };
        let (number, _) = rewrite(&self.calling, &number_of(address));
        if uri.scheme_text().eq_ignore_ascii_case("tel") {
            return match &self.from_domain {
                Some(domain) => Address(format_compact!("sip:{}@{domain}", escape(&number))),
                None => Address(format_compact!("tel:{}", escape(&number))),
            };
        }
        let domain = match &self.from_domain {
            Some(domain) => domain.clone(),
            None => host_text(uri.host).into(),
        };
        let at = if number.is_empty() { "" } else { "@" };
        Address(format_compact!("sip:{}{at}{domain}", escape(&number)))
    }

    /// What the trunk wants in an INVITE besides.
    pub(super) fn finish(&self, invite: &mut Invite) {
        invite.credentials.clone_from(&self.credentials);
        headers::change(&mut invite.headers, &self.headers);
    }
}

/// The number, or name, in an address.
pub(crate) fn number_of(address: &Address) -> CompactString {
    let uri = Uri::parse(&address.0).ok();
    uri.and_then(|uri| uri.user_unescaped().map(CompactString::from)).unwrap_or_default()
}

fn with_user(address: &Address, user: &str) -> Address {
    let uri = Uri::parse(&address.0).ok();
    let host = uri.filter(Uri::is_sip).map(|uri| host_text(uri.host).into_owned());
    match host {
        Some(host) => Address(format_compact!("sip:{user}@{host}")),
        None => address.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trunk::NumberRule;

    fn dial(from: &str, to: &str) -> Dial {
        Dial::new(Target::new(Address::from("sip:x@y"), None, None), Address::from(from), Address::from(to), None)
    }

    fn dressed(trunk: &Trunk, dial: &Dial) -> (String, String, String) {
        let dressed = trunk.dress(&trunk.hosts[0], dial);
        (dressed.target.address.0.into(), dressed.to.0.into(), dressed.from.0.into())
    }

    #[test]
    fn numbers_are_rewritten_and_the_host_is_the_trunks() {
        let mut trunk = Trunk::new("t", "sip:sbc.carrier.test:5070;transport=tcp");
        let plain = dial("sip:21@pbx.test", "sip:0301234@pbx.test");
        let expected = ("sip:0301234@sbc.carrier.test:5070;transport=tcp", "sip:0301234@sbc.carrier.test");
        assert_eq!(dressed(&trunk, &plain), (expected.0.into(), expected.1.into(), "sip:21@pbx.test".into()));
        trunk.called = vec![NumberRule::new("0*", "+49*").unwrap()];
        trunk.calling = vec![NumberRule::new("2*", "+493055512*").unwrap()];
        trunk.from_domain = Some("carrier.test".into());
        let (uri, to, from) = dressed(&trunk, &plain);
        assert_eq!(uri, "sip:+49301234@sbc.carrier.test:5070;transport=tcp");
        assert_eq!(to, "sip:+49301234@sbc.carrier.test");
        assert_eq!(from, "sip:+4930555121@carrier.test");
        assert_eq!(dressed(&trunk, &dial("tel:21", "tel:0301234")), (uri, to, from));
    }

    #[test]
    fn a_fixed_from_leaves_the_caller_in_what_is_asserted() {
        let trunk = Trunk {
            from_user: Some("account7".into()),
            from_domain: Some("carrier.test".into()),
            ..Trunk::new("t", "sip:h")
        };
        let dressed = trunk.dress(&trunk.hosts[0], &dial("sip:21@pbx.test", "sip:1@pbx.test"));
        assert_eq!(dressed.from, Address::from("sip:account7@carrier.test"));
        assert_eq!(dressed.identity.asserted, Some(Address::from("sip:21@carrier.test")));
    }

    #[test]
    fn a_host_with_a_user_keeps_it_and_odd_numbers_are_escaped() {
        let trunk = Trunk::new("t", "sip:gate@h");
        assert_eq!(dressed(&trunk, &dial("sip:a@b", "sip:1@c")).0, "sip:gate@h");
        let trunk = Trunk::new("t", "sip:h");
        let (uri, ..) = dressed(&trunk, &dial("sip:a@b", "sip:%2331%23%20x@c"));
        assert_eq!(uri, "sip:%2331%23%20x@h");
    }
}

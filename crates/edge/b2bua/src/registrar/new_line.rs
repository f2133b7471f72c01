//! A phone that cannot be called back, such as a browser, has opened another connection in the middle of a call and
//! registered by it, because it has lost the one before. Its calls go on by the new one. Nobody may have told us of the
//! end of the old one: what counts is that no registration leads over it any more.

use std::borrow::Cow;

use hookswitch_call::Time;
use hookswitch_sip::registrar::{Binding, Gruu};
use hookswitch_sip::{Dialog, DialogId, Flow};
use hookswitch_sip_msg::Uri;
use smallvec::SmallVec;

use crate::B2bua;

impl B2bua {
    /// A user has registered over `flow`.
    pub(crate) fn calls_follow(&mut self, now: Time, aor: &str, flow: Flow) {
        if flow.conn.is_none() {
            return;
        }
        let legs = self.users.legs_of(aor, &self.legs);
        let moved: SmallVec<[DialogId; 2]> = legs
            .filter(|dialog| self.endpoint.dialog(*dialog).is_some_and(|dialog| self.follows(now, aor, dialog, flow)))
            .collect();
        for dialog in moved {
            self.endpoint.set_flow(dialog, flow);
        }
    }

    /// Whether a call of this user belongs to the phone that has registered over `flow`, and its own connection does not
    /// lead there any more. What was called in secret does not go on in the open, and proxies have flows of their own.
    fn follows(&self, now: Time, aor: &str, dialog: &Dialog, flow: Flow) -> bool {
        let old = dialog.flow();
        let may = old.conn.is_some() && old != flow && dialog.route_set().is_empty();
        if !may || (old.transport.secure() && !flow.transport.secure()) {
            return false;
        }
        let Some(bindings) = self.bindings_of(now, aor, dialog.remote_target()) else { return false };
        let leads_over = |flow| bindings.iter().any(|binding| binding.flow == Some(flow));
        leads_over(flow) && !leads_over(old)
    }

    /// The bindings of the phone that has given this Contact in a call; `None` when it can be called back there.
    fn bindings_of(&self, now: Time, aor: &str, contact: &str) -> Option<SmallVec<[&Binding; 2]>> {
        let uri = Uri::parse(contact).ok().filter(|uri| uri.host.ip().is_none())?;
        let Some(gr) = uri.param("gr") else {
            // Phones add parameters to the Contact of a call, `ob` for instance.
            let place = (uri.user, uri.host, uri.port);
            let is_same = |contact: &str| Uri::parse(contact).is_ok_and(|uri| (uri.user, uri.host, uri.port) == place);
            return Some(self.registrar.bindings(now, aor).filter(|binding| is_same(&binding.contact)).collect());
        };
        let domain = self.directory.resolve(&uri.host.to_string())?;
        let user = uri.user_unescaped().unwrap_or(Cow::Borrowed(""));
        match self.registrar.by_gruu(now, &user, domain, gr) {
            Gruu::Contacts(found) => Some(found.into_iter().filter(|binding| *binding.aor == *aor).collect()),
            Gruu::Invalid => None,
        }
    }
}

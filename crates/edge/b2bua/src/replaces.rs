//! Which leg of ours a party means that wants to take over somebody's call (RFC 3891).

use hookswitch_call::Replaces as Replaced;
use hookswitch_sip::{DialogId, DialogState, Role};
use hookswitch_sip_msg::{HeaderName, Message, NameAddr, Replaces};

use crate::B2bua;

impl B2bua {
    /// The dialog that a Replaces header names, as long as it is a leg of some call.
    pub(crate) fn find_leg(&self, replaces: &Replaces<'_>) -> Option<DialogId> {
        let find = |ours, theirs| self.endpoint.find_dialog(replaces.call_id, ours, theirs);
        // Phones that have a dialog from the package `dialog` name its tags as the watched phone has them.
        let dialog = find(replaces.to_tag, replaces.from_tag).or_else(|| find(replaces.from_tag, replaces.to_tag))?;
        let name = self.name_of(dialog)?;
        // Until the core adopts it, an incoming leg has no name of its own.
        (self.dialogs.get(&name) == Some(&dialog)).then_some(dialog)
    }

    /// The leg that a new call is to take over, by the rules of RFC 3891 section 3; else the status to refuse it with.
    pub(crate) fn replaced_by(&self, request: &Message, trusted: bool) -> Result<Option<Replaced>, u16> {
        let replaces = request.replaces().map_err(|_| 400_u16)?;
        let Some(replaces) = replaces else {
            // Join is not understood here: whoever requires it is told so by the endpoint, and for others it means
            // nothing (RFC 3911 section 4).
            return Ok(None);
        };
        if request.header(HeaderName::Join).is_some() {
            return Err(400);
        }
        let id = self.find_leg(&replaces).ok_or(481_u16)?;
        let dialog = self.endpoint.dialog(id).ok_or(481_u16)?;
        if !trusted && !self.may_replace(request, [dialog.local(), dialog.remote()]) {
            return Err(403);
        }
        match (dialog.state(), dialog.role()) {
            (DialogState::Ending, _) => return Err(603),
            // What we have not answered ourselves yet cannot be taken over.
            (DialogState::Early, Role::Callee) => return Err(481),
            (DialogState::Confirmed, _) if replaces.early_only => return Err(486),
            (DialogState::Early, Role::Caller) | (DialogState::Confirmed, _) => {}
        }
        let record = self.legs.get(&id).ok_or(481_u16)?;
        if record.ending {
            return Err(603);
        }
        Ok(Some(Replaced { call: record.call, leg: record.leg, early_only: replaces.early_only }))
    }

    /// Whoever knows the tags of a dialog has been told them by one of its parties; it must also be of the same domain
    /// as one of them. The caller has proved to be who it says.
    fn may_replace(&self, request: &Message, parties: [&[u8]; 2]) -> bool {
        let ours = |address: Option<NameAddr<'_>>| {
            let uri = address?.uri().ok()?;
            self.directory.resolve(&uri.host.to_string())
        };
        let Some(domain) = ours(request.from().ok()) else { return false };
        parties.iter().any(|party| ours(NameAddr::parse(party).ok()) == Some(domain))
    }
}

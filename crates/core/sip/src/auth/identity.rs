//! Who a request comes from, once a password has proved it.

use hookswitch_sip_msg::{Host, Message, Method, NameAddr};

/// A user who proved to know the password.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The user's name in the realm.
    pub user: String,
    /// The realm, which is the user's domain.
    pub realm: String,
}

/// Whether `identity` may send `request` under the names it carries: From must be the user's own address of record, and
/// so must To in a REGISTER, where it names the address whose bindings are changed (RFC 3261 section 10.3, step 4).
///
/// User names are compared with their escapes resolved, domains without case. A port or parameters do not matter.
pub fn identity_allows(identity: &Identity, request: &Message) -> bool {
    let own = |address: Result<NameAddr<'_>, _>| address.is_ok_and(|address| speaks_for(identity, &address));
    own(request.from()) && (request.method() != Some(&Method::Register) || own(request.to()))
}

fn speaks_for(identity: &Identity, address: &NameAddr<'_>) -> bool {
    let Ok(uri) = address.uri() else { return false };
    let same_user = uri.user_unescaped().is_some_and(|user| user == identity.user);
    let same_domain = Host::parse(&identity.realm).is_some_and(|realm| realm.equivalent(&uri.host));
    uri.is_sip() && same_user && same_domain
}

//! OPTIONS to every binding in turn; the registrar says to which, when, and draws the conclusions.

use ahash::AHashMap;
use compact_str::format_compact;
use hookswitch_call::Time;
use hookswitch_sip::registrar::{Ping, Pong};
use hookswitch_sip::resolve::Resolution;
use hookswitch_sip::{FailCause, Flow, RequestId, RequestOut};
use hookswitch_sip_msg::{Method, NameAddr, Uri};

use crate::B2bua;
use crate::outbound::name_addr;

/// Pings without an end, at most [`max_pings`](hookswitch_sip::registrar::RegistrarConfig::max_pings).
#[derive(Default)]
pub(crate) struct Pings {
    asked: AHashMap<RequestId, Asked>,
}

/// The key of the binding, when it was asked, and whether a proxy stands between us.
struct Asked {
    key: u64,
    sent_at: Time,
    through_proxy: bool,
}

impl B2bua {
    /// Sends the pings that are due.
    pub(crate) fn send_pings(&mut self, now: Time) {
        while let Some(ping) = self.registrar.poll_ping(now) {
            let (key, sent_at) = (ping.key, ping.sent_at);
            if let Err(pong) = self.ping(now, ping) {
                self.registrar.pinged(now, key, sent_at, pong);
            }
        }
    }

    fn ping(&mut self, now: Time, ping: Ping) -> Result<(), Pong> {
        let flow = match (ping.flow, ping.path.first()) {
            (Some(flow), _) => flow,
            // Where the proxy is by its name, the next REGISTER or call will tell.
            (None, Some(hop)) => {
                let uri = NameAddr::parse(hop.as_bytes()).ok().and_then(|hop| hop.uri_str());
                uri.and_then(|uri| self.flow_to_number(now, uri)).ok_or(Pong::NotSent)?
            }
            (None, None) if ping.keeps_flow => return Err(Pong::FlowLost),
            (None, None) => self.flow_to_number(now, &ping.contact).ok_or(Pong::FlowLost)?,
        };
        let domain = ping.aor.rsplit_once('@').map_or(&*ping.aor, |(_, domain)| domain);
        let from = name_addr(None, &format_compact!("sip:{domain}"));
        let mut request = RequestOut::new(Method::Options, &ping.contact, from, name_addr(None, &ping.contact), flow);
        let through_proxy = !ping.path.is_empty();
        request.routes = ping.path.into_vec();
        let id = self.endpoint.request(now, request).map_err(|_| Pong::NotSent)?;
        self.pings.asked.insert(id, Asked { key: ping.key, sent_at: ping.sent_at, through_proxy });
        Ok(())
    }

    /// The flow to a URI whose host is a number; nobody looks up names for a ping.
    fn flow_to_number(&mut self, now: Time, uri: &str) -> Option<Flow> {
        let uri = Uri::parse(uri).ok()?;
        uri.host.ip()?;
        let hops = match self.names.resolver.resolve(now, &uri).ok()? {
            Resolution::Ready(hops) => hops,
            Resolution::Waits(_) => return None,
        };
        self.flow_of(*hops.first()?)
    }

    /// The end of a ping, if the request was one.
    pub(crate) fn ping_answered(&mut self, now: Time, id: RequestId, status: u16, why: FailCause) -> bool {
        let Some(Asked { key, sent_at, through_proxy }) = self.pings.asked.remove(&id) else { return false };
        let pong = match why {
            FailCause::Response if status == 430 => Pong::FlowLost,
            // A proxy says so where the phone says nothing.
            FailCause::Response if through_proxy && matches!(status, 404 | 408 | 410 | 480 | 502..=504) => {
                Pong::Silence
            }
            FailCause::Response => Pong::Answered,
            FailCause::Timeout => Pong::Silence,
            FailCause::Unreachable => Pong::FlowLost,
            FailCause::Cancelled => Pong::NotSent,
        };
        self.registrar.pinged(now, key, sent_at, pong);
        true
    }
}

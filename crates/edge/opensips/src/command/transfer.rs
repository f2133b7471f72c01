//! One party of a call is connected with somebody else (blind transfer), or with a party of another call (attended
//! transfer). When that has come about, the call it was in is ended.

use compact_str::CompactString;
use hookswitch_call::{Address, Event, Party, Time};
use serde::{Deserialize, Serialize};

use super::referral::{Referral, Turn};
use super::{Cx, News, Step};

/// A transfer, blind or attended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Transfer {
    party: Party,
    /// Whom the party is to call, as commanded.
    to: Option<CompactString>,
    referral: Referral,
}

impl Transfer {
    /// Connects an end of a call with somebody else.
    pub(crate) fn blind(callid: CompactString, party: Party, to: CompactString) -> Self {
        Self { party, to: Some(to.clone()), referral: Referral::new(callid, party, Some(to), None) }
    }

    /// Connects an end of a call with an end of another.
    pub(crate) fn attended(
        callid: CompactString,
        party: Party,
        other: (CompactString, Party),
        to: Option<CompactString>,
    ) -> Self {
        Self { party, to: to.clone(), referral: Referral::new(callid, party, to, Some(other)) }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.referral.deadline()
    }

    pub(crate) fn transfers(&self, callid: &str) -> bool {
        self.referral.call() == callid
    }

    pub(crate) fn joins(&self, callid: &str) -> bool {
        self.referral.other_call().is_some_and(|other| other == callid)
    }

    pub(crate) const fn new_call(&self) -> Option<&CompactString> {
        self.referral.new_call()
    }

    pub(crate) fn hear(&mut self, cx: &mut Cx<'_>, news: News<'_>) {
        match news {
            News::Begin => {
                cx.steps.extend(self.referral.other_call().cloned().map(Step::Follow));
                return self.referral.begin(cx);
            }
            News::Abandon(failure) => return cx.fail(failure.clone()),
            _ => {}
        }
        for turn in self.referral.hear(cx, news) {
            match turn {
                Turn::Accepted => {
                    cx.tell(Event::Transferring { party: self.party, to: self.to.clone().map(Address) });
                }
                Turn::Started { wire_id, to } => {
                    cx.steps.push(Step::Follow(wire_id.clone()));
                    cx.tell(Event::TransferStarted { wire_id, to: to.map(Address) });
                }
                Turn::Progress { status, text } => cx.tell(Event::TransferProgress { status, text }),
                Turn::Done => {
                    // Some phones leave the old call by themselves, others wait to be told.
                    cx.close(self.referral.call(), false);
                    cx.tell(Event::Transferred);
                    cx.finish(Ok(()));
                    return;
                }
                Turn::Failed(failure) => {
                    cx.fail(failure);
                    return;
                }
            }
        }
    }
}

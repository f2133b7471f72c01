//! `Subscribe`: tells of every call of the switch until `Unsubscribe`; with `after`, by the log of events, from where a client
//! was when it lost its connection; with `call`, `domain` and `type`, by the log as well, of some.

use std::time::Duration;

use compact_str::{CompactString, format_compact};
use hookswitch_call::{
    Address, Cause, Diverting, Event, Fault, LegId, OrderNews, Party, PlayNews, Room, RoomNews, Told,
};

use super::command::{CommandRow, Modes};
use super::event_name::EventName;
use super::follow_log::LogLost;
use super::notice::{Data, Member, Notice, Reason, Stage, party_name, status};
use super::params::{Kind, Param, Params};
use super::task::Begun;
use crate::journal::{Filter, event_id};

pub(super) const ROW: CommandRow = CommandRow {
    name: "Subscribe",
    about: "tells of every call until Unsubscribe",
    modes: Modes::Strict,
    params: &[],
    optional: &[
        Param { name: "after", kind: Kind::EventId, about: "tells as the log does, what comes after this event" },
        Param { name: "call", kind: Kind::Calls, about: "tells as the log does, only of these calls" },
        Param { name: "domain", kind: Kind::Domains, about: "tells as the log does, only what concerns these domains" },
        Param { name: "type", kind: Kind::Types, about: "tells as the log does, only events of these types" },
    ],
    open: false,
    events: &[
        EventName::CallIncoming,
        EventName::CallStarted,
        EventName::CallNoticed,
        EventName::CallConnecting,
        EventName::CallDialing,
        EventName::CallProgress,
        EventName::CallAnswered,
        EventName::CallBridged,
        EventName::CallHoldAccepted,
        EventName::CallHoldAsked,
        EventName::CallHeld,
        EventName::CallUnholdAccepted,
        EventName::CallUnholdAsked,
        EventName::CallUnheld,
        EventName::CallTransferAsked,
        EventName::CallTransferStarted,
        EventName::CallTransferProgress,
        EventName::CallTransferred,
        EventName::CallTransferFailed,
        EventName::CallHeldBy,
        EventName::CallUnheldBy,
        EventName::CallDiverted,
        EventName::CallReplaced,
        EventName::CallRoomEntered,
        EventName::CallRoomLeft,
        EventName::CallRoomRefused,
        EventName::CallSpeechBegun,
        EventName::CallSpeechEnded,
        EventName::CallKeyPressed,
        EventName::CallKeysCollected,
        EventName::CallPlayStarted,
        EventName::CallPlayMissing,
        EventName::CallPlayEnded,
        EventName::CallRecordingStarted,
        EventName::CallLegEnded,
        EventName::CallEnded,
        EventName::Logged,
    ],
    frees: false,
    begin,
};

fn begin(params: Params, _cmd_id: &str) -> Begun {
    let (after, filter) = (params.value("after"), params.filter(&ROW));
    if after.is_none() && filter.is_none() {
        return Begun::Follow;
    }
    let after = after.and_then(|after| event_id("after", after).ok());
    Begun::FollowLog { after, filter: filter.unwrap_or_else(Filter::of_calls) }
}

/// The session has one that follows the log already.
pub(super) fn follows_already() -> Notice {
    let text = "this connection follows the log of events already";
    Notice::error(format_args!("409 {text}"), Reason::new(Stage::Request, 409, Fault::Controller, text))
}

/// What comes after that event cannot be told.
pub(super) fn lost(lost: LogLost) -> Notice {
    let LogLost { oldest } = lost;
    let (code, fault, text) = match oldest {
        Some(_) => (410, Fault::Controller, "the event is not in the log any more, or never was"),
        None => (501, Fault::Server, "events are not kept here"),
    };
    let mut reason = Reason::new(Stage::Request, code, fault, text);
    reason.param = Some("after".into());
    reason.oldest = oldest.map(|oldest| Box::new(format_compact!("{}", oldest.0)));
    Notice::error(format_args!("{code} {text}"), reason)
}

/// What a subscriber reads of an event. `call` and `seq` name the event, `at` is in milliseconds
/// since the epoch.
pub(super) fn notice(told: &Told) -> Notice {
    let (event, mut members) = members(&told.event);
    let at = u64::try_from(told.at.as_millis()).unwrap_or(u64::MAX);
    members.push(("at", Member::Number(at)));
    members.push(("call", text(&told.call)));
    members.push(("seq", Member::Number(told.seq.into())));
    Notice::with(event, Data::members(members))
}

fn parties(callee: &Address, caller: &Address) -> Members {
    vec![("callee", address(callee)), ("caller", address(caller))]
}

type Members = Vec<(&'static str, Member)>;

fn members(event: &Event) -> (EventName, Members) {
    match event {
        Event::Incoming { from, to } => (EventName::CallIncoming, vec![("from", address(from)), ("to", address(to))]),
        Event::Started { caller, callee } => (EventName::CallStarted, parties(callee, caller)),
        Event::Connecting { to } => (EventName::CallConnecting, vec![("to", address(to))]),
        Event::Dialing { leg, party, wire_id, to } => {
            let mut members = vec![("callid", Member::Text(wire_id.clone())), ("to", address(to))];
            members.extend(which(*leg, *party));
            (EventName::CallDialing, members)
        }
        Event::Progress { leg, party, status: code, text } => {
            let mut members = vec![("extra", Member::Text(status(*code, text)))];
            members.extend(which(*leg, *party));
            (EventName::CallProgress, members)
        }
        Event::Answered { leg, party } => (EventName::CallAnswered, which(*leg, *party).into()),
        Event::Bridged => (EventName::CallBridged, Vec::new()),
        Event::Noticed { wire_id } => (EventName::CallNoticed, vec![("callid", Member::Text(wire_id.clone()))]),
        Event::HoldAccepted { hold } => (hold_name(*hold, ACCEPTED), Vec::new()),
        Event::HoldAsked { party, hold } => (hold_name(*hold, ASKED), vec![("party", end(*party))]),
        Event::Held { party, hold } => (hold_name(*hold, HELD), vec![("party", end(*party))]),
        Event::HeldBy { party, hold } => {
            let event = if *hold { EventName::CallHeldBy } else { EventName::CallUnheldBy };
            (event, vec![("party", end(*party))])
        }
        Event::Diverted { from, to, why } => {
            let why = match why {
                Diverting::Always => "always",
                Diverting::Busy => "busy",
                Diverting::NoAnswer => "no_answer",
                Diverting::Unreachable => "unreachable",
            };
            let members = vec![("from", address(from)), ("to", address(to)), ("why", Member::Text(why.into()))];
            (EventName::CallDiverted, members)
        }
        Event::Replaced { leg, party, by } => {
            let mut members = vec![("by", address(by))];
            members.extend(which(*leg, *party));
            (EventName::CallReplaced, members)
        }
        Event::TransferFailed { cause } => (EventName::CallTransferFailed, vec![("cause", reason(cause))]),
        Event::Transferring { party, to } => {
            let mut members = vec![("party", end(*party))];
            members.extend(to.as_ref().map(|to| ("to", address(to))));
            (EventName::CallTransferAsked, members)
        }
        Event::TransferStarted { wire_id, to } => {
            let mut members = vec![("callid", Member::Text(wire_id.clone()))];
            members.extend(to.as_ref().map(|to| ("to", address(to))));
            (EventName::CallTransferStarted, members)
        }
        Event::TransferProgress { status: code, text } => {
            (EventName::CallTransferProgress, vec![("extra", Member::Text(status(*code, text)))])
        }
        Event::Transferred => (EventName::CallTransferred, Vec::new()),
        Event::InRoom { party, room, news } => in_room(*party, room, news),
        Event::Audio { party, news } => in_audio(*party, news),
        Event::LegEnded { leg, party, cause } => {
            let mut members = vec![("cause", reason(cause))];
            members.extend(which(*leg, *party));
            (EventName::CallLegEnded, members)
        }
        Event::Ended { cause, talked } => {
            let members = vec![("cause", reason(cause)), ("talked", millis(*talked))];
            (EventName::CallEnded, members)
        }
    }
}

/// What happens to a party in a room.
fn in_room(party: Party, room: &Room, news: &RoomNews) -> (EventName, Members) {
    let mut members = vec![("party", end(party)), ("room", text(room))];
    let event = match news {
        RoomNews::Joined(count) => {
            members.push(("members", Member::Number((*count).into())));
            EventName::CallRoomEntered
        }
        RoomNews::Left => EventName::CallRoomLeft,
        RoomNews::Speaks(true) => EventName::CallSpeechBegun,
        RoomNews::Speaks(false) => EventName::CallSpeechEnded,
        RoomNews::Refused(cause) => {
            members.push(("cause", reason(cause)));
            EventName::CallRoomRefused
        }
    };
    (event, members)
}

/// What happens in the audio of a party.
fn in_audio(party: Party, news: &OrderNews) -> (EventName, Members) {
    let mut members = vec![("party", end(party))];
    let event = match news {
        OrderNews::Key(digit) => {
            members.push(("key", text(&digit.key)));
            members.push(("ms", millis(digit.time)));
            EventName::CallKeyPressed
        }
        OrderNews::Collected { keys, complete } => {
            members.push(("keys", text(keys)));
            let why = if *complete { "complete" } else { "timeout" };
            members.push(("reason", Member::Text(why.into())));
            EventName::CallKeysCollected
        }
        OrderNews::Play { news, position } => {
            members.push(("position", millis(*position)));
            match news {
                PlayNews::Started => EventName::CallPlayStarted,
                PlayNews::Missing { sound, why } => {
                    members.extend([("sound", text(sound)), ("cause", text(why))]);
                    EventName::CallPlayMissing
                }
                PlayNews::Ended(end) => {
                    members.push(("reason", Member::Text(end.name().into())));
                    EventName::CallPlayEnded
                }
            }
        }
        OrderNews::Recording(recording) => {
            members.push(("recording", Member::Number(recording.0.into())));
            EventName::CallRecordingStarted
        }
    };
    (event, members)
}

fn millis(time: Duration) -> Member {
    Member::Number(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// The names of one step, for hold and for unhold.
type Step = [EventName; 2];
const ACCEPTED: Step = [EventName::CallHoldAccepted, EventName::CallUnholdAccepted];
const ASKED: Step = [EventName::CallHoldAsked, EventName::CallUnholdAsked];
const HELD: Step = [EventName::CallHeld, EventName::CallUnheld];

fn hold_name(hold: bool, [on, off]: Step) -> EventName {
    if hold { on } else { off }
}

fn which(leg: LegId, party: Party) -> [(&'static str, Member); 2] {
    [("leg", Member::Number(leg.0.into())), ("party", end(party))]
}

fn end(party: Party) -> Member {
    Member::Text(CompactString::const_new(party_name(party)))
}

fn address(address: &Address) -> Member {
    Member::Text(address.0.clone())
}

fn reason(cause: &Cause) -> Member {
    Member::Text(status(cause.code, &cause.text))
}

fn text(value: &impl std::fmt::Display) -> Member {
    Member::Text(format_compact!("{value}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_event_as_a_subscriber_reads_it() {
        let told = Told {
            at: Duration::from_millis(5),
            seq: 3,
            call: hookswitch_call::CallId(255),
            owner: None,
            event: Event::Ended { cause: Cause::hangup(), talked: Duration::from_secs(2) },
        };
        let notice = notice(&told);
        assert_eq!(notice.event, EventName::CallEnded);
        assert_eq!(
            serde_json::to_string(&notice.data).unwrap(),
            r#"{"at":5,"call":"0000000000ff","cause":"200 OK","seq":3,"talked":2000}"#
        );
    }
}

//! A party in a room, where it hears all who are there (a conference; RFC 4353 calls us its focus).
//!
//! ```text
//!   located: a room ──▶ Join ──▶ Joined: described and answered, or joined at once if it was we who called
//!                           └──▶ Refused: the call ends before it is answered
//! ```

use crate::machine::{Call, LegState, Purpose, Scene, State};
use crate::words::{Event, LegId, MediaOp, Op, Part, Party, Room, RoomNews, Service};

impl Call {
    /// A service is the other end of the call.
    pub(super) fn connect_service(&mut self, scene: &mut Scene<'_>, service: Service) {
        self.hunt_over();
        self.anchored = true;
        let room = service.room().cloned();
        self.open_media_in(scene, room.clone());
        let id = self.add_leg(Party::Callee, LegState::Up);
        if let Some(leg) = self.leg_mut(id) {
            leg.service = Some(Box::new(service));
        }
        match room {
            None => self.answer_for_service(scene, id),
            Some(room) => {
                self.state = State::AwaitDescription;
                self.wait(scene, scene.limits.setup_time);
                self.enter(scene, Party::Caller, room);
            }
        }
    }

    /// The caller is told that its call is taken, or hears so if it is on the line already.
    fn answer_for_service(&mut self, scene: &mut Scene<'_>, id: LegId) {
        let Some(caller) = self.caller_leg() else {
            return;
        };
        if self.third_party {
            self.join(scene, id);
        } else {
            self.state = State::AwaitDescription;
            self.wait(scene, scene.limits.setup_time);
            self.describe_caller(scene, caller, Purpose::Answer);
        }
    }

    /// An end goes into a room.
    pub(super) fn enter(&mut self, scene: &mut Scene<'_>, party: Party, room: Room) {
        let call = self.id;
        self.tell_focus(scene, party, true);
        self.media(scene, MediaOp::Join { call, party, room, part: Part::default() });
    }

    /// A service is not the other end of the call any more.
    pub(super) fn leave(&mut self, scene: &mut Scene<'_>, id: LegId) {
        let Some(leg) = self.leg(id) else { return };
        let (call, party) = (self.id, leg.party.other());
        if let Some(room) = leg.service.as_deref().and_then(Service::room).cloned() {
            let entered = leg.entered;
            if self.room_of(party).is_none() {
                self.tell_focus(scene, party, false);
            }
            self.media(scene, MediaOp::Leave { call, party, room: room.clone() });
            if entered {
                self.event(scene, Event::InRoom { party, room, news: RoomNews::Left });
            }
        }
    }

    fn tell_focus(&self, scene: &mut Scene<'_>, party: Party, on: bool) {
        let leg = self.end_of(party).or_else(|| self.caller_leg().filter(|_| party == Party::Caller));
        if let Some(leg) = leg.filter(|leg| self.leg(*leg).is_some_and(|leg| leg.is_carried())) {
            scene.out.op(Op::Focus { call: self.id, leg, on });
        }
    }

    /// The room that an end is in, since that is what the other end is.
    pub(super) fn room_of(&self, party: Party) -> Option<Room> {
        self.service(party.other())?.room().cloned()
    }

    /// The media engine tells how a party fares in its room.
    pub(crate) fn room_told(&mut self, scene: &mut Scene<'_>, party: Party, room: Room, news: RoomNews) {
        if self.state == State::AwaitEnds {
            return;
        }
        let Some(service) = self.end_of(party.other()).filter(|_| self.room_of(party).as_ref() == Some(&room)) else {
            return;
        };
        match &news {
            RoomNews::Joined(_) => {
                if let Some(leg) = self.leg_mut(service) {
                    leg.entered = true;
                }
                self.event(scene, Event::InRoom { party, room, news });
                if self.state == State::AwaitDescription {
                    self.answer_for_service(scene, service);
                }
            }
            RoomNews::Speaks(_) => self.event(scene, Event::InRoom { party, room, news }),
            RoomNews::Refused(cause) => {
                let cause = cause.clone();
                self.event(scene, Event::InRoom { party, room, news });
                self.end(scene, cause);
            }
            // It was told when we let it go.
            RoomNews::Left => {}
        }
    }
}

impl Service {
    /// The room in which whoever calls it is.
    #[must_use]
    pub const fn room(&self) -> Option<&Room> {
        match self {
            Self::Conference(room) => Some(room),
            Self::Echo | Self::Tone | Self::Attendant(_) | Self::Flow(_) => None,
        }
    }
}

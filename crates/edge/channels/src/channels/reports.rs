//! What the media engine tells of channels as the seeds have them.

use hookswitch_call::{
    CallAudio, CallId, Cause, Digit, Kind, MediaOp, PlayId, PlayNews, RecordNews, RecordingId, RoomNews,
};

use crate::channel::{Asked, State, What};
use crate::channels::{Channels, PARTY};
use crate::json::Failure;
use crate::news;

impl Channels {
    pub(super) fn opened(&mut self, call: CallId, local: std::net::SocketAddr) {
        let Some((request, remote)) = self.opening.remove(&call) else { return };
        if let Some(channel) = self.channels.get_mut(&call) {
            channel.state = State::Open { local, targeted: false };
        }
        match remote {
            Some(remote) => {
                self.aim(call, &remote);
                self.ask(request, call, What::Opened(Ok(())));
            }
            None => self.answer(request, Ok(self.document(call))),
        }
    }

    pub(super) fn refused(&mut self, call: CallId, cause: &Cause) {
        if let Some((request, _)) = self.opening.remove(&call) {
            let out = cause.kind == Kind::Overloaded;
            let text = if out { "Currently out of channels" } else { cause.text.as_str() };
            self.answer(request, Err(Failure::new(if out { 503 } else { 500 }, "channel", text)));
            return self.forget(call);
        }
        let asked = self.channels.get_mut(&call).map(|channel| channel.asked.iter_mut());
        let waiting = asked.into_iter().flatten().find_map(|asked| match &mut asked.what {
            What::Target(result) | What::Opened(result) if result.is_ok() => Some(result),
            What::Target(_) | What::Opened(_) | What::Look => None,
        });
        if let Some(result) = waiting {
            *result = Err(Failure::value("audio", format!("none of it can be used: {}", cause.text)));
        }
    }

    pub(super) fn looked(&mut self, call: CallId, audio: Option<&CallAudio>) {
        let Some(channel) = self.channels.get_mut(&call) else { return };
        let Some(Asked { request, what }) = channel.asked.pop_front() else { return };
        let result = match what {
            What::Look => {
                let stats = audio.map(|audio| news::stats(&audio.caller));
                let mut document = self.document(call);
                document["stats"] = stats.into();
                Ok(document)
            }
            What::Target(Ok(())) | What::Opened(Ok(())) => {
                self.targeted(call);
                Ok(self.document(call))
            }
            What::Target(Err(failure)) => Err(failure),
            What::Opened(Err(failure)) => {
                self.close(call, "requested");
                Err(failure)
            }
        };
        self.answer(request, result);
    }

    fn targeted(&mut self, call: CallId) {
        let Some(channel) = self.channels.get_mut(&call) else { return };
        if let State::Open { targeted, .. } = &mut channel.state {
            *targeted = true;
            let opened = channel.opened;
            self.targeted_since(opened, call);
        }
    }

    pub(super) fn in_room(&mut self, call: CallId, told: &RoomNews) {
        if let (RoomNews::Refused(_), Some(channel)) = (told, self.channels.get_mut(&call)) {
            channel.room = None;
            self.hear(call);
        }
        if let Some(news) = news::mix(told) {
            self.tell(call, news);
        }
    }

    /// A party has pressed a key. Where two are mixed it goes on to the other one; among more it is the controller's alone,
    /// so that nobody's mute key sounds in the menus of others.
    pub(super) fn pressed(&mut self, call: CallId, digit: Digit) {
        self.tell(call, news::key(digit.key));
        let Some(room) = self.channels.get(&call).and_then(|channel| channel.room.as_ref()) else { return };
        let together = self.channels.values().filter(|other| other.call != call && other.room.as_ref() == Some(room));
        let mut others = together.map(|other| other.call);
        let (Some(other), None) = (others.next(), others.next()) else { return };
        self.media(MediaOp::Digit { call: other, party: PARTY, digit });
    }

    pub(super) fn played(&mut self, call: CallId, play: PlayId, told: &PlayNews) {
        if let (PlayNews::Ended(_), Some(channel)) = (told, self.channels.get_mut(&call))
            && channel.playing == Some(play)
        {
            channel.playing = None;
        }
        self.tell(call, news::play(told));
    }

    pub(super) fn recorded(&mut self, call: CallId, recording: RecordingId, told: &RecordNews) {
        let Some(channel) = self.channels.get_mut(&call) else { return };
        let Some(file) = channel.recordings.iter().find(|(_, id)| **id == recording).map(|(file, _)| file.clone())
        else {
            return;
        };
        if matches!(told, RecordNews::Finished(_)) {
            channel.recordings.remove(&file);
        }
        self.tell(call, news::record(&file, told));
        self.forget_ended(call);
    }

    pub(super) fn ended(&mut self, call: CallId, audio: Option<&CallAudio>) {
        let Some(State::AwaitEnd { reason, silent }) = self.channels.get_mut(&call).map(|channel| &mut channel.state)
        else {
            return;
        };
        let reason = reason.clone();
        if !std::mem::replace(silent, true) {
            self.tell(call, news::close(&reason, audio));
        }
        self.forget_ended(call);
    }

    /// A channel is there until its last recording is complete.
    pub(super) fn forget_ended(&mut self, call: CallId) {
        let channel = self.channels.get(&call);
        let over = channel.is_some_and(|channel| {
            channel.recordings.is_empty() && matches!(channel.state, State::AwaitEnd { silent: true, .. })
        });
        if over {
            self.forget(call);
        }
    }

    pub(super) fn forget(&mut self, call: CallId) {
        let Some(mut channel) = self.channels.remove(&call) else { return };
        self.by_uuid.remove(&channel.uuid);
        self.untargeted.remove(&(channel.opened + self.config.untargeted_time, call));
        if channel.state == State::AwaitPort {
            self.media(MediaOp::Close { call });
        }
        for Asked { request, .. } in std::mem::take(&mut channel.asked) {
            self.answer(request, Err(Failure::new(404, "path", "Not found")));
        }
    }
}

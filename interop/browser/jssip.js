// JsSIP as a phone with one line.

import JsSIP from "jssip";
import { listen, microphone, offer, say } from "./phone.js";

let agent, session, own;

function media() {
  return { mediaStream: microphone(own.hertz), pcConfig: { iceServers: [] } };
}

function hold(to) {
  session = to;
  session.on("peerconnection", ({ peerconnection }) => listen(peerconnection));
  if (session.connection) listen(session.connection);
  session.on("progress", ({ originator }) => originator === "remote" && say("rings there"));
  session.on("confirmed", () => say("talks"));
  session.on("hold", ({ originator }) => say(originator === "remote" ? "is held" : "holds"));
  session.on("unhold", ({ originator }) => say(originator === "remote" ? "is resumed" : "resumes"));
  session.on("newDTMF", ({ originator, dtmf }) => originator === "remote" && say(`key ${dtmf.tone}`));
  session.on("refer", ({ accept }) => accept(null, media()));
  session.on("ended", ({ originator, cause }) => say(`over ${originator} ${cause}`));
  session.on("failed", ({ message, cause }) => say(`failed ${message?.status_code ?? cause}`));
}

offer({
  start(options) {
    own = options;
    const socket = new JsSIP.WebSocketInterface(own.server);
    agent = new JsSIP.UA({
      sockets: [socket], uri: own.uri, password: own.secret, register_expires: own.expires,
      connection_recovery_min_interval: 1, connection_recovery_max_interval: 1,
    });
    agent.on("connected", () => say("connected"));
    agent.on("disconnected", () => say("disconnected"));
    agent.on("registered", () => say("registered"));
    agent.on("unregistered", () => say("unregistered"));
    agent.on("registrationFailed", ({ response, cause }) => say(`not registered ${response?.status_code ?? cause}`));
    agent.on("newRTCSession", (call) => {
      hold(call.session);
      if (call.originator === "remote") say("rings");
    });
    agent.on("newMessage", ({ originator, request }) => originator === "remote" && say(`text ${request.body}`));
    agent.start();
  },
  leave: () => agent.unregister(),
  call: (uri) => void agent.call(uri, media()),
  answer: () => session.answer(media()),
  refuse: () => session.terminate({ status_code: 486 }),
  hangUp: () => session.terminate(),
  hold: () => session.hold(),
  resume: () => session.unhold(),
  press: (key) => session.sendDTMF(key, { transportType: "INFO" }),
  transfer: (uri) => session.refer(uri, { eventHandlers: { accepted: () => say("transferred"), failed: () => say("not transferred") } }),
  text: (uri, body) => void agent.sendMessage(uri, body, {
    eventHandlers: { succeeded: () => say("text sent"), failed: ({ cause }) => say(`text failed ${cause}`) },
  }),
  watch(uri) {
    const watch = agent.subscribe(uri, "message-summary", "application/simple-message-summary", { expires: 600 });
    watch.on("notify", (last, request, body) => say(`news ${body?.trim()}`));
    watch.on("terminated", (code, reason) => say(`watch over ${code} ${reason}`));
    watch.subscribe();
  },
});

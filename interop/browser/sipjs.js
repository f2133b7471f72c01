// SIP.js as a phone with one line.

import { Inviter, Messager, Registerer, RegistererState, SessionState, Subscriber, UserAgent, Web } from "sip.js";
import { HELD, listen, microphone, offer, say } from "./phone.js";

let agent, registerer, session, own, watch;

const audio = { sessionDescriptionHandlerOptions: { constraints: { audio: true, video: false } } };

function hold(to) {
  session = to;
  session.delegate = {
    onInfo(info) {
      info.accept();
      say(`key ${/Signal=\s*(\S+)/.exec(info.request.body)[1]}`);
    },
    onInvite: (request) => say(HELD.test(request.body) ? "is held" : "is resumed"),
    onSessionDescriptionHandler: (handler) => listen(handler.peerConnection),
    onNotify: (notification) => notification.accept(),
    async onRefer(referral) {
      await referral.accept();
      hold(referral.makeInviter(audio));
      session.invite();
    },
  };
  session.stateChange.addListener((state) => {
    if (state === SessionState.Established) say("talks");
    if (state === SessionState.Terminated) say("over");
  });
}

function refreshed(held) {
  session.sessionDescriptionHandlerOptionsReInvite = { ...audio.sessionDescriptionHandlerOptions, hold: held };
  return session.invite({
    requestDelegate: {
      onAccept: () => say(held ? "holds" : "resumes"),
      onReject: ({ message }) => say(`${held ? "hold" : "resume"} refused ${message.statusCode}`),
    },
  });
}

function address(text) {
  return UserAgent.makeURI(text);
}

offer({
  async start(options) {
    own = options;
    agent = new UserAgent({
      uri: address(own.uri), authorizationUsername: own.user, authorizationPassword: own.secret,
      transportOptions: { server: own.server }, reconnectionAttempts: 30, reconnectionDelay: 1, logBuiltinEnabled: false,
      sessionDescriptionHandlerFactory: Web.defaultSessionDescriptionHandlerFactory(async () => microphone(own.hertz)),
      sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: { iceServers: [] } },
      delegate: {
        onConnect() {
          say("connected");
          registerer.register({
            requestDelegate: {
              onAccept: () => say("registered"),
              onReject: ({ message }) => say(`not registered ${message.statusCode}`),
            },
          });
        },
        onDisconnect: () => say("disconnected"),
        onInvite(invitation) {
          hold(invitation);
          say("rings");
        },
        onMessage(message) {
          message.accept();
          say(`text ${message.request.body}`);
        },
      },
    });
    registerer = new Registerer(agent, { expires: own.expires, refreshFrequency: 50 });
    registerer.stateChange.addListener((state) => {
      if (state === RegistererState.Unregistered) say("unregistered");
    });
    await agent.start().catch(() => say("disconnected"));
  },
  leave: () => void registerer.unregister(),
  call(uri) {
    hold(new Inviter(agent, address(uri), audio));
    session.invite({
      requestDelegate: {
        onProgress: () => say("rings there"),
        onReject: ({ message }) => say(`failed ${message.statusCode}`),
      },
    });
  },
  answer: () => void session.accept(audio),
  refuse: () => void session.reject({ statusCode: 486 }),
  hangUp: () => void (session.state === SessionState.Established ? session.bye() : session.cancel()),
  hold: () => void refreshed(true),
  resume: () => void refreshed(false),
  press: (key) => void session.info({
    requestOptions: { body: { contentDisposition: "render", contentType: "application/dtmf-relay", content: `Signal=${key}\r\nDuration=160` } },
  }),
  transfer: (uri) => void session.refer(address(uri), {
    onNotify(notification) {
      notification.accept();
      if (/^SIP\/2.0 200/.test(notification.request.body)) say("transferred");
      if (/^SIP\/2.0 [3-6]/.test(notification.request.body)) say("not transferred");
    },
  }),
  text: (uri, body) => void new Messager(agent, address(uri), body).message({
    requestDelegate: { onAccept: () => say("text sent"), onReject: ({ message }) => say(`text failed ${message.statusCode}`) },
  }),
  watch(uri) {
    watch = new Subscriber(agent, address(uri), "message-summary", { expires: 600 });
    watch.delegate = {
      onNotify(notification) {
        notification.accept();
        say(`news ${notification.request.body.trim()}`);
      },
    };
    watch.subscribe();
  },
});

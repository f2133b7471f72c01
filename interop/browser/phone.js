// What both phones share: what they say to the test, the tone they sing, and which tone they hear.

// The test waits for a word of this list, and looks for the next behind it.
const words = [];

export function say(word) {
  words.push(word);
  console.log(word);
}

let audio;

function context() {
  audio ??= new AudioContext();
  return audio;
}

// A microphone that sings. Each call gets one of its own: the libraries stop what they were given when a call is over.
export function microphone(hertz) {
  const voice = new OscillatorNode(context(), { frequency: hertz });
  const line = context().createMediaStreamDestination();
  voice.connect(line);
  voice.start();
  return line.stream;
}

let ear;

// Hears whatever comes by a connection from now on.
export function listen(connection) {
  ear = undefined;
  connection.addEventListener("track", ({ track }) => {
    const stream = new MediaStream([track]);
    // Chromium decodes only what an element plays.
    const speaker = new Audio();
    speaker.srcObject = stream;
    speaker.play();
    const found = new AnalyserNode(context(), { fftSize: 8192, smoothingTimeConstant: 0 });
    context().createMediaStreamSource(stream).connect(found);
    ear = { found, speaker };
  });
}

// The tone that is louder than all others, in hertz; 0 in silence.
export function hears() {
  if (!ear) return 0;
  const bins = new Float32Array(ear.found.frequencyBinCount);
  ear.found.getFloatFrequencyData(bins);
  const loudest = bins.indexOf(Math.max(...bins));
  return bins[loudest] > -60 ? (loudest * context().sampleRate) / ear.found.fftSize : 0;
}

// What the test calls: the verbs of a phone, what it said, what it hears.
export function offer(verbs) {
  window.phone = { ...verbs, hears, words };
}

export const HELD = /^a=(sendonly|inactive)/m;

// The microphone: raw samples as they arrive.

// The browser's names of errors, and the page's kinds of problems.
const REASONS = {
  NotAllowedError: "microphone_refused",
  SecurityError: "microphone_refused",
  NotFoundError: "no_microphone",
  OverconstrainedError: "no_microphone",
  NotReadableError: "microphone_taken",
  AbortError: "microphone_taken",
};

// Turns off all speech enhancement, because it would suppress music.
const AS_IT_IS = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };

export async function openMicrophone(onSamples) {
  if (!navigator.mediaDevices) throw { kind: "insecure_page" };
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: AS_IT_IS });
  } catch (error) {
    throw { kind: REASONS[error.name] ?? "other", reason: error.message };
  }
  const context = new AudioContext();
  const close = () => {
    stream.getTracks().forEach((track) => track.stop());
    if (context.state !== "closed") context.close();
  };
  try {
    await context.audioWorklet.addModule("/microphone-worklet.js");
    const node = new AudioWorkletNode(context, "microphone");
    node.port.onmessage = (message) => onSamples(message.data);
    context.createMediaStreamSource(stream).connect(node);
    node.connect(context.destination); // it outputs silence, but would not run unconnected
    await context.resume();
  } catch (error) {
    close();
    throw { kind: "other", reason: error.message };
  }
  return { rate: context.sampleRate, close };
}

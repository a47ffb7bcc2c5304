// The microphone: raw samples as they come.

// What the browser calls its reasons, and what the page calls them.
const REASONS = {
  NotAllowedError: "microphone_refused",
  SecurityError: "microphone_refused",
  NotFoundError: "no_microphone",
  OverconstrainedError: "no_microphone",
  NotReadableError: "microphone_taken",
  AbortError: "microphone_taken",
};

// Nothing that makes speech clearer: it would take the music away.
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
    node.connect(context.destination); // it is silent; unconnected it would not run
    await context.resume();
  } catch (error) {
    close();
    throw { kind: "other", reason: error.message };
  }
  return { rate: context.sampleRate, close };
}

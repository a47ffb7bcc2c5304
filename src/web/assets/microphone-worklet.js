// Runs on the audio thread. Passes the samples on in pieces, unchanged.

const PIECE = 2048;

class Microphone extends AudioWorkletProcessor {
  piece = new Float32Array(PIECE);
  filled = 0;

  process([channels]) {
    const [first] = channels;
    for (let index = 0; first && index < first.length; index += 1) {
      let sum = 0;
      for (const channel of channels) sum += channel[index];
      this.piece[this.filled] = sum / channels.length;
      this.filled += 1;
      if (this.filled === PIECE) {
        this.port.postMessage(this.piece);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);

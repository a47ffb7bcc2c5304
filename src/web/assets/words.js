// Formats numbers for people.

export function position(seconds) {
  const sign = seconds < 0 ? "−" : "";
  const hundredths = Math.round(Math.abs(seconds) * 100);
  const two = (number) => String(number).padStart(2, "0");
  return `${sign}${Math.floor(hundredths / 6000)}:${two(Math.floor(hundredths / 100) % 60)}.${two(hundredths % 100)}`;
}

export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

export function count(number) {
  return number.toLocaleString("en-GB");
}

// Says how likely it is that a wrong answer scores as much by accident.
export function certainty(confidence) {
  const chance = 1 - confidence;
  if (chance < 1e-6) return "Certain";
  return `1 in ${count(Math.round(1 / chance))} by accident`;
}

export function time(milliseconds) {
  return milliseconds < 10 ? `${milliseconds.toFixed(1)} ms` : `${Math.round(milliseconds)} ms`;
}

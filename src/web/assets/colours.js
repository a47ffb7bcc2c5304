// A colour map with even steps in lightness, from the paper to the ink, through the accent's hue. Equal differences of
// level look equal (OKLCH; B. Ottosson, "A perceptual color space for image processing", 2020).

const STEPS = 256;

// Lightness, chroma and hue at the quietest and at the loudest.
const LIGHT = { from: [0.985, 0.004, 170], to: [0.3, 0.06, 190] };
const DARK = { from: [0.17, 0.015, 195], to: [0.95, 0.06, 165] };

export function colourMap(dark) {
  const { from, to } = dark ? DARK : LIGHT;
  const map = new Uint8ClampedArray(STEPS * 3);
  for (let step = 0; step < STEPS; step += 1) {
    const share = step / (STEPS - 1);
    const mix = (index) => from[index] + share * (to[index] - from[index]);
    // The middle is the most colourful, because the ends have no room for chroma.
    const chroma = mix(1) + 0.08 * Math.sin(Math.PI * share);
    map.set(rgb(mix(0), chroma, mix(2)), step * 3);
  }
  return map;
}

function rgb(lightness, chroma, hue) {
  const angle = (hue * Math.PI) / 180;
  const [a, b] = [chroma * Math.cos(angle), chroma * Math.sin(angle)];
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((linear) => 255 * encode(Math.min(1, Math.max(0, linear))));
}

function encode(linear) {
  return linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055;
}

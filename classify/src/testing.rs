//! Sounds for tests.

/// Seconds of a chord on `hz` with `beats` a second and a little noise, at 8 kHz. Different parameters sound different.
pub fn tune(hz: f32, beats: f32, seconds: f32, seed: u64) -> Vec<f32> {
    let count = (seconds * 8_000.0) as usize;
    let clean: Vec<f32> = (0..count)
        .map(|n| {
            let t = n as f32 / 8_000.0;
            let tone = |ratio: f32| (std::f32::consts::TAU * hz * ratio * t).sin();
            let beat = (-(t * beats).fract() * 4.0).exp();
            0.2 * beat * (tone(1.0) + 0.5 * tone(1.26) + 0.4 * tone(2.0))
        })
        .collect();
    crate::add_noise(&clean, 0.005, seed)
}

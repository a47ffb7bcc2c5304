//! psi-shazam: name a recording without showing it to anyone.
fn main() {}

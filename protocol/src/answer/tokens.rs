//! Who may ask a private server.

use std::sync::{Mutex, PoisonError, RwLock};

use crate::token::{AccessToken, TokenDigest};

/// The tokens in force. Every request is checked here, so a revoked token stops working at once.
pub struct Tokens {
    required: bool,
    known: RwLock<Vec<TokenDigest>>,
}

/// What the client of one connection has shown so far.
#[derive(Default)]
pub struct Shown(Mutex<Option<TokenDigest>>);

impl Tokens {
    /// Starts without any token. Unless `required`, everybody may ask.
    pub fn new(required: bool) -> Tokens {
        Tokens { required, known: RwLock::default() }
    }

    /// Replaces the tokens in force.
    pub fn replace(&self, known: Vec<TokenDigest>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// Whether a client that has shown this may ask.
    pub fn admit(&self, shown: &Shown) -> bool {
        let shown = *shown.0.lock().unwrap_or_else(PoisonError::into_inner);
        !self.required || shown.is_some_and(|digest| self.knows(&digest))
    }

    /// Checks a token and stores a valid one in `shown`. A server that requires no token accepts any.
    pub fn show(&self, shown: &Shown, token: &AccessToken) -> bool {
        let digest = token.digest();
        let good = !self.required || self.knows(&digest);
        *shown.0.lock().unwrap_or_else(PoisonError::into_inner) = good.then_some(digest);
        good
    }

    /// Compares with every token in constant time, so that the time does not reveal how close a guess is.
    fn knows(&self, digest: &TokenDigest) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().fold(false, |found, one| found | (one == digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_in_force_admit_and_revoking_works_on_open_connections() {
        let (tokens, shown) = (Tokens::new(true), Shown::default());
        let [good, other] = [AccessToken::from_bytes([1; 32]), AccessToken::from_bytes([2; 32])];
        assert!(!tokens.admit(&shown) && !tokens.show(&shown, &good));
        tokens.replace(vec![other.digest(), good.digest()]);
        assert!(!tokens.admit(&shown), "a token that was wrong is not remembered");
        assert!(tokens.show(&shown, &good) && tokens.admit(&shown));
        tokens.replace(vec![other.digest()]);
        assert!(!tokens.admit(&shown));
        assert!(!tokens.show(&shown, &good) && tokens.show(&shown, &other));
        assert!(!tokens.show(&shown, &good) && !tokens.admit(&shown), "the last one shown counts");
    }

    #[test]
    fn an_open_server_admits_everybody() {
        let (tokens, shown) = (Tokens::new(false), Shown::default());
        assert!(
            tokens.admit(&shown) && tokens.show(&shown, &AccessToken::generate()) && tokens.admit(&shown)
        );
    }
}

//! Secrets cannot be printed: the types that hold them have no `Debug`, or one that shows nothing.

use std::fmt::Debug;
use std::marker::PhantomData;

use zeroize::ZeroizeOnDrop;

use crate::oprf::{BlindedItems, ItemKey, OprfKey};
use crate::query::{AskedKey, Pending};
use crate::rlwe::secret::{FreshSecret, SpentSecret};

/// `Probe::<T>::PRINTS` is the inherent constant where `T: Debug`, and that of [`Silent`] everywhere else.
struct Probe<T>(PhantomData<T>);

trait Silent {
    const PRINTS: bool = false;
}

impl<T> Silent for Probe<T> {}

impl<T: Debug> Probe<T> {
    const PRINTS: bool = true;
}

#[test]
fn secrets_cannot_be_printed() {
    const {
        assert!(Probe::<String>::PRINTS, "the probe works");
        assert!(!Probe::<OprfKey>::PRINTS);
        assert!(!Probe::<ItemKey>::PRINTS);
        assert!(!Probe::<AskedKey>::PRINTS);
        assert!(!Probe::<BlindedItems<Vec<u8>>>::PRINTS);
        assert!(!Probe::<Pending>::PRINTS);
        assert!(!Probe::<FreshSecret>::PRINTS);
        assert!(!Probe::<SpentSecret>::PRINTS);
    }
}

#[test]
fn keys_are_wiped_when_dropped() {
    fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<OprfKey>();
    wiped::<ItemKey>();
}

//! Integers with their units, so that they cannot be confused with each other.

use serde::{Deserialize, Serialize};

use crate::params::{FRAME_SECONDS, HALF_FRAME_SECONDS};

/// A place in a track, in frames of [`FRAME_SECONDS`] (32 ms) from its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Frame(pub u32);

impl Frame {
    /// Seconds from the start of the track.
    pub fn seconds(self) -> f64 {
        f64::from(self.0) * FRAME_SECONDS
    }
}

/// A place in a recording that is asked about, in steps of [`HALF_FRAME_SECONDS`] (16 ms) from its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HalfFrame(pub u32);

impl HalfFrame {
    /// Seconds from the start of the recording.
    pub fn seconds(self) -> f64 {
        f64::from(self.0) * HALF_FRAME_SECONDS
    }
}

/// A frame on the global time line, where all tracks of a catalogue follow one another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GlobalFrame(pub u32);

impl GlobalFrame {
    /// From the two elements of a label. The first holds the low half.
    pub const fn from_elements([low, high]: [u16; 2]) -> GlobalFrame {
        GlobalFrame((high as u32) << 16 | low as u32)
    }

    /// The two elements of a label. The first holds the low half.
    pub const fn to_elements(self) -> [u16; 2] {
        [self.0 as u16, (self.0 >> 16) as u16]
    }
}

/// What a server says about one hash: a posting of it is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// The candidate that it is about, by its place among those that were asked.
    pub candidate: u32,
    /// The place of its anchor.
    pub frame: GlobalFrame,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_element_is_the_low_half() {
        assert_eq!(GlobalFrame(0x0123_4567).to_elements(), [0x4567, 0x0123]);
        assert_eq!(GlobalFrame::from_elements([1, 2]), GlobalFrame(0x2_0001));
    }

    #[test]
    fn units_are_those_of_the_signal() {
        assert_eq!(Frame(100).seconds(), 3.2);
        assert_eq!(HalfFrame(100).seconds(), 1.6);
    }

    proptest! {
        #[test]
        fn elements_and_frames_are_inverse(elements: [u16; 2], frame: u32) {
            prop_assert_eq!(GlobalFrame::from_elements(elements).to_elements(), elements);
            prop_assert_eq!(GlobalFrame::from_elements(GlobalFrame(frame).to_elements()), GlobalFrame(frame));
        }

        /// A unit costs nothing on disk and on the wire.
        #[test]
        fn units_are_encoded_as_their_integer(value: u32) {
            let bytes = postcard::to_stdvec(&value).unwrap();
            prop_assert_eq!(&postcard::to_stdvec(&Frame(value)).unwrap(), &bytes);
            prop_assert_eq!(&postcard::to_stdvec(&GlobalFrame(value)).unwrap(), &bytes);
        }
    }
}

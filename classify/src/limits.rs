//! Upper limits on a model.

/// Version of the encoding of both parts; their first byte. Version 1 had a plain score as the threshold.
pub const FORMAT_VERSION: u8 = 2;

/// Most classes in one model.
pub const MAX_CLASSES: usize = 1 << 20;

/// Most bytes in a model's name.
pub const MAX_NAME: usize = 64;

/// Most bytes in a class's label: Linux's limit for a path.
pub const MAX_LABEL: usize = 4_096;

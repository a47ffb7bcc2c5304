pub(crate) mod device;
pub(crate) mod keys;
pub(crate) mod whole;

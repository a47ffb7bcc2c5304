//! Bytes on the device, whatever they mean.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `whole` | files that are whole or not there, and seals |
//! | `folders` | folders made, listed, renamed, deleted |
//! | `keys` | private keys: files of mode 0600 |
//! | `device` | sled's bytes down to the device, and room on it |

pub(crate) mod device;
pub(crate) mod folders;
pub(crate) mod keys;
pub(crate) mod whole;

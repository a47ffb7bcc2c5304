//! Files and folders on the device, independent of their meaning.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `whole` | files that are complete or absent, and seals |
//! | `folders` | creating, listing, renaming and deleting folders |
//! | `keys` | private keys: files of mode 0600 |
//! | `device` | flushing sled's bytes to the device, and free space on it |

pub(crate) mod device;
pub(crate) mod folders;
pub(crate) mod keys;
pub(crate) mod whole;

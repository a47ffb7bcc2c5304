//! Moving tracks from one database to another.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `format` | the bytes |
//! | `export` | writing them |
//! | `import` | reading them |

pub(crate) mod export;
pub(crate) mod format;
pub(crate) mod import;

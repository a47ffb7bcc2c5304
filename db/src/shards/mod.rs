pub(crate) mod files;
pub(crate) mod layout;
pub(crate) mod plan;
pub(crate) mod postings;

pub(crate) mod encode;
pub(crate) mod rotate;
pub(crate) mod served;

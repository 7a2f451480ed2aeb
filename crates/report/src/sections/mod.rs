//! The sections of a page.

pub(crate) mod atlas;
pub(crate) mod claims;
pub(crate) mod comparison;
mod findings;
mod glance;
mod gradients;
pub(crate) mod headings;
pub(crate) mod overview;
pub(crate) mod page;
mod quadrants;
mod quadrants_glance;
mod recall;

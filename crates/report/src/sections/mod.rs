//! The sections of a page, as blocks.

mod absent;
mod atlas;
mod attention;
mod claims;
pub(crate) mod comparison;
mod findings;
mod glance;
mod gradients;
mod layers;
pub(crate) mod overview;
pub(crate) mod page;
mod pictures;
mod quadrants;
mod quadrants_glance;
mod recall;
mod recipes;
mod rows;
mod speed;
mod tasks;

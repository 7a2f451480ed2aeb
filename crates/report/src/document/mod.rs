//! A page as a typed list of blocks, which knows nothing of how it is written down.

mod block;
mod inline;
mod table;

pub(crate) use block::{Block, Figure};
pub(crate) use inline::{Inline, Line, Target, anchor, one_line};
pub(crate) use table::{Align, Field, Table};

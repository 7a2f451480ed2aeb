//! What the stack machine of pickles works on: objects, the few names that it knows, and its refusals.

use super::view::{Number, Storage, View};

/// Why a pickle is not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It does not follow the rules of pickles.
    Broken(String),
    /// It holds something that is not a tensor.
    Foreign(String),
}

pub(super) type Result<T> = std::result::Result<T, Refusal>;

pub(super) fn broken<T>(reason: impl Into<String>) -> Result<T> {
    Err(Refusal::Broken(reason.into()))
}

pub(super) fn foreign<T>(what: impl Into<String>) -> Result<T> {
    Err(Refusal::Foreign(what.into()))
}

/// A text of the file as part of a message.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    text.chars().take(LONGEST).flat_map(char::escape_debug).collect()
}

/// The only names that a pickle may mention.
#[derive(Clone, Copy, Debug)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    StorageOf(Number),
}

impl Global {
    pub(super) fn named(module: &str, name: &str) -> Result<Self> {
        let known = match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Self::RebuildParameter),
            ("torch", class) => Number::of_storage(class).map(Self::StorageOf),
            _ => None,
        };
        known.map_or_else(|| foreign(format!("`{}.{}`", shown(module), shown(name))), Ok)
    }
}

/// Index into the list of objects.
pub(super) type Id = usize;

#[derive(Clone, Debug)]
pub(super) enum Object<'a> {
    /// `None`, a truth value or a real number: allowed where it does not matter, read nowhere.
    Plain(&'static str),
    Int(i64),
    Text(&'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(View),
}

impl Object<'_> {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Plain(kind) => kind,
            Self::Int(_) => "an integer",
            Self::Text(_) => "a text",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Global(_) => "a class or function",
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
        }
    }
}

//! The value of a setting.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{Share, Threshold, shortest_decimal};

/// The value of a setting of a step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// A name of the setting's list, or a pattern `n:m`.
    Name(String),
    /// A whole number.
    Count(u64),
    /// A share.
    Share(Share),
    /// A threshold.
    Threshold(Threshold),
}

impl Value {
    /// The value as a label has it: a share or threshold without the 0 in front of the point.
    pub(crate) fn short(&self) -> String {
        let decimal = match self {
            Value::Share(share) => shortest_decimal(share.get()),
            Value::Threshold(threshold) => threshold.to_string(),
            other => return other.to_string(),
        };
        let bare = decimal.strip_prefix('0').filter(|rest| !rest.is_empty());
        bare.unwrap_or(&decimal).to_owned()
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Name(name) => f.write_str(name),
            Value::Count(count) => write!(f, "{count}"),
            Value::Share(share) => write!(f, "{share}"),
            Value::Threshold(threshold) => write!(f, "{threshold}"),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Name(name) => serializer.serialize_str(name),
            Value::Count(count) => serializer.serialize_u64(*count),
            Value::Share(share) => serializer.serialize_f64(share.get()),
            Value::Threshold(threshold) => serializer.serialize_f64(threshold.get()),
        }
    }
}

//! The header of a GGUF file: metadata and the table of tensors.
//!
//! Own code and not `candle_core`'s reader, which divides by the file's alignment (0 ends the process),
//! multiplies dimensions without a check, keeps thirty bytes for each byte of an array and reports a
//! number type it does not know without the tensor. The format is small; every length is checked
//! against what is left of the file before anything of that length is made.

use std::{collections::BTreeMap, fs::File, io::BufReader, io::Read};

use super::{GgufValue, blocks::Layout};
use crate::{LoadError, file::OpenFile, numbers::count};

pub(super) const MAGIC: &[u8; 4] = b"GGUF";
const ALIGNMENT: &str = "general.alignment";
pub(super) const DEFAULT_ALIGNMENT: u64 = 32;
const MOST_DIMENSIONS: u32 = 4;

/// Longest header, bytes: some ten times that of the largest vocabularies.
const MAX_HEADER: u64 = 256 << 20;

/// A value of the metadata that is neither a text nor a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar {
    Unsigned(u64),
    Signed(i64),
    Real(f64),
    Flag(bool),
}

/// A value of the metadata.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    Text(String),
    Texts(Vec<String>),
    /// Kept as they are in the file: vocabularies hold a number for each token.
    Scalars(Kind, Vec<u8>),
}

impl Value {
    /// The same as it is written; `None` of a list of numbers that no key of a tokenizer has.
    pub(super) fn to_write(&self) -> Option<GgufValue> {
        Some(match self {
            Self::Scalar(Scalar::Flag(flag)) => GgufValue::Bool(*flag),
            Self::Scalar(Scalar::Real(value)) => GgufValue::F32(*value as f32),
            Self::Scalar(Scalar::Unsigned(value)) => GgufValue::U32(u32::try_from(*value).ok()?),
            Self::Scalar(Scalar::Signed(value)) => GgufValue::U32(u32::try_from(*value).ok()?),
            Self::Text(text) => GgufValue::Text(text.clone()),
            Self::Texts(texts) => GgufValue::Texts(texts.clone()),
            Self::Scalars(Kind::U8 | Kind::I8, bytes) => GgufValue::U8s(bytes.clone()),
            Self::Scalars(kind, bytes) => {
                let scalars = bytes.chunks_exact(kind.size()).map(|word| kind.scalar(word));
                match kind {
                    Kind::F32 => GgufValue::F32s(
                        scalars
                            .map(|own| if let Scalar::Real(x) = own { x as f32 } else { 0.0 })
                            .collect(),
                    ),
                    _ => {
                        let whole =
                            scalars.map(|own| i32::try_from(super::metadata::whole(own)?).ok());
                        GgufValue::I32s(whole.collect::<Option<Vec<i32>>>()?)
                    }
                }
            }
        })
    }
}

/// The type of a scalar in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    U64,
    I64,
    F64,
}

const TEXT: u32 = 8;
const LIST: u32 = 9;

impl Kind {
    fn of(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Bool,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            _ => return None,
        })
    }

    pub(super) fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// The value of `self.size()` bytes.
    pub(super) fn scalar(self, bytes: &[u8]) -> Scalar {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        let [a, b, c, d, ..] = word;
        match self {
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => {
                Scalar::Unsigned(u64::from_le_bytes(word))
            }
            Self::I8 => Scalar::Signed(i64::from(i8::from_le_bytes([a]))),
            Self::I16 => Scalar::Signed(i64::from(i16::from_le_bytes([a, b]))),
            Self::I32 => Scalar::Signed(i64::from(i32::from_le_bytes([a, b, c, d]))),
            Self::I64 => Scalar::Signed(i64::from_le_bytes(word)),
            Self::F32 => Scalar::Real(shortest(f32::from_le_bytes([a, b, c, d]))),
            Self::F64 => Scalar::Real(f64::from_le_bytes(word)),
            Self::Bool => Scalar::Flag(a != 0),
        }
    }
}

/// The number with the fewest decimals that is this `f32`: what `config.json` said before the file was
/// made, 1e-6 and not 9.99999997e-7.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// Where a tensor lies and what it is made of.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) layout: Layout,
    /// Rows first.
    pub(super) shape: Vec<usize>,
    /// First byte, counted from the start of the file.
    pub(super) start: u64,
}

/// What stands in front of the tensors.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) metadata: BTreeMap<String, Value>,
    pub(super) tensors: BTreeMap<String, Entry>,
}

/// Reads the header; every tensor lies in the file and overlaps no other.
pub(super) fn read(file: &OpenFile) -> Result<Header, LoadError> {
    let limit = file.length().min(MAX_HEADER);
    let input = BufReader::new(file.another_handle()?);
    let mut cursor = Cursor { file, input, position: 0, limit };
    if cursor.bytes(MAGIC.len() as u64)? != MAGIC {
        return Err(file.damaged("it does not start with `GGUF`"));
    }
    let version = cursor.u32()?;
    if version != 2 && version != 3 {
        return Err(LoadError::Unsupported {
            path: file.path().to_owned(),
            reason: format!("its format has version {version}, and 2 and 3 are read"),
            advice: "convert the model again with a newer llama.cpp",
        });
    }
    let (tensors, entries) = (cursor.u64()?, cursor.u64()?);
    let metadata = cursor.metadata(entries)?;
    let mut tensors = cursor.tensors(tensors)?;
    let alignment = alignment(file, &metadata)?;
    let data_start = cursor.position.next_multiple_of(alignment);
    for (name, entry) in &mut tensors {
        let start = data_start.checked_add(entry.start).filter(|s| s.is_multiple_of(alignment));
        entry.start = start.ok_or_else(|| {
            file.damaged(format!(
                "tensor `{name}` starts at {}, not at a place for one",
                entry.start
            ))
        })?;
    }
    check_extents(file, &tensors)?;
    Ok(Header { metadata, tensors })
}

fn alignment(file: &OpenFile, metadata: &BTreeMap<String, Value>) -> Result<u64, LoadError> {
    match metadata.get(ALIGNMENT) {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(Value::Scalar(Scalar::Unsigned(value)))
            if value.is_power_of_two() && *value <= MAX_HEADER =>
        {
            Ok(*value)
        }
        Some(_) => Err(file.damaged(format!("`{ALIGNMENT}` is not a power of two"))),
    }
}

fn check_extents(file: &OpenFile, tensors: &BTreeMap<String, Entry>) -> Result<(), LoadError> {
    let mut ranges = Vec::with_capacity(tensors.len());
    for (name, entry) in tensors {
        let end = entry.layout.bytes(&entry.shape).and_then(|b| entry.start.checked_add(b as u64));
        match end.filter(|end| *end <= file.length()) {
            Some(end) => ranges.push((entry.start, end, name)),
            None => {
                let (shape, length) = (&entry.shape, file.length());
                return Err(file.damaged(format!(
                    "tensor `{name}` with shape {shape:?} reaches beyond the {length} bytes of the file"
                )));
            }
        }
    }
    ranges.retain(|(start, end, _)| start < end);
    ranges.sort();
    match ranges.windows(2).find(|pair| pair[0].1 > pair[1].0) {
        Some(pair) => {
            Err(file.damaged(format!("tensors `{}` and `{}` overlap", pair[0].2, pair[1].2)))
        }
        None => Ok(()),
    }
}

/// Reads forward and knows how much may still come.
struct Cursor<'a> {
    file: &'a OpenFile,
    input: BufReader<File>,
    position: u64,
    limit: u64,
}

impl Cursor<'_> {
    /// Refuses a length or count that the rest of the header cannot hold.
    fn check(&self, count: u64, least_bytes: u64, what: &str) -> Result<(), LoadError> {
        let left = self.limit - self.position;
        if count.checked_mul(least_bytes).is_some_and(|needed| needed <= left) {
            return Ok(());
        }
        Err(self.file.damaged(format!(
            "its header speaks of {count} {what} at byte {}, where {left} bytes are left for it",
            self.position
        )))
    }

    fn bytes(&mut self, length: u64) -> Result<Vec<u8>, LoadError> {
        self.check(length, 1, "bytes")?;
        let mut bytes = vec![0; length as usize];
        self.input.read_exact(&mut bytes).map_err(|source| self.file.io(source))?;
        self.position += length;
        Ok(bytes)
    }

    fn word<const N: usize>(&mut self) -> Result<[u8; N], LoadError> {
        self.check(N as u64, 1, "bytes")?;
        let mut word = [0; N];
        self.input.read_exact(&mut word).map_err(|source| self.file.io(source))?;
        self.position += N as u64;
        Ok(word)
    }

    fn u32(&mut self) -> Result<u32, LoadError> {
        self.word().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, LoadError> {
        self.word().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<String, LoadError> {
        let length = self.u64()?;
        let bytes = self.bytes(length)?;
        // Some vocabularies hold tokens that are no UTF-8; they are not read by their text.
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
    }

    fn metadata(&mut self, entries: u64) -> Result<BTreeMap<String, Value>, LoadError> {
        self.check(entries, 13, "entries")?;
        let mut metadata = BTreeMap::new();
        for _ in 0..entries {
            let key = self.text()?;
            let value = self.value(&key)?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(self.file.damaged(format!("its header holds `{key}` twice")));
            }
        }
        Ok(metadata)
    }

    fn value(&mut self, key: &str) -> Result<Value, LoadError> {
        let unknown = |cursor: &Self, code| {
            cursor.file.damaged(format!("`{key}` has type {code}, which GGUF does not have here"))
        };
        match self.u32()? {
            TEXT => Ok(Value::Text(self.text()?)),
            LIST => {
                let (code, length) = (self.u32()?, self.u64()?);
                if code == TEXT {
                    self.check(length, 8, "texts")?;
                    return (0..length)
                        .map(|_| self.text())
                        .collect::<Result<_, _>>()
                        .map(Value::Texts);
                }
                let kind = Kind::of(code).ok_or_else(|| unknown(self, code))?;
                self.check(length, kind.size() as u64, "numbers")?;
                Ok(Value::Scalars(kind, self.bytes(length * kind.size() as u64)?))
            }
            code => {
                let kind = Kind::of(code).ok_or_else(|| unknown(self, code))?;
                let bytes = self.bytes(kind.size() as u64)?;
                Ok(Value::Scalar(kind.scalar(&bytes)))
            }
        }
    }

    /// The table of tensors, `start` still counted from where the tensors begin.
    fn tensors(&mut self, tensors: u64) -> Result<BTreeMap<String, Entry>, LoadError> {
        self.check(tensors, 24, "tensors")?;
        let mut table = BTreeMap::new();
        for _ in 0..tensors {
            let name = self.text()?;
            let dimensions = self.u32()?;
            if dimensions > MOST_DIMENSIONS {
                return Err(self
                    .file
                    .damaged(format!("tensor `{name}` has {dimensions} dimensions")));
            }
            let mut shape = (0..dimensions)
                .map(|_| Ok(usize::try_from(self.u64()?).unwrap_or(usize::MAX)))
                .collect::<Result<Vec<_>, LoadError>>()?;
            shape.reverse();
            let code = self.u32()?;
            let layout = Layout::of(code).ok_or_else(|| LoadError::Dtype {
                path: self.file.path().to_owned(),
                tensor: name.clone(),
                dtype: format!("number {code} of ggml"),
                known: Layout::KNOWN,
            })?;
            // Blocks do not reach from one row into the next; a single number is a row.
            let row = shape.last().copied().unwrap_or(1);
            if count(&shape).is_none() || !row.is_multiple_of(layout.values()) {
                return Err(self.file.damaged(format!(
                    "tensor `{name}` of type {} has shape {shape:?}",
                    layout.name()
                )));
            }
            let entry = Entry { layout, shape, start: self.u64()? };
            if table.insert(name.clone(), entry).is_some() {
                return Err(self.file.damaged(format!("its header holds tensor `{name}` twice")));
            }
        }
        Ok(table)
    }
}

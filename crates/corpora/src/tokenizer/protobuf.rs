//! The fields of a message in the encoding of Protocol Buffers, as far as tokenizer.model needs them.
//!
//! Own code and not a library: six kinds of values, read without a copy, where a library would bring a
//! generator. Every length is checked against what is left of the message.

/// A value, not yet taken apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Number(u64),
    Float(f32),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(super) fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(super) fn number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn float(self) -> Option<f32> {
        match self {
            Self::Float(float) => Some(float),
            _ => None,
        }
    }
}

/// The fields of a message in their order; the last item is an error if the message is cut short or
/// holds what the encoding does not have.
pub(super) struct Fields<'a>(Option<&'a [u8]>);

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self(Some(message))
    }
}

impl<'a> Iterator for Fields<'a> {
    /// Number of the field and its value.
    type Item = Result<(u64, Value<'a>), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = self.0.take().filter(|rest| !rest.is_empty())?;
        let field = field(&mut rest);
        if field.is_some() {
            self.0 = Some(rest);
        }
        Some(field.ok_or(Broken))
    }
}

/// A message that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let key = varint(rest)?;
    let value = match key & 7 {
        0 => Value::Number(varint(rest)?),
        1 => Value::Bytes(take(rest, 8)?),
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            Value::Bytes(take(rest, length)?)
        }
        5 => Value::Float(f32::from_le_bytes(take(rest, 4)?.try_into().ok()?)),
        _ => return None,
    };
    (key >> 3 != 0).then_some((key >> 3, value))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// Seven bits a byte, the lowest first; the high bit says that more follow.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    const LONGEST: usize = 10;
    let mut value = 0;
    for place in 0..LONGEST {
        let byte = *take(rest, 1)?.first()?;
        value |= u64::from(byte & 0x7F).checked_shl(7 * place as u32)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_their_order() {
        let message =
            b"\x0a\x02ab\x10\x96\x01\x1d\x00\x00\x80\x3f\x21\x01\x02\x03\x04\x05\x06\x07\x08";
        let fields: Vec<_> = Fields::of(message).map(Result::unwrap).collect();
        assert_eq!(fields[0], (1, Value::Bytes(b"ab")));
        assert_eq!(fields[1], (2, Value::Number(150)));
        assert_eq!(fields[2], (3, Value::Float(1.0)));
        assert_eq!((fields[3].0, fields.len()), (4, 4));
        let minus_one = [&[0x08][..], &[0xFF; 9], &[0x01]].concat();
        let number = Fields::of(&minus_one).next().unwrap().unwrap();
        assert_eq!(number, (1, Value::Number(u64::MAX)));
    }

    #[test]
    fn a_broken_message_ends_with_an_error() {
        let broken: [&[u8]; 6] = [
            b"\x0a\x05ab",
            b"\x10",
            b"\x10\xff",
            b"\x0b",
            b"\x00\x01",
            &[0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        ];
        for message in broken {
            let fields: Vec<_> = Fields::of(message).collect();
            assert_eq!(fields.last(), Some(&Err(Broken)), "{message:?}");
        }
    }
}

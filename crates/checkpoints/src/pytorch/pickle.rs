//! The pickle of a PyTorch file: a closed subset of the stack machine, enough for a dictionary of
//! tensors and for nothing else.
//!
//! Why not a library: `candle_core::pickle` panics on short tuples, passes over what it does not know
//! and copies whatever the memo holds (a few bytes grow exponentially); `pytorch-reader` (burn-store)
//! is hardened, but keeps unknown objects as opaque values instead of refusing the file, and gives a
//! tensor's bytes only in one piece. What is needed is small: PyTorch itself loads weights with a
//! machine of the same kind (`weights_only`), whose instructions and names these are.
//!
//! Nothing is ever called. A global that is not in [`Global`] ends the reading before it could be.
//! Objects live in one list and refer to each other by index, so that a pickle of n bytes costs O(n)
//! memory and no recursion.

use std::collections::{BTreeMap, HashMap};

use super::{
    objects::{Global, Id, Object, Result, broken, foreign, shown},
    view::{Storage, View},
};

/// Most dimensions of a tensor and longest key of a storage, bytes: far beyond what models have, and
/// what keeps objects small that one instruction can copy.
const MOST_DIMENSIONS: usize = 8;
const LONGEST_KEY: usize = 64;

/// Reads the tensors of a pickled dictionary.
pub(super) fn tensors(pickle: &[u8]) -> Result<BTreeMap<String, View>> {
    let mut machine = Machine {
        rest: pickle,
        objects: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    let root = machine.run()?;
    let Object::Dict(items) = &machine.objects[root] else {
        return foreign(format!("{} at its root", machine.objects[root].kind()));
    };
    let mut tensors = BTreeMap::new();
    for (key, value) in items {
        let name = match &machine.objects[*key] {
            Object::Text(name) => *name,
            other => return foreign(format!("{} as the name of an entry", other.kind())),
        };
        match &machine.objects[*value] {
            Object::Tensor(view) => tensors.insert(name.to_owned(), view.clone()),
            other => return foreign(format!("{} as `{}`", other.kind(), shown(name))),
        };
    }
    Ok(tensors)
}

struct Machine<'a> {
    rest: &'a [u8],
    objects: Vec<Object<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    /// Follows the instructions up to the last one; returns the object that is left.
    fn run(&mut self) -> Result<Id> {
        loop {
            let [code] = self.array()?;
            match code {
                0x80 => drop(self.array::<1>()?), // PROTO: every instruction is checked by itself.
                b'.' => return self.pop(),
                b'N' => self.push(Object::Plain("None")),
                0x88 | 0x89 => self.push(Object::Plain("a truth value")),
                b'G' => {
                    self.array::<8>()?;
                    self.push(Object::Plain("a number"));
                }
                b'K' => self.integer(|[byte]: [u8; 1]| i64::from(byte))?,
                b'M' => self.integer(|word| i64::from(u16::from_le_bytes(word)))?,
                b'J' => self.integer(|word| i64::from(i32::from_le_bytes(word)))?,
                0x8a => self.long()?,
                b'X' => {
                    let length = u32::from_le_bytes(self.array()?);
                    self.text(length as usize)?;
                }
                b'U' => {
                    let [length] = self.array()?;
                    self.text(usize::from(length))?;
                }
                b'(' => self.marks.push(self.stack.len()),
                b')' => self.push(Object::Tuple(Vec::new())),
                b']' => self.push(Object::List(Vec::new())),
                b'}' => self.push(Object::Dict(Vec::new())),
                b't' => {
                    let items = self.pop_to_mark()?;
                    self.push(Object::Tuple(items));
                }
                0x85..=0x87 => self.short_tuple(usize::from(code - 0x84))?,
                b'a' => {
                    let item = self.pop()?;
                    self.append(&[item])?;
                }
                b'e' => {
                    let items = self.pop_to_mark()?;
                    self.append(&items)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set_items(&[key, value])?;
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    self.set_items(&items)?;
                }
                b'q' => {
                    let [slot] = self.array()?;
                    self.memo.insert(u32::from(slot), self.top()?);
                }
                b'r' => {
                    let slot = u32::from_le_bytes(self.array()?);
                    self.memo.insert(slot, self.top()?);
                }
                b'h' => {
                    let [slot] = self.array()?;
                    self.recall(u32::from(slot))?;
                }
                b'j' => {
                    let slot = u32::from_le_bytes(self.array()?);
                    self.recall(slot)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    let global = Global::named(module, name)?;
                    self.push(Object::Global(global));
                }
                b'Q' => self.storage()?,
                b'R' => self.reduce()?,
                b'b' => self.build()?,
                other => return foreign(format!("instruction {other:#04x}")),
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(length) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => broken(format!("{length} bytes expected, {} are left", self.rest.len())),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut word = [0; N];
        word.copy_from_slice(self.take(N)?);
        Ok(word)
    }

    fn line(&mut self) -> Result<&'a str> {
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let Some(end) = end else { return broken("a line without an end") };
        let line = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(line).or_else(|_| broken("a name that is not UTF-8"))
    }

    fn push(&mut self, object: Object<'a>) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    /// Marks hide what lies below them.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id> {
        let top = self.stack[self.floor()..].last().copied();
        top.map_or_else(|| broken("an instruction finds too little on the stack"), Ok)
    }

    fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => broken("an instruction finds no mark"),
        }
    }

    fn recall(&mut self, slot: u32) -> Result<()> {
        match self.memo.get(&slot) {
            Some(id) => self.stack.push(*id),
            None => return broken(format!("nothing was kept as {slot}")),
        }
        Ok(())
    }

    fn integer<const N: usize>(&mut self, value: impl Fn([u8; N]) -> i64) -> Result<()> {
        let word = self.array()?;
        self.push(Object::Int(value(word)));
        Ok(())
    }

    /// An integer of up to eight bytes.
    fn long(&mut self) -> Result<()> {
        let [length] = self.array()?;
        let bytes = self.take(usize::from(length))?;
        if bytes.len() > size_of::<i64>() {
            return broken(format!("an integer of {length} bytes"));
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut word = [if negative { 0xff } else { 0 }; size_of::<i64>()];
        word[..bytes.len()].copy_from_slice(bytes);
        self.push(Object::Int(i64::from_le_bytes(word)));
        Ok(())
    }

    fn text(&mut self, length: usize) -> Result<()> {
        let bytes = self.take(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => self.push(Object::Text(text)),
            Err(_) => return broken("a text that is not UTF-8"),
        }
        Ok(())
    }

    fn short_tuple(&mut self, length: usize) -> Result<()> {
        let mut items = (0..length).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
        items.reverse();
        self.push(Object::Tuple(items));
        Ok(())
    }

    fn append(&mut self, items: &[Id]) -> Result<()> {
        let list = self.top()?;
        match &mut self.objects[list] {
            Object::List(list) => list.extend_from_slice(items),
            other => return broken(format!("{} is appended to", other.kind())),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<()> {
        let (pairs, []) = items.as_chunks::<2>() else {
            return broken("a dictionary is given a name without a value");
        };
        let dict = self.top()?;
        match &mut self.objects[dict] {
            Object::Dict(dict) => dict.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            other => return broken(format!("{} is given entries", other.kind())),
        }
        Ok(())
    }

    /// `('storage', class, key, device, length)` becomes the storage it speaks of.
    fn storage(&mut self) -> Result<()> {
        let id = self.pop()?;
        let Object::Tuple(parts) = &self.objects[id] else {
            return foreign(format!("{} as the name of a storage", self.objects[id].kind()));
        };
        let parts: Vec<&Object<'a>> = parts.iter().map(|part| &self.objects[*part]).collect();
        let [
            Object::Text("storage"),
            Object::Global(Global::StorageOf(number)),
            Object::Text(key),
            Object::Text(_),
            Object::Int(length),
        ] = parts[..]
        else {
            return broken("a storage is not described as torch does it");
        };
        let (true, Ok(length)) = (key.len() <= LONGEST_KEY, usize::try_from(*length)) else {
            return broken(format!("storage `{}` with {length} numbers", shown(key)));
        };
        self.push(Object::Storage(Storage { number: *number, key: (*key).to_owned(), length }));
        Ok(())
    }

    /// "Calls" one of the three functions that are known.
    fn reduce(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Object::Tuple(arguments) = &self.objects[arguments] else {
            return broken("a function is called without a tuple of arguments");
        };
        let made = match (&self.objects[function], &arguments[..]) {
            (Object::Global(Global::OrderedDict), []) => Object::Dict(Vec::new()),
            (Object::Global(Global::RebuildParameter), [tensor, ..]) => {
                match &self.objects[*tensor] {
                    Object::Tensor(view) => Object::Tensor(view.clone()),
                    other => return foreign(format!("{} as a parameter", other.kind())),
                }
            }
            (Object::Global(Global::RebuildTensor), [storage, offset, shape, strides, ..]) => {
                Object::Tensor(self.view(*storage, *offset, *shape, *strides)?)
            }
            (Object::Global(_), arguments) => {
                return broken(format!("a function is called with {} arguments", arguments.len()));
            }
            (other, _) => return foreign(format!("a call of {}", other.kind())),
        };
        self.push(made);
        Ok(())
    }

    fn view(&self, storage: Id, offset: Id, shape: Id, strides: Id) -> Result<View> {
        let Object::Storage(storage) = &self.objects[storage] else {
            return foreign(format!("a tensor made of {}", self.objects[storage].kind()));
        };
        Ok(View {
            storage: storage.clone(),
            offset: self.size(offset)?,
            shape: self.sizes(shape)?,
            strides: self.sizes(strides)?,
        })
    }

    fn size(&self, id: Id) -> Result<usize> {
        match &self.objects[id] {
            Object::Int(value) => {
                usize::try_from(*value).or_else(|_| broken(format!("{value} as a size or offset")))
            }
            other => broken(format!("{} as a size or offset", other.kind())),
        }
    }

    fn sizes(&self, id: Id) -> Result<Vec<usize>> {
        match &self.objects[id] {
            Object::Tuple(items) if items.len() <= MOST_DIMENSIONS => {
                items.iter().map(|item| self.size(*item)).collect()
            }
            Object::Tuple(items) => broken(format!("a tensor of {} dimensions", items.len())),
            other => broken(format!("{} as a shape", other.kind())),
        }
    }

    /// Gives an object attributes: torch hangs `_metadata`, the versions of its modules, on the
    /// dictionary of a model, and that is all that is taken (and dropped).
    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let object = self.top()?;
        let only_metadata = match &self.objects[state] {
            Object::Dict(items) => {
                items.iter().all(|(key, _)| matches!(self.objects[*key], Object::Text("_metadata")))
            }
            _ => false,
        };
        if only_metadata && matches!(self.objects[object], Object::Dict(_)) {
            return Ok(());
        }
        foreign(format!("{} with attributes", self.objects[object].kind()))
    }
}

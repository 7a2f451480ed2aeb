//! SentencePiece's map of characters: a double array of key bytes, and the texts that they become.
//!
//! The library follows the links of the array without looking where they lead, so they are checked
//! here: a file is not to end the process.

use tokenizers::normalizers::Precompiled;

/// A link that carries a text has this bit, and the text's place below it.
const LEAF: u32 = 1 << 31;

/// The map of a file.
///
/// # Errors
/// A map that is cut short, or with a link that leads out of it.
pub(super) fn read(map: &[u8]) -> tokenizers::Result<Precompiled> {
    let damaged = || -> tokenizers::Error { "the character map is damaged".into() };
    let (size, rest) = map.split_first_chunk::<4>().ok_or_else(damaged)?;
    let size = u32::from_le_bytes(*size) as usize;
    let links =
        rest.get(..size).filter(|_| size.is_multiple_of(4) && size > 0).ok_or_else(damaged)?;
    let texts = std::str::from_utf8(&rest[size..])?;
    let links: Vec<u32> =
        links.as_chunks::<4>().0.iter().map(|link| u32::from_le_bytes(*link)).collect();
    let sound = links.iter().enumerate().all(|(at, link)| {
        // The first link is the root, which is followed whatever it is.
        if link & LEAF != 0 && at != 0 {
            return true;
        }
        let offset = (link >> 10) << ((link & (1 << 9)) >> 6);
        let next = at ^ offset as usize;
        // The next byte of a key is added to the place without a carry.
        let inside = (next | 0xFF) < links.len();
        let has_text = link & (1 << 8) != 0;
        inside && (!has_text || texts.is_char_boundary((links[next] & !LEAF) as usize))
    });
    if !sound {
        return Err(damaged());
    }
    Precompiled::from(map).map_err(|_| damaged())
}

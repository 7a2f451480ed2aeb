//! The files of a report: each run's page as Markdown and as HTML, its pictures, the atlas's tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::html::{self, Cells};
use crate::pictures::{Content, Picture};
use crate::report::Report;
use crate::sections::page;
use crate::{atlas_tables, pictures};
use evidence::Sweeps;

/// A run's page.
pub(crate) struct Page<'a> {
    report: &'a Report,
    /// Stands before the names of files where several runs have theirs in one folder.
    prefix: String,
    pictures: Vec<Picture>,
    /// The Markdown.
    pub(crate) text: String,
}

/// The pages of all runs; `in_one_folder` where their files are to lie together.
///
/// # Errors
/// When a picture cannot be drawn.
pub(crate) fn of<'a>(
    runs: &'a [Report],
    sweeps: &Sweeps,
    in_one_folder: bool,
) -> Result<Vec<Page<'a>>> {
    let page = |report: &'a Report| {
        let prefix = match report.run.folder.file_name() {
            Some(name) if in_one_folder && runs.len() > 1 => format!("{}-", name.to_string_lossy()),
            _ => String::new(),
        };
        let pictures = pictures::of(&report.summary, sweeps, &prefix)?;
        let text = page::render(report, &pictures, &prefix);
        Ok(Page { report, prefix, pictures, text })
    };
    runs.iter().map(page).collect()
}

/// What was written: the page to open, and what lies beside it.
pub(crate) struct Written {
    pub(crate) html: PathBuf,
    /// `report.md`, `8 pictures`.
    pub(crate) beside: Vec<String>,
}

impl Written {
    fn of(file: &Path, n_pictures: usize, n_tables: usize) -> Written {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let others = [(n_pictures, "picture"), (n_tables, "table of the atlas")];
        let others = others.into_iter().filter(|(n, _)| *n > 0);
        let others = others.map(|(n, thing)| match (n, thing) {
            (1, _) => format!("1 {thing}"),
            (_, "picture") => format!("{n} pictures"),
            _ => format!("{n} tables of the atlas"),
        });
        let beside = [name].into_iter().chain(others).collect();
        Written { html: file.with_extension("html"), beside }
    }
}

/// Writes all pages, which make up `whole`, as one file, with everything else beside it.
pub(crate) fn write_one(file: &Path, whole: &str, pages: &[Page<'_>]) -> Result<Written> {
    let (mut n_pictures, mut n_tables) = (0, 0);
    for page in pages {
        n_pictures += page.write_pictures(file)?;
        n_tables += page.write_tables(files::folder_of(file))?;
    }
    write(file, whole.as_bytes())?;
    write_html(file, whole, pages)?;
    Ok(Written::of(file, n_pictures, n_tables))
}

/// Writes each page into its run's folder, with everything else beside it; the value is of the last one.
pub(crate) fn write_each(pages: &[Page<'_>]) -> Result<Option<Written>> {
    let write = |page: &Page<'_>| {
        write_one(&page.report.run.folder.join("report.md"), &page.text, std::slice::from_ref(page))
    };
    Ok(pages.iter().map(write).collect::<Result<Vec<_>>>()?.pop())
}

/// Writes the page about all runs. The rows of the cells that it names stand in the pages of the runs.
pub(crate) fn write_overview(file: &Path, text: &str) -> Result<Written> {
    write_one(file, text, &[])
}

impl Page<'_> {
    /// Writes the pictures beside `page`; the value is their number.
    fn write_pictures(&self, page: &Path) -> Result<usize> {
        let mut n = 0;
        for Picture { name, content } in &self.pictures {
            if let Content::Drawn { svg, .. } = content {
                let file = page.with_file_name(format!("{}{name}.svg", self.prefix));
                write(&file, svg.as_bytes())?;
                n += 1;
            }
        }
        Ok(n)
    }

    fn write_tables(&self, folder: &Path) -> Result<usize> {
        Ok(atlas_tables::write(&self.report.summary.atlas, folder, &self.prefix)?.len())
    }
}

/// Writes `text`, Markdown that shows pictures of `pages`, as HTML beside `file`.
fn write_html(file: &Path, text: &str, pages: &[Page<'_>]) -> Result<()> {
    let mut drawn = BTreeMap::new();
    for page in pages {
        for picture in &page.pictures {
            if let Content::Drawn { svg, .. } = &picture.content {
                drawn.insert(format!("{}{}.svg", page.prefix, picture.name), svg.as_str());
            }
        }
    }
    let cells = Cells::of(pages.iter().map(|page| &page.report.summary));
    write(&file.with_extension("html"), html::render(text, &drawn, &cells).as_bytes())
}

/// Writes a file, which has its name only when it is whole.
///
/// # Errors
/// When it cannot be written, with what to do.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    files::write(file, bytes).with_context(|| {
        format!("cannot write {}: choose another place with --out FILE.md", file.display())
    })
}

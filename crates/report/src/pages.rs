//! The files of a report: each run's page as Markdown and as HTML, its pictures, the atlas's tables.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rayon::prelude::*;

use crate::html::{self, Cells};
use crate::pictures::{Content, Picture};
use crate::run::Run;
use crate::summary::Summary;
use crate::sweeps::Sweeps;
use crate::{atlas, page, pictures};

/// A run's page.
pub(crate) struct Page<'a> {
    run: &'a Run,
    summary: &'a Summary,
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
    runs: &'a [(Run, Summary)],
    sweeps: &Sweeps,
    in_one_folder: bool,
) -> Result<Vec<Page<'a>>> {
    let page = |(run, summary): &'a (Run, Summary)| {
        let prefix = match run.folder.file_name() {
            Some(name) if in_one_folder && runs.len() > 1 => format!("{}-", name.to_string_lossy()),
            _ => String::new(),
        };
        let pictures = pictures::of(summary, sweeps, &prefix)?;
        let text = page::render(summary, &pictures, &prefix);
        Ok(Page { run, summary, prefix, pictures, text })
    };
    runs.iter().map(page).collect()
}

/// Writes all pages, which make up `whole`, as one file, with everything else beside it.
pub(crate) fn write_one(file: &Path, whole: &str, pages: &[Page<'_>]) -> Result<()> {
    write(file, whole.as_bytes())?;
    write_html(file, whole, pages)?;
    for page in pages {
        page.write_pictures(file)?;
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    pages.iter().try_for_each(|page| page.write_tables(folder.unwrap_or(Path::new("."))))
}

/// Writes each page into its run's folder, with everything else beside it.
pub(crate) fn write_each(pages: &[Page<'_>]) -> Result<()> {
    for page in pages {
        let file = page.run.folder.join("report.md");
        write(&file, page.text.as_bytes())?;
        write_html(&file, &page.text, std::slice::from_ref(page))?;
        page.write_pictures(&file)?;
        page.write_tables(&page.run.folder)?;
    }
    Ok(())
}

/// Writes the page about all runs. The rows of the cells that it names stand in the pages of the runs.
pub(crate) fn write_overview(file: &Path, text: &str) -> Result<()> {
    write(file, text.as_bytes())?;
    write_html(file, text, &[])
}

impl Page<'_> {
    /// Writes the pictures beside `page`. Making pixels takes longest: each has a thread.
    fn write_pictures(&self, page: &Path) -> Result<()> {
        let files = self.pictures.par_iter().map(Picture::files).collect::<Result<Vec<_>>>()?;
        for (name, bytes) in files.into_iter().flatten() {
            write(&page.with_file_name(format!("{}{name}", self.prefix)), &bytes)?;
        }
        Ok(())
    }

    fn write_tables(&self, folder: &Path) -> Result<()> {
        for written in atlas::write(&self.summary.atlas, folder, &self.prefix)? {
            eprintln!("wrote {written}");
        }
        Ok(())
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
    let cells = Cells::of(pages.iter().map(|page| page.summary));
    write(&file.with_extension("html"), html::render(text, &drawn, &cells).as_bytes())
}

/// Writes a file and says so.
///
/// # Errors
/// When it cannot be written, with what to do.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(file, bytes).with_context(|| {
        format!("cannot write {}: choose another place with --out FILE.md", file.display())
    })?;
    eprintln!("wrote {}", file.display());
    Ok(())
}

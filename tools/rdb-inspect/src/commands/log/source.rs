//! What kind of log a path is.

use std::path::{Path, PathBuf};

use everfast::persist::file_names;

use super::report::Report;
use super::sink::Sink;
use super::{aof, everfast_dir};
use crate::failure::Failure;
use crate::input::{self, Input};

/// What stands at a path.
pub enum Source {
    Aof(Input),
    AofDirectory { name: String, manifest: PathBuf },
    Segment(Input),
    DataDirectory(PathBuf),
}

impl Source {
    pub fn of(path: &Path) -> Result<Source, Failure> {
        match path.is_dir() {
            true => Source::of_dir(path),
            false => Source::of_file(path),
        }
    }

    fn of_dir(dir: &Path) -> Result<Source, Failure> {
        if dir.join(file_names::MANIFEST).exists() {
            return Ok(Source::DataDirectory(dir.to_path_buf()));
        }
        if let Some(manifest) = aof::manifest_in(dir)? {
            return Ok(Source::AofDirectory { name: dir.display().to_string(), manifest });
        }
        let paths = aof::paths_in(dir)?;
        for folder in paths.iter().filter(|path| path.is_dir()) {
            if let Ok(Some(manifest)) = aof::manifest_in(folder) {
                return Ok(Source::AofDirectory { name: folder.display().to_string(), manifest });
            }
        }
        let mut files =
            paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "aof"));
        match (files.next(), files.next()) {
            (Some(file), None) => Source::of_file(file),
            (Some(file), Some(_)) => {
                let (dir, file) = (dir.display(), file.display());
                Err(Failure::Usage(format!(
                    "{dir} holds several append-only files: name one, such as {file}"
                )))
            }
            _ => Err(Failure::Usage(format!(
                "{} holds no log: neither MANIFEST, nor a manifest of \
                append-only files, nor a file *.aof",
                dir.display()
            ))),
        }
    }

    fn of_file(path: &Path) -> Result<Source, Failure> {
        if aof::is_manifest(path) {
            return Ok(Source::AofDirectory {
                name: path.display().to_string(),
                manifest: path.to_path_buf(),
            });
        }
        let input = Input::open(path)?;
        match input::kind(input.bytes()) {
            input::Kind::Segment => Ok(Source::Segment(input)),
            input::Kind::Manifest => {
                Err(Failure::Usage(format!("{}: name the data directory instead", input.name)))
            }
            _ => Ok(Source::Aof(input)),
        }
    }

    pub fn has_several_files(&self) -> bool {
        matches!(self, Source::AofDirectory { .. } | Source::DataDirectory(_))
    }

    /// Gives all commands to `sink`.
    pub fn read(&self, max_args: u64, sink: &mut Sink<'_>) -> Result<Report, Failure> {
        match self {
            Source::Aof(input) => aof::file(input, max_args, sink),
            Source::AofDirectory { name, manifest } => aof::directory(name, manifest, max_args, sink),
            Source::Segment(input) => everfast_dir::segment(input, sink),
            Source::DataDirectory(dir) => everfast_dir::directory(dir, sink),
        }
    }
}

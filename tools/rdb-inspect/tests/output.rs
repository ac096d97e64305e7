//! Where results go: never onto an input, never into a data directory, through what is no regular file.

use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{Run, inspect, program, testdata};
use crate::program::{key, rdb};

/// All commands that write files, with the option that names the file.
const WRITERS: [(&[&str], &str); 11] = [
    (&["json"], "-o"),
    (&["ndjson"], "-o"),
    (&["csv"], "-o"),
    (&["resp"], "-o"),
    (&["memory"], "-o"),
    (&["bigkeys"], "-o"),
    (&["prefixes"], "-o"),
    (&["report"], "-o"),
    (&["filter"], "-o"),
    (&["convert", "--rdb-version", "11"], "-o"),
    (&["salvage"], "-o"),
];

fn write(words: &[&str], input: &Path, option: &str, output: &Path) -> Run {
    let words = words.iter().map(PathBuf::from);
    inspect(words.chain([input.to_path_buf(), option.into(), output.to_path_buf()]))
}

/// A folder with a copy of a real server's file.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.rdb");
    fs::copy(testdata("redis-7.0.rdb"), &input).unwrap();
    (folder, input)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn no_command_writes_onto_its_input() {
    let (folder, input) = folder();
    let content = fs::read(&input).unwrap();
    fs::hard_link(&input, folder.path().join("hard")).unwrap();
    symlink("in.rdb", folder.path().join("soft")).unwrap();
    symlink("soft", folder.path().join("softer")).unwrap();
    let roundabout = folder.path().join("..").join(folder.path().file_name().unwrap()).join("in.rdb");
    for (words, option) in WRITERS {
        for output in ["in.rdb", "hard", "soft", "softer"]
            .map(|name| folder.path().join(name))
            .into_iter()
            .chain([roundabout.clone()])
        {
            let run = write(words, &input, option, &output);
            assert_eq!(run.code, 2, "{words:?} {output:?}: {run:?}");
            assert!(run.stderr.contains("is an input"), "{words:?} {output:?}: {run:?}");
        }
        let from_stdin = program()
            .args(words)
            .args(["-", option])
            .arg(&input)
            .stdin(File::open(&input).unwrap())
            .output()
            .unwrap();
        assert_eq!(from_stdin.status.code(), Some(2), "{words:?}: {from_stdin:?}");
        // The other name of a link is the input, too.
        let run = write(words, &folder.path().join("soft"), option, &input);
        assert_eq!(run.code, 2, "{words:?}: {run:?}");
    }
    assert_eq!(fs::read(&input).unwrap(), content);
    assert_eq!(names(folder.path()), ["hard", "in.rdb", "soft", "softer"]);
}

#[test]
fn standard_output_must_not_be_the_input_either() {
    let (_folder, input) = folder();
    let before = fs::read(&input).unwrap();
    let appended = fs::OpenOptions::new().append(true).open(&input).unwrap();
    let run = program().arg("json").arg(&input).stdout(appended).output().unwrap();
    assert_eq!(run.status.code(), Some(2), "{run:?}");
    assert_eq!(fs::read(&input).unwrap(), before);
}

#[test]
fn links_are_followed_and_stay() {
    let (folder, input) = folder();
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    for (words, option) in WRITERS {
        let (target, link) = (other.join("target"), folder.path().join("link"));
        for is_there in [false, true] {
            if is_there {
                fs::write(&target, "old").unwrap();
            }
            symlink("other/target", &link).unwrap();
            write(words, &input, option, &link).good();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "{words:?}");
            assert!(fs::metadata(&target).unwrap().len() > 3, "{words:?}");
            fs::remove_file(&target).unwrap();
            fs::remove_file(&link).unwrap();
        }
        assert_eq!(names(&other), [] as [&str; 0]);
    }
}

#[test]
fn what_is_no_regular_file_is_written_through() {
    let (folder, input) = folder();
    let pipe = folder.path().join("pipe");
    fifo(&pipe);
    for (words, option) in WRITERS {
        let mut child =
            program().args(words).arg(&input).arg(option).arg(&pipe).stdout(Stdio::null()).spawn().unwrap();
        let mut content = Vec::new();
        File::open(&pipe).unwrap().read_to_end(&mut content).unwrap();
        assert!(child.wait().unwrap().success(), "{words:?}");
        assert!(content.len() > 3, "{words:?}");
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo(), "{words:?}");
    }
    assert_eq!(names(folder.path()), ["in.rdb", "pipe"]);
}

#[test]
fn open_files_are_continued() {
    let (folder, input) = folder();
    let json = inspect(["json".as_ref(), input.as_os_str()]).good().stdout;
    let link = folder.path().join("link");
    symlink("/proc/self/fd/1", &link).unwrap();
    for name in [link.to_str().unwrap(), "/proc/self/fd/1", "-"] {
        let out = folder.path().join("out");
        fs::write(&out, "before\n").unwrap();
        let open = fs::OpenOptions::new().append(true).open(&out).unwrap();
        let run = program().args(["json", "-o", name]).arg(&input).stdout(open).status().unwrap();
        assert!(run.success(), "{name}");
        assert_eq!(fs::read(&out).unwrap(), [b"before\n", &json[..]].concat(), "{name}");
    }
}

#[test]
fn a_replaced_file_keeps_its_permissions() {
    let (folder, input) = folder();
    for (words, option) in WRITERS {
        let out = folder.path().join("out");
        for mode in [0o600, 0o664, 0o640] {
            fs::write(&out, "old").unwrap();
            fs::set_permissions(&out, Permissions::from_mode(mode)).unwrap();
            write(words, &input, option, &out).good();
            assert_eq!(fs::metadata(&out).unwrap().mode() & 0o7777, mode, "{words:?}");
        }
    }
}

#[test]
fn nothing_is_written_into_a_data_directory() {
    let (folder, input) = folder();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("MANIFEST"), "everfast-manifest 1\n").unwrap();
    symlink(data.join("MANIFEST"), folder.path().join("link")).unwrap();
    for (words, option) in WRITERS {
        for output in [data.join("MANIFEST"), data.join("x"), folder.path().join("link")] {
            let run = write(words, &input, option, &output);
            assert_eq!(run.code, 2, "{words:?} {output:?}: {run:?}");
            assert!(run.stderr.contains("data directory"), "{run:?}");
        }
    }
    let run = write(&["split", "--by", "db"], &input, "--output-dir", &data);
    assert_eq!(run.code, 2, "{run:?}");
    assert_eq!(names(&data), ["MANIFEST"]);
    assert_eq!(fs::read(data.join("MANIFEST")).unwrap(), b"everfast-manifest 1\n");
}

#[test]
fn a_folder_as_output_is_refused_before_the_input_is_read() {
    let (folder, _) = folder();
    for (words, option) in WRITERS {
        for output in [folder.path().to_path_buf(), folder.path().join("new/")] {
            let run = write(words, Path::new("/no/such/input"), option, &output);
            assert_eq!(run.code, 2, "{words:?}: {run:?}");
            assert!(run.stderr.contains("is a folder"), "{words:?}: {run:?}");
        }
    }
    assert_eq!(names(folder.path()), ["in.rdb"]);
}

#[test]
fn a_failed_run_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, out) = (folder.path().join("missing"), folder.path().join("out"));
    for (words, option) in WRITERS {
        let run = write(words, &missing, option, &out);
        assert_eq!(run.code, 2, "{words:?}: {run:?}");
        assert_eq!(names(folder.path()), [] as [&str; 0], "{words:?}");
    }
    // Found out only while the file is written.
    let big = rdb(&[&[key(b"k", b"v"), key(b"k", b"w")].concat()]);
    let merge =
        inspect(["merge", &big.path, &big.path, "--on-duplicate", "error", "-o", out.to_str().unwrap()]);
    assert_eq!(merge.code, 2, "{merge:?}");
    assert_eq!(names(folder.path()), [] as [&str; 0]);
}

#[test]
fn help_that_cannot_be_written_is_a_failure() {
    for option in ["--help", "--version"] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let run = program().arg(option).stdout(full).output().unwrap();
        assert_eq!(run.status.code(), Some(2), "{run:?}");
        inspect([option]).good();
    }
}

#[test]
fn the_folder_of_manual_pages_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    inspect(["man".as_ref(), "--output-dir".as_ref(), pages.as_os_str()]).good();
    assert!(names(&pages).contains(&"rdb-inspect.1".to_owned()));
}

#[test]
fn limits_that_are_too_large_are_refused() {
    let input = rdb(&[&key(b"k", b"v")]);
    for command in ["summary", "log"] {
        for arguments in [["--top", "10001"], ["--prefixes", "4097"]] {
            assert_eq!(
                inspect([command, arguments[0], arguments[1], &input.path]).code,
                2,
                "{command} {arguments:?}"
            );
        }
        inspect([command, "--top", "10000", "--prefixes", "4096", &input.path]).good();
    }
}

#[test]
fn standard_error_that_cannot_be_written_stops_nothing() {
    let (folder, _) = folder();
    let out = folder.path().join("out");
    let damaged = rdb(&[&key(b"k", b"v"), b"\x63"]);
    for (words, code) in
        [(["csv", &damaged.path], 1), (["csv", "/no/such/file"], 2), (["get", &damaged.path], 1)]
    {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut program = program();
        match words[0] {
            "get" => program.args(words).arg("no such key"),
            _ => program.args(words).arg("-o").arg(&out),
        };
        let run = program.stderr(full).output().unwrap();
        assert_eq!(run.status.code(), Some(code), "{words:?}: {run:?}");
    }
    assert_eq!(names(folder.path()), ["in.rdb", "out"]);
}

//! The page holds what it was given, nothing from data becomes markup, and a browser runs it without an error.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, process};

use super::data::*;
use super::sample::{HOSTILE, empty, hostile, limits, one_key, several, shop};
use super::{PAGE, SCRIPTS, STYLE, render};

/// Uses the page as a reader would and leaves what it saw in the root element.
const READER: &str = include_str!("reader.js");
const DATA_START: &str = "<script type=\"application/json\" id=\"data\">";
const DATA_END: &str = "</script>";

fn page(data: &ReportData) -> String {
    let mut out = Vec::new();
    render(data, &mut out).expect("writes to memory");
    String::from_utf8(out).expect("the page is UTF-8")
}

/// The page around its data, and the data.
fn parts(page: &str) -> (String, &str) {
    let (head, rest) = page.split_once(DATA_START).expect("there is a data block");
    let (json, tail) = rest.split_once(DATA_END).expect("the data block ends");
    (format!("{head}{tail}"), json)
}

#[test]
fn every_slot_of_the_page_is_filled() {
    let names: Vec<_> = PAGE.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()).collect();
    assert_eq!(names, ["style", "data", "script"]);
    let page = page(&empty());
    assert!(page.contains(STYLE) && page.contains(&SCRIPTS.concat()));
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
}

#[test]
fn the_shell_is_the_same_for_any_data() {
    let plain = page(&empty());
    let (shell, _) = parts(&plain);
    for data in [hostile(), shop(500, 100)] {
        let page = page(&data);
        assert_eq!(parts(&page).0, shell);
    }
    for name in HOSTILE {
        let page = page(&one_key(name));
        assert_eq!(parts(&page).0, shell);
    }
}

#[test]
fn the_data_block_has_no_character_of_markup() {
    let page = page(&hostile());
    let (_, json) = parts(&page);
    assert!(!json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']));
    assert!(json.contains("\\u003c/script\\u003e"));
    let value: serde_json::Value = serde_json::from_str(json).expect("the block is JSON");
    let key = value["data"]["biggest"][1]["key"].as_str().expect("a key");
    assert_eq!(key.as_bytes(), HOSTILE[1], "escapes are undone by reading");
}

#[test]
fn the_page_refers_to_nothing_outside() {
    let page = page(&shop(2000, 500)).to_lowercase();
    let outward =
        ["http:", "https:", "src=", "//cdn", "@import", "url(", "fetch(", "xmlhttprequest", "<link", "<base"];
    for reference in outward {
        assert!(!page.contains(reference), "the page has `{reference}`");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn the_script_makes_no_markup_from_text() {
    for way in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "</",
        "<!--",
    ] {
        assert!(!SCRIPTS.concat().contains(way), "the script has `{way}`");
    }
    assert!(!STYLE.contains("</"));
}

#[test]
fn types_are_named_by_their_index() {
    for (index, key_type) in KeyType::ALL.into_iter().enumerate() {
        assert_eq!(key_type.index(), index);
    }
    let page = page(&empty());
    let value: serde_json::Value = serde_json::from_str(parts(&page).1).expect("the block is JSON");
    assert_eq!(value["legend"]["types"][KeyType::SortedSet.index()], "zset");
    assert_eq!(value["data"]["files"][0]["checksum"]["value"], "fedcba9876543210");
}

#[test]
fn text_spells_out_what_does_not_show() {
    let cases: [(&[u8], &str); 7] = [
        (b"user:1", "user:1"),
        ("caf\u{e9} \u{6771}\u{4eac}".as_bytes(), "caf\u{e9} \u{6771}\u{4eac}"),
        (b"a\\b\n\0\x7f", "a\\\\b\\n\\x00\\x7f"),
        (b"\xffz\xc3", "\\xffz\\xc3"),
        ("\u{202e}\u{200b}\u{feff}".as_bytes(), "\\u{202e}\\u{200b}\\u{feff}"),
        ("\u{85}".as_bytes(), "\\u{85}"),
        (b"", ""),
    ];
    for (bytes, text) in cases {
        assert_eq!(Text::from_bytes(bytes).as_str(), text);
    }
}

#[test]
fn text_is_cut_at_its_limit() {
    for c in ["x", "\u{e9}", "\u{1f600}"] {
        let whole = Text::from_bytes(c.repeat(Text::MAX_CHARS).as_bytes());
        assert_eq!(whole.as_str(), c.repeat(Text::MAX_CHARS));
        let longer = Text::from_bytes(c.repeat(Text::MAX_CHARS + 1).as_bytes());
        assert_eq!(longer.as_str(), c.repeat(Text::MAX_CHARS) + "…");
    }
    let longest = Text::from_bytes(&vec![0xff; 1 << 20]);
    assert_eq!(longest.as_str().chars().count(), 4 * Text::MAX_CHARS + 1);
}

/// The browser that `EVERFAST_TEST_CHROMIUM` names, which must work, or one that is installed.
fn chromium() -> Option<PathBuf> {
    if let Some(named) = env::var_os("EVERFAST_TEST_CHROMIUM") {
        return Some(PathBuf::from(named));
    }
    let path = env::var_os("PATH")?;
    let candidates = env::split_paths(&path)
        .flat_map(|folder| ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name)));
    candidates.into_iter().find(|file| file.is_file())
}

/// The document after its scripts ran. `query` follows the file's address: a fragment.
fn dump_dom(chromium: &Path, file: &Path, fragment: &str) -> String {
    let profile = file.with_extension("profile");
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1440,2400", "--dump-dom"])
        .arg("--virtual-time-budget=5000")
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}{fragment}", file.display()))
        .output()
        .expect("the browser starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_reader_can_zoom_filter_sort_and_turn_pages() {
    let Some(chromium) = chromium() else {
        println!("no browser: the page was not used");
        return;
    };
    let folder = env::temp_dir().join(format!("rdb-reader-{}", process::id()));
    fs::create_dir_all(&folder).expect("a folder for the page");
    let file = folder.join("reader.html");
    fs::write(
        &file,
        page(&shop(20_000, 300)).replace("</body>", &format!("<script>{READER}</script></body>")),
    )
    .expect("the page is written");
    let dom = dump_dom(&chromium, &file, "");
    let _ = fs::remove_dir_all(&folder); // a folder in the system's temporary files
    let root = dom.split("<head>").next().unwrap_or_default();
    let seen = root.split("data-seen=\"").nth(1).and_then(|rest| rest.split('"').next());
    let expected = "crumbs=1 zoomed=true crumbs=2 crumbs=1 moved=true rows=300 page=50 matches=true none=0 \
                    sorted=true second=51 strings=true measure=Keys theme=true";
    assert_eq!(seen, Some(expected), "{root}");
}

fn cells(dom: &str) -> usize {
    dom.matches("<div class=\"cell ").count()
}

/// The sample pages stay in the folder that `EVERFAST_REPORT_DIR` names, if it does.
#[test]
fn a_browser_runs_the_page_without_an_error() {
    let kept = env::var_os("EVERFAST_REPORT_DIR").map(PathBuf::from);
    let folder =
        kept.clone().unwrap_or_else(|| env::temp_dir().join(format!("rdb-report-{}", process::id())));
    fs::create_dir_all(&folder).expect("a folder for the pages");
    let long = "a-rather-long-segment:".repeat(60);
    let samples = [
        ("shop", shop(60_000, 2000), "", 25),
        ("shop", shop(60_000, 2000), "#prefix=user%3A", 3),
        ("limits", limits(), "", 500),
        ("several", several(), "", 25),
        ("hostile", hostile(), "", HOSTILE.len()),
        ("long", one_key(long.as_bytes()), "", 1),
        ("one", one_key(b"greeting"), "", 1),
        ("empty", empty(), "", 0),
    ];
    let Some(chromium) = chromium() else {
        println!("no browser: the pages were not run");
        return;
    };
    for (name, data, fragment, least_cells) in samples {
        let file = folder.join(name).with_extension("html");
        fs::write(&file, page(&data)).expect("the page is written");
        let dom = dump_dom(&chromium, &file, fragment);
        let root = dom.split("<head>").next().unwrap_or_default();
        assert!(root.contains("data-ready=\"true\""), "{name}: the script did not end: {root}");
        assert!(!root.contains("data-error") && !root.contains("data-owned"), "{name}: {root}");
        assert!(cells(&dom) >= least_cells, "{name}: {} cells of {least_cells}", cells(&dom));
        assert!(!dom.contains("<img") && dom.matches("<script").count() == 2, "{name}: data became markup");
    }
    if kept.is_none() {
        let _ = fs::remove_dir_all(&folder); // a folder in the system's temporary files
    }
}

//! What a report looks like, in a real browser: pictures in the artefacts of the tests, and no overflow on a narrow screen.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::troubled;
use crate::bench::Bench;

/// Debian's Chromium, without a window, a network of its own accord, or anything from a profile.
fn chromium(profile: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("chromium");
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]);
    command.args(["--disable-extensions", "--disable-background-networking", "--disable-component-update"]);
    command.arg(format!("--user-data-dir={}", profile.display())).args(args);
    let output = command.output().expect("Chromium is needed to look at reports: apt-get install chromium");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Where the pictures are left, for people.
fn artefacts() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reports");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A page around the report, as wide as a screen, that says in its own text how wide and high the report is inside.
fn frame(bench: &Bench, width: u32) -> String {
    let text = format!(
        "<!doctype html><body style=\"margin:0\"><iframe id=\"f\" src=\"report.html\" style=\"width:{width}px;height:12000px;border:0\">\
         </iframe><p id=\"told\"></p><script>f.onload=()=>{{const d=f.contentDocument.documentElement;\
         const wide=[...f.contentDocument.querySelectorAll('main *:not(svg *):not(svg)')]\
         .filter(e=>!e.closest('.picture')&&e.getBoundingClientRect().right>{width}+1).map(e=>e.tagName);\
         told.textContent=['width',d.scrollWidth,'height',f.contentDocument.body.scrollHeight,'wide',wide.length,wide[0]].join(' ')}}\
         </script>"
    );
    let name = format!("frame-{width}.html");
    bench.write(&name, &text);
    format!("file://{}", bench.path(&name).display())
}

fn told(dom: &str) -> Vec<String> {
    let (_, rest) = dom.split_once("<p id=\"told\">").unwrap();
    rest.split('<').next().unwrap().split(' ').map(str::to_owned).collect()
}

#[test]
fn a_report_fits_narrow_and_wide_screens_light_dark_and_on_paper() {
    let bench = Bench::new();
    let run = troubled(&bench);
    bench.run(&["report", &run, "--format", "html", "--out", "report.html"]).expect(0);
    let profile = bench.path("profile");
    for width in [390, 1280] {
        let address = frame(&bench, width);
        let dom = chromium(&profile, &["--allow-file-access-from-files", "--dump-dom", &address]);
        let told = told(&String::from_utf8_lossy(&dom.stdout));
        let (wide, high): (u32, u32) = (told[1].parse().unwrap(), told[3].parse().unwrap());
        assert!(wide <= width && told[5] == "0", "at {width} pixels it is {told:?} wide");
        assert!((800..12_000).contains(&high), "{told:?}");
        for (scheme, setting) in [("light", "1"), ("dark", "0")] {
            let picture = artefacts().join(format!("report-{width}-{scheme}.png"));
            let _ = std::fs::remove_file(&picture);
            let shot = format!("--screenshot={}", picture.display());
            let (size, colours) = (
                format!("--window-size={},{high}", width.max(500)),
                format!("--blink-settings=preferredColorScheme={setting}"),
            );
            chromium(&profile, &[&shot, &size, &colours, &address]);
            assert!(std::fs::metadata(&picture).unwrap().len() > 20_000, "{} is no picture", picture.display());
        }
    }
    let paper = artefacts().join("report.pdf");
    let address = format!("file://{}", bench.path("report.html").display());
    chromium(&profile, &[&format!("--print-to-pdf={}", paper.display()), "--no-pdf-header-footer", &address]);
    assert!(std::fs::read(&paper).unwrap().starts_with(b"%PDF"));
}

#[test]
fn a_browser_makes_of_the_page_what_was_meant() {
    let bench = Bench::new();
    let run = troubled(&bench);
    bench.run(&["report", &run, "--format", "html", "--out", "report.html"]).expect(0);
    let address = format!("file://{}", bench.path("report.html").display());
    let dom = chromium(&bench.path("profile"), &["--dump-dom", &address]);
    let dom = String::from_utf8_lossy(&dom.stdout);
    for landmark in ["<header", "<nav aria-label", "<main id=\"main\"", "<footer", "<h1>", "lang=\"en\""] {
        assert_eq!(dom.matches(landmark).count(), 1, "{landmark}");
    }
    // Every table has heads for its columns and rows, and every picture has words.
    let count = |text: &str| dom.matches(text).count();
    assert!(count("<table") >= 6 && count("<caption>") == count("<table") && count("<thead>") == count("<table"));
    assert_eq!(count("<tr>"), count("<thead><tr>") + count("<th scope=\"row\""));
    assert_eq!((count("<svg "), count("role=\"img\"")), (2, 2));
    assert!(count("<desc id=") == 2 && count("<figcaption>") == 2);
    // Names of places in the page are used once.
    let mut ids: Vec<&str> = dom.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
    assert!(!dom.contains("<b>rehearsal"));
}

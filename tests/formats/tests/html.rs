//! The HTML report before a parser of browsers (html5ever): nothing to mend, nothing to load, and
//! every link leads to a place in the page.

use std::collections::BTreeSet;

use finwait_formats::{LEAKING, recording, recordings, written};
use scraper::{Html, Selector};

fn page(captures: &[std::path::PathBuf]) -> Html {
    Html::parse_document(&written(&["report", "--format", "html"], captures))
}

fn all<'a>(page: &'a Html, selector: &str) -> Vec<scraper::ElementRef<'a>> {
    let selector = Selector::parse(selector).expect("a selector");
    page.select(&selector).collect()
}

#[test]
fn a_browser_has_nothing_to_mend() {
    let clean = recording("kernel/four-segment-close/server.pcap");
    for captures in [vec![recording(LEAKING)], vec![clean], recordings()] {
        let page = page(&captures);
        assert!(page.errors.is_empty(), "{:?}", page.errors);
        assert_eq!(format!("{:?}", page.quirks_mode), "NoQuirks", "its doctype is known");
    }
    let broken = Html::parse_document("<!doctype html><p></b>");
    assert!(!broken.errors.is_empty(), "the parser tells");
}

#[test]
fn it_needs_no_network_and_no_script() {
    let page = page(&recordings());
    let loads = "script, link, iframe, object, embed, img, video, audio, base, form, [src], \
                 [srcset], [onclick], [onload]";
    assert_eq!(all(&page, loads).len(), 0);
    let policy = all(&page, "meta[http-equiv='Content-Security-Policy']");
    assert!(policy[0].attr("content").unwrap().contains("default-src 'none'"));
    for style in all(&page, "style") {
        let text: String = style.text().collect();
        assert!(!text.contains("url(") && !text.contains("@import"), "a style loads something");
    }
    let ids: BTreeSet<&str> = all(&page, "[id]").iter().filter_map(|it| it.attr("id")).collect();
    assert_eq!(ids.len(), all(&page, "[id]").len(), "an id stands twice");
    let links = all(&page, "[href]");
    assert!(!links.is_empty());
    for link in links {
        let to = link.attr("href").unwrap();
        assert!(to.strip_prefix('#').is_some_and(|id| ids.contains(id)), "{to} leads nowhere");
    }
}

#[test]
fn its_tables_and_pictures_tell_what_they_are() {
    let page = page(&[recording(LEAKING)]);
    let heading: String = all(&page, "h1, .verdict")[0].text().collect();
    assert!(heading.contains("never closed 9 of the 10"), "{heading}");
    assert!(all(&page, "html")[0].attr("lang").is_some());
    for table in all(&page, "table") {
        let heads = Selector::parse("th[scope]").unwrap();
        assert!(table.select(&heads).next().is_some(), "{}", table.html());
    }
    for picture in all(&page, "svg") {
        let says = Selector::parse("title").unwrap();
        let is_named = picture.attr("aria-label").is_some()
            || picture.attr("aria-hidden").is_some()
            || picture.select(&says).next().is_some();
        assert!(is_named, "{}", &picture.html()[..200]);
    }
}

//! Bodies that nobody means well: what real servers sent, bent at random, read as every kind; and the language of matchers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
// How long it took to refuse is what one of the tests is about.
#![allow(clippy::disallowed_methods)]

mod bent;

use lifeboat_alerts::{Labels, Matchers, Parsed, Scheme, limits, sign, verify};
use proptest::prelude::*;

#[test]
fn what_was_sent_is_read_as_it_is_and_every_bend_is_survived() {
    for number in 0..32 {
        let (kind, whole) = bent::sent(number);
        let text = whole.to_string();
        assert!(bent::source(kind).read(text.as_bytes()).is_ok(), "{number}: {text}");
        // Every part becomes everything, one at a time.
        let parts = 256.min(text.len());
        for (part, what) in (0..parts).flat_map(|part| (0..19).map(move |what| (part, what))).step_by(61) {
            let mut value = whole.clone();
            let what = if what == 18 { 224 } else { what };
            bent::bend(&mut value, &[0, u8::try_from(part).unwrap(), what]);
            bent::look(value.to_string().as_bytes());
        }
    }
}

#[test]
fn what_is_too_much_is_refused_and_cheap() {
    let (kind, whole) = bent::sent(0);
    let deep = format!("{}1{}", "[".repeat(500_000), "]".repeat(500_000));
    let wide = format!("{{\"alerts\":[{}{{}}]}}", "{},".repeat(300_000));
    let long = whole.to_string().replace("RegionDown", &"x".repeat(limits::BODY_BYTES_MAX));
    let keys = format!("{{{}\"a\":1}}", (0..60_000).map(|key| format!("\"{key}\":1,")).collect::<String>());
    let start = std::time::Instant::now();
    for bad in
        [deep.as_bytes(), wide.as_bytes(), long.as_bytes(), keys.as_bytes(), b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf"]
    {
        assert!(!matches!(bent::source(kind).read(bad), Ok(Parsed::Batch(_))));
        bent::look(bad);
    }
    // Half a second each would be a way to keep the service busy; all of them together take milliseconds.
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bent_bodies_are_read_or_refused(number in 0_usize..200, bytes in proptest::collection::vec(any::<u8>(), 0..15), cut in any::<u16>()) {
        let (_, mut value) = bent::sent(number);
        bent::bend(&mut value, &bytes);
        let text = value.to_string();
        bent::look(text.as_bytes());
        // Cut off anywhere, also within a letter.
        bent::look(&text.as_bytes()[..usize::from(cut) % (text.len() + 1)]);
    }

    #[test]
    fn no_header_but_the_right_one_is_taken(header in "(t=[0-9]{0,20})?,?(v1=[0-9a-f]{0,70})?[ -~]{0,8}", body in any::<Vec<u8>>(), at in 1_000_000_000_u64..2_000_000_000) {
        let (now, window) = (at * 1_000, limits::REPLAY_WINDOW_MS);
        for scheme in [Scheme::Timed, Scheme::Body] {
            prop_assert!(verify(scheme, &[b"key"], &header, &body, now, window).is_err());
        }
        let signed = sign(b"key", &body, now);
        let timed = |secrets: &[&[u8]], now| verify(Scheme::Timed, secrets, &signed, &body, now, window);
        prop_assert!(timed(&[b"old", b"key"], now).is_ok());
        prop_assert!(timed(&[b"old"], now).is_err());
        prop_assert!(timed(&[b"key"], now + window + 1_000).is_err());
        let mut other = body.clone();
        other.push(0);
        prop_assert!(verify(Scheme::Timed, &[b"key"], &signed, &other, now, window).is_err());
    }

    #[test]
    fn any_text_is_matchers_or_a_mistake_with_its_place(text in "(\\{?[a-z\"ü🔥]{0,4} ?(=|!=|=~|!~|==|~) ?[a-z\"\\\\.*+(|)\\[]{0,6},?\\}?){0,6}|\\PC{0,40}", value in "\\PC{0,8}") {
        match Matchers::parse(&text) {
            Ok(matchers) => {
                let labels: Labels = [("a".to_owned(), value)].into();
                let again = Matchers::parse(&matchers.to_string());
                prop_assert_eq!(again.as_ref().map(|again| again.matches(&labels)), Ok(matchers.matches(&labels)));
            }
            Err(refused) => {
                prop_assert!(refused.code == "LB1016" || refused.code == "LB1017");
                if let Some((begin, end)) = refused.span {
                    prop_assert!(text.get(begin..end).is_some());
                }
            }
        }
    }
}

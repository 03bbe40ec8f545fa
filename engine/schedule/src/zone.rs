//! Time zones by their names in the IANA database, which is built in.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::refused::Refused;

/// A zone by its name, as `Europe/Zurich`. Upper and lower case count, as in the database.
///
/// # Errors
/// `LB0123` with the name that was most likely meant.
pub fn zone(name: &str) -> Result<TimeZone, Refused> {
    let known = TimeZoneDatabase::bundled();
    if let Ok(zone) = known.get(name)
        && zone.iana_name().is_none_or(|iana| iana == name)
    {
        return Ok(zone);
    }
    let help = match closest(name) {
        Some(best) => format!("did you mean '{best}'?"),
        None => "write a name of the IANA database, as Europe/Berlin or UTC".to_owned(),
    };
    let shown: String = name.chars().take(60).collect();
    Err(Refused::new("LB0123", format!("'{shown}' is not a time zone"), help))
}

fn closest(name: &str) -> Option<String> {
    // A long word is not compared: the distance takes time of the product of both lengths.
    if name.is_empty() || name.len() > 60 {
        return None;
    }
    let asked = name.to_lowercase().replace(' ', "_");
    let limit = (asked.chars().count() / 3).clamp(1, 4);
    let known = TimeZoneDatabase::bundled();
    let scored = known.available().filter_map(|known| {
        let whole = known.as_str().to_lowercase();
        // "Berlin" means the zone with that city.
        let city = whole.rsplit('/').next().unwrap_or_default() == asked;
        let distance = if city { 0 } else { strsim::damerau_levenshtein(&asked, &whole) };
        (distance <= limit).then(|| (distance, known.as_str().to_owned()))
    });
    scored.min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_database_and_no_others() {
        for name in ["UTC", "Europe/Zurich", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "CET", "Asia/Calcutta"] {
            assert!(zone(name).is_ok(), "{name}");
        }
        for (wrong, help) in [
            ("Europe/Zürich", "did you mean 'Europe/Zurich'?"),
            ("Berlin", "did you mean 'Europe/Berlin'?"),
            ("europe/berlin", "did you mean 'Europe/Berlin'?"),
            ("Europe/Berlni", "did you mean 'Europe/Berlin'?"),
            ("New York", "did you mean 'America/New_York'?"),
            ("", "write a name of the IANA database, as Europe/Berlin or UTC"),
            ("../../etc/passwd", "write a name of the IANA database, as Europe/Berlin or UTC"),
        ] {
            let refused = zone(wrong).unwrap_err();
            assert_eq!((refused.code, refused.help.as_str()), ("LB0123", help), "{wrong}");
        }
        assert!(zone(&"x".repeat(100_000)).unwrap_err().message.len() < 100);
    }
}

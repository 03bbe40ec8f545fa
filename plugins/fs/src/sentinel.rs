//! Sentinels: a small file with a time and a token that is written into protected data again and again. The one that is found
//! in a restored copy tells how much was lost.

use lifeboat_sdk::prelude::*;

/// The name of the file where the runbook says none.
const NAME: &str = ".lifeboat-sentinel";
/// More is no sentinel.
const BYTES_MAX: u32 = 4_096;

/// What stands in the file.
#[data]
pub struct Sentinel {
    /// When it was written: milliseconds since the Unix epoch.
    pub at: u64,
    /// What nobody can guess.
    pub token: String,
}

/// The path of the file.
pub fn place(path: &Option<String>) -> &str {
    path.as_deref().unwrap_or(NAME)
}

/// The sentinel that is there, or what is wrong with it.
pub fn read(dir: &Directory, path: &str) -> Result<Result<Sentinel, String>, Error> {
    let reader = match dir.open_reader(path, 0, None) {
        Ok(reader) => reader,
        Err(error) if error.is_not_found() => return Ok(Err("it is not there".to_owned())),
        Err(error) => return Err(error),
    };
    let bytes = reader.read(BYTES_MAX)?;
    Ok(lifeboat_sdk::serde_json::from_slice(&bytes).map_err(|error| format!("it is no sentinel: {error}")))
}

/// Whether it is there, and young enough.
pub fn check(dir: &Directory, path: &str, max_age_minutes: Option<u64>) -> Result<Option<String>, Error> {
    Ok(match read(dir, path)? {
        Ok(found) => too_old(found.at, host::now_ms(), max_age_minutes),
        Err(failure) => Some(failure),
    })
}

fn too_old(at: u64, now: u64, max_age_minutes: Option<u64>) -> Option<String> {
    let max = max_age_minutes?;
    let minutes = now.saturating_sub(at) / 60_000;
    (minutes > max || at > now.saturating_add(60_000))
        .then(|| format!("it is {minutes} minutes old, expected at most {max}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_counts_in_whole_minutes_and_no_sentinel_comes_from_the_future() {
        let now = 1_700_000_000_000;
        assert_eq!(too_old(now - 5 * 60_000, now, Some(5)), None);
        assert!(too_old(now - 7 * 60_000, now, Some(5)).is_some_and(|text| text.contains("7 minutes old")));
        assert!(too_old(now + 120_000, now, Some(5)).is_some());
        assert_eq!(too_old(0, now, None), None);
    }
}

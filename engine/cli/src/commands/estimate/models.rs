//! The models by name: what goes in comes from the command line, what comes out is told with its formula.

use lifeboat_core::Error;
use lifeboat_forecast::models::{availability, cost, frequency, point, recovery, scheme, storage};
use lifeboat_forecast::{Money, Seconds};
use serde_json::{Value, json};

use crate::args_estimate::{EffortArgs, Model};
use crate::view::amount::{decimal, money, percent};
use crate::view::{duration, plural};

/// What a model came to.
pub struct Answer {
    /// What it says, by name.
    pub rows: Vec<(String, String)>,
    /// How it was worked out.
    pub formula: &'static str,
    /// Whether an objective is met, and why, where there is one.
    pub verdict: Option<(bool, String)>,
    /// The same for scripts; times are in seconds, amounts in bytes.
    pub json: Value,
}

fn answer(rows: Vec<(&str, String)>, formula: &'static str, json: Value) -> Answer {
    let rows = rows.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    Answer { rows, formula, verdict: None, json }
}

fn time(seconds: Seconds) -> String {
    duration::duration(seconds.ms())
}

/// Works a model out.
///
/// # Errors
/// `LB0911` where it has no answer.
pub fn work_out(model: &Model) -> Result<Answer, Error> {
    match model {
        Model::Availability { mtbf, mttr, parts, needed, objective } => {
            availability((*mtbf, *mttr), *parts, *needed, *objective)
        }
        Model::Failure { parts, each } => {
            let any = availability::any_fails(*parts, *each)?;
            let all = availability::all_fail(*parts, *each)?;
            let rows = vec![
                ("at least one fails", percent(any.get())),
                ("none fails", percent(any.opposite().get())),
                ("all fail", percent(all.get())),
            ];
            let json = json!({"any": any, "none": any.opposite(), "all": all});
            Ok(answer(rows, "1 - (1 - p)^n", json))
        }
        Model::Recovery { .. } => recover(model),
        Model::Rpo { every, takes, lag, good, rpo } => {
            let schedule = point::Schedule { interval: *every, duration: *takes, lag: *lag, good: *good };
            lost(&schedule, *rpo)
        }
        Model::Frequency { backup, loss, mtbf } => {
            let best = frequency::Tradeoff { backup: *backup, loss: *loss, mtbf: *mtbf }.best()?;
            let rows = vec![
                ("best interval", time(best.interval)),
                ("backups", format!("{} a year", money(best.backups_a_year.get()))),
                ("lost work", format!("{} a year", money(best.losses_a_year.get()))),
            ];
            Ok(answer(rows, "T = sqrt(2 * cost of a backup * MTBF / cost of lost work) (Young)", json!(best)))
        }
        Model::Scheme { .. } => schemes(model),
        Model::Storage { .. } => room(model),
        Model::Cost { downtime, down, lost, loss, effort, mtbf } => {
            let (downtime, lost) = (*downtime, *lost);
            let incident = cost::Incident { downtime, down: *down, lost, loss: *loss, effort: work(effort) };
            let one = incident.cost()?;
            let mut rows =
                vec![("one failure", money(one.get())), ("of that, work", money(incident.effort.cost()?.get()))];
            let a_year = mtbf.map(|mtbf| incident.a_year(mtbf)).transpose()?;
            rows.extend(a_year.map(|a_year: Money| ("a year", money(a_year.get()))));
            let json = json!({"one": one, "effort": incident.effort.cost()?, "a_year": a_year});
            Ok(answer(rows, "ALE = SLE * ARO: what one costs, times failures a year", json))
        }
        Model::Drills { times, effort } => {
            let (one, a_year) = (work(effort).cost()?, work(effort).a_year(f64::from(*times))?);
            let rows = vec![("one drill", money(one.get())), ("a year", money(a_year.get()))];
            let formula = "people * time * price of a person + GB * price of a GB + fixed";
            Ok(answer(rows, formula, json!({"one": one, "a_year": a_year})))
        }
        Model::Worth { before, after, invested, running, interest, years } => worth(&cost::Measure {
            before: *before,
            after: *after,
            invested: *invested,
            running: *running,
            interest: *interest,
            years: *years,
        }),
    }
}

fn availability(
    (mtbf, mttr): (Seconds, Seconds),
    parts: usize,
    needed: Option<usize>,
    objective: Option<lifeboat_forecast::Probability>,
) -> Result<Answer, Error> {
    let one = availability::steady_state(mtbf, mttr)?;
    let needed = needed.unwrap_or(parts);
    let whole = if parts == 1 && needed == 1 { one } else { availability::k_of_n(needed, &vec![one; parts])? };
    let away = availability::downtime_a_year(whole)?;
    let mut rows = vec![("works", format!("{} of the time", percent(whole.get())))];
    rows.push(("does not", format!("{} a year", time(away))));
    let mut formula = "A = MTBF / (MTBF + MTTR)";
    if parts != 1 {
        rows.insert(
            0,
            ("needed", format!("{needed} of {parts}, each of which works {} of the time", percent(one.get()))),
        );
        formula = "the sum over i = k … n of C(n, i) * A^i * (1 - A)^(n - i), with A = MTBF / (MTBF + MTTR)";
    }
    let json = json!({"availability": whole, "each": one, "downtime_a_year": away});
    let mut found = answer(rows, formula, json);
    found.verdict = objective.map(|asked| {
        let met = whole >= asked;
        (
            met,
            format!(
                "{} of the time is {} {}",
                percent(whole.get()),
                if met { "at least" } else { "less than" },
                percent(asked.get())
            ),
        )
    });
    Ok(found)
}

fn recover(model: &Model) -> Result<Answer, Error> {
    let Model::Recovery { bytes, rate, restore_rate, overlapped, detect, decide, other, validate, rto } = model else {
        return Err(Error::new("LB0904", "a model was taken for another"));
    };
    let asked = recovery::Recovery {
        detect: *detect,
        decide: *decide,
        bytes: *bytes,
        transfer_rate: Some(*rate),
        restore_rate: *restore_rate,
        overlapped: *overlapped,
        other: *other,
        validate: *validate,
    };
    let takes = asked.takes()?;
    let mut rows: Vec<(&str, String)> =
        takes.parts.iter().filter(|part| !part.takes.is_zero()).map(|part| (part.name, time(part.takes))).collect();
    rows.push(("altogether", time(takes.total)));
    let needed = rto.map(|rto| asked.rate_needed(rto)).transpose()?.flatten();
    let verdict = rto.map(|rto| {
        if takes.total <= rto {
            return (true, format!("{} is within {}", time(takes.total), time(rto)));
        }
        let most = takes
            .dominant()
            .map_or_else(String::new, |part| format!("; most of it is {}, {}", part.name, time(part.takes)));
        let faster = match needed {
            Some(rate) => format!("; {}/s would be enough", decimal(rate.get())),
            None => "; no rate would be enough".to_owned(),
        };
        (false, format!("{} is more than {}{most}{faster}", time(takes.total), time(rto)))
    });
    let json = json!({"total": takes.total, "parts": takes.parts, "rate_needed": needed});
    let formula = if *overlapped {
        "detect + decide + bytes / the smaller rate + other + validate"
    } else {
        "detect + decide + bytes / rate + bytes / restore rate + other + validate"
    };
    Ok(Answer { verdict, ..answer(rows, formula, json) })
}

fn lost(schedule: &point::Schedule, rpo: Option<Seconds>) -> Result<Answer, Error> {
    let loss = schedule.loss()?;
    let rows = vec![
        ("at best", time(loss.best)),
        ("on average", time(loss.mean)),
        ("at worst", time(loss.worst)),
        ("after a bad one", time(schedule.worst_after(1)?)),
    ];
    let meets = rpo.map(|rpo| schedule.meets(rpo)).transpose()?;
    let longest = rpo.map(|rpo| schedule.interval_for(rpo)).transpose()?.flatten();
    let verdict = rpo.zip(meets).map(|(rpo, meets)| {
        if loss.worst <= rpo {
            return (true, format!("at worst {} is lost, which is within {}", time(loss.worst), time(rpo)));
        }
        let better = longest.filter(|longest| !longest.is_zero()).map_or_else(
            || "no interval would keep it".to_owned(),
            |longest| format!("one every {} would keep it", time(longest)),
        );
        let share = percent(meets.get());
        (
            false,
            format!("at worst {} is lost, and {} is met by {share} of failures; {better}", time(loss.worst), time(rpo)),
        )
    });
    let json = json!({"loss": loss, "meets": meets, "interval_for": longest});
    Ok(Answer { verdict, ..answer(rows, "worst T + D + L; on average T / 2 + D + L + T * (1 - q) / q", json) })
}

fn schemes(model: &Model) -> Result<Answer, Error> {
    let Model::Scheme { bytes, changed, gb, each, loss, down, rate, mtbf, shortest, longest } = model else {
        return Err(Error::new("LB0904", "a model was taken for another"));
    };
    let upkeep = scheme::Upkeep {
        data: *bytes,
        changed_a_day: *changed,
        price_of_gb: *gb,
        each: *each,
        loss: *loss,
        down: *down,
        restore: *rate,
        mtbf: *mtbf,
    };
    let found = upkeep.best(*shortest, *longest)?;
    let row = |one: &scheme::Burden| {
        let name = match one.scheme.kind {
            scheme::Kind::Full => "full",
            scheme::Kind::Incremental => "incremental",
            scheme::Kind::Differential => "differential",
        };
        let every = if one.scheme.cycle == 1 { String::new() } else { format!(", each {}th full", one.scheme.cycle) };
        let (backups, failures) = (one.backups_a_year.get(), one.failures_a_year.get());
        let text = format!(
            "one every {}{every}: {} a year, of it backups {}; a restore reads {}",
            time(one.scheme.interval),
            money(backups + failures),
            money(backups),
            decimal(one.bytes_read.get())
        );
        (name, text)
    };
    let formula =
        "(price * bytes of a cycle + each) / time of a cycle + (loss * T / 2 + down * bytes read / rate) / MTBF";
    Ok(answer(found.iter().map(row).collect(), formula, json!(found)))
}

fn room(model: &Model) -> Result<Answer, Error> {
    let Model::Storage { bytes, grows, changed, stored, keep, after, capacity } = model else {
        return Err(Error::new("LB0904", "a model was taken for another"));
    };
    let growth = storage::Growth { data: *bytes, grows: *grows, changed_a_day: *changed, stored: *stored };
    let room = growth.room(*after, keep)?;
    let rows = vec![
        ("after", time(*after)),
        ("points", plural(room.points as u64, "point")),
        ("room", decimal(room.stored.get())),
        ("as whole copies", decimal(room.copies.get())),
    ];
    let full = capacity.map(|capacity| growth.full_at(capacity, keep, *after)).transpose()?;
    let verdict = capacity.zip(full).map(|(capacity, full)| match full {
        None => (true, format!("{} last for {}", decimal(capacity.get()), time(*after))),
        Some(at) => (false, format!("{} are full after {}", decimal(capacity.get()), time(at))),
    });
    let json = json!({"room": room, "full_at": full.flatten()});
    let formula = "stored share * (oldest point + what each later one adds: overwritten, and new)";
    Ok(Answer { verdict, ..answer(rows, formula, json) })
}

fn work(effort: &EffortArgs) -> cost::Effort {
    cost::Effort {
        people: effort.people,
        time: effort.time,
        person: effort.person,
        moved: effort.moved,
        price_of_gb: effort.gb,
        fixed: effort.fixed,
    }
}

fn worth(measure: &cost::Measure) -> Result<Answer, Error> {
    let worth = measure.worth()?;
    let years = plural(u64::from(measure.years), "year");
    let mut rows = vec![("saves", format!("{} a year, less what it costs to run", money(worth.a_year)))];
    rows.push(("net", format!("{} after {years}", money(worth.net))));
    rows.push(("worth today", money(worth.present_value)));
    rows.extend(worth.return_on_price.map(|back| ("return", format!("{:.2} for each 1 that is paid", back))));
    rows.push(("paid back", worth.payback.map_or_else(|| "never".to_owned(), |at| format!("after {}", time(at)))));
    rows.push(("worth investing", format!("at most {}", money(measure.worth_investing()?.get()))));
    let formula = "net = (ALE before - ALE after - running) * years - invested; NPV with interest";
    Ok(answer(rows, formula, json!(worth)))
}

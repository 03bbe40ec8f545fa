//! Who speaks: the owner of a token, or a person on this machine.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use lifeboat_core::Error;
use lifeboat_core::plan::Mode;

use super::{Right, Role, Token};

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Over the network.
    Network(SocketAddr),
    /// Over the socket in the data folder: the kernel says which user.
    Local(u32),
}

/// Somebody who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name that is recorded.
    pub name: String,
    /// How the person was known: `token 0123456789` or `uid 1000`.
    pub known_by: String,
    /// The roles.
    pub roles: BTreeSet<Role>,
    /// Whether drills may be acted on.
    pub drill: bool,
    /// Whether runs in earnest may be acted on.
    pub failover: bool,
    /// The runbooks in scope, by name; `*` at the end stands for anything. Empty: all.
    pub runbooks: Vec<String>,
}

impl Person {
    /// The owner of a token.
    pub fn of_token(token: &Token) -> Self {
        Self {
            name: token.owner.clone(),
            known_by: format!("token {}", token.id),
            roles: token.roles.clone(),
            drill: token.drill,
            failover: token.failover,
            runbooks: token.runbooks.clone(),
        }
    }

    /// A user of this machine who may open the data folder, and so may do everything.
    pub fn local(uid: u32) -> Self {
        Self {
            name: user_of(uid),
            known_by: format!("uid {uid}"),
            roles: BTreeSet::from([Role::Admin]),
            drill: true,
            failover: true,
            runbooks: Vec::new(),
        }
    }

    /// Whether the person was let in over the socket of the data folder.
    pub fn is_local(&self) -> bool {
        self.known_by.starts_with("uid ")
    }

    /// Whether a runbook is in scope.
    pub fn sees(&self, runbook: &str) -> bool {
        self.runbooks.is_empty() || self.runbooks.iter().any(|pattern| matches(pattern, runbook))
    }

    /// Whether the person may do this, where no run and no runbook is meant.
    ///
    /// # Errors
    /// `LB1053` with what is missing.
    pub fn may(&self, right: Right) -> Result<(), Error> {
        if self.roles.iter().any(|role| role.has(right)) {
            return Ok(());
        }
        Err(Error::new("LB1053", format!("{} may not {}", self.name, right.as_str()))
            .hint(format!("ask for a token with the role '{}'", right.role().as_str())))
    }

    /// Whether the person may do this to a run of that runbook in that mode.
    ///
    /// # Errors
    /// `LB1053` with what is missing.
    pub fn may_on(&self, right: Right, runbook: &str, mode: Mode) -> Result<(), Error> {
        self.may(right)?;
        if !self.sees(runbook) {
            return Err(Error::new("LB1053", format!("the runbook '{runbook}' is not in the scope of this token"))
                .hint(format!("its scope is: {}", self.runbooks.join(", "))));
        }
        let allowed = if mode == Mode::Drill { self.drill } else { self.failover };
        if right.acts() && !allowed {
            let what = if mode == Mode::Drill { "drills" } else { "runs in earnest" };
            return Err(Error::new(
                "LB1053",
                format!("{} may not {} in mode {}", self.name, right.as_str(), mode.as_str()),
            )
            .hint(format!("the token does not reach to {what}")));
        }
        Ok(())
    }

    /// Whether all that such a token could do is what this person may do anyway. Nobody gives away what he does not have.
    ///
    /// # Errors
    /// `LB1053` with what is too much.
    pub fn covers(
        &self,
        roles: &BTreeSet<Role>,
        drill: bool,
        failover: bool,
        runbooks: &[String],
    ) -> Result<(), Error> {
        let too_much = |what: &str| {
            Err(Error::new("LB1053", format!("{} cannot give away {what}", self.name))
                .hint("a token can do at most what its maker can"))
        };
        if !self.roles.contains(&Role::Admin) && !roles.is_subset(&self.roles) {
            return too_much("a role that is not there");
        }
        if (drill && !self.drill) || (failover && !self.failover) {
            return too_much("a mode that is out of reach");
        }
        let inside = |pattern: &String| self.runbooks.iter().any(|own| matches(own, pattern));
        if !self.runbooks.is_empty() && (runbooks.is_empty() || !runbooks.iter().all(inside)) {
            return too_much("runbooks that are out of scope");
        }
        Ok(())
    }
}

/// Whether a name fits; `*` at the end of the pattern stands for anything. A pattern fits into another one in the same way.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

/// The login name of a user, or `uid-N` where the machine knows none.
pub(crate) fn user_of(uid: u32) -> String {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        (id.parse() == Ok(uid) && !name.is_empty()).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid-{uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(roles: &[Role], drill: bool, failover: bool, runbooks: &[&str]) -> Person {
        Person {
            name: "ada".to_owned(),
            known_by: "token x".to_owned(),
            roles: roles.iter().copied().collect(),
            drill,
            failover,
            runbooks: runbooks.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn scopes_are_names_and_beginnings() {
        let ada = person(&[Role::Operator], true, false, &["orders", "shop-*"]);
        assert!(ada.sees("orders") && ada.sees("shop-eu") && ada.sees("shop-"));
        assert!(!ada.sees("orders-2") && !ada.sees("shop") && !ada.sees(""));
        assert!(ada.may_on(Right::Start, "orders", Mode::Drill).is_ok());
        assert!(ada.may_on(Right::Start, "orders", Mode::Failover).is_err());
        assert!(ada.may_on(Right::Start, "bank", Mode::Drill).is_err());
        assert!(ada.may_on(Right::Look, "orders", Mode::Failover).is_ok());
    }

    #[test]
    fn nobody_gives_away_what_is_not_there() {
        let roles = |roles: &[Role]| roles.iter().copied().collect::<BTreeSet<Role>>();
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let all = person(&[Role::Admin], true, true, &[]);
        assert!(all.covers(&roles(&[Role::Approver]), true, true, &[]).is_ok());
        let some = person(&[Role::Admin], true, false, &["shop-*"]);
        assert!(some.covers(&roles(&[Role::Operator]), true, false, &names(&["shop-eu", "shop-a*"])).is_ok());
        assert!(some.covers(&roles(&[Role::Operator]), true, false, &[]).is_err(), "no scope is every scope");
        assert!(some.covers(&roles(&[Role::Operator]), true, false, &names(&["s*"])).is_err());
        assert!(some.covers(&roles(&[Role::Operator]), true, true, &names(&["shop-eu"])).is_err());
        let operator = person(&[Role::Operator], true, true, &[]);
        assert!(operator.covers(&roles(&[Role::Approver]), true, true, &[]).is_err());
    }
}

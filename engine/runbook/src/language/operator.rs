//! The table of the operator's file.

use super::{Node, node};

/// The operator's file.
pub(super) const OPERATOR: [Node; 21] = [
    node("plugins", "plugins \"DIR\"", "Folders with more plugins.", &[]),
    node(
        "pin",
        "pin \"PLUGIN\" digest=\"blake3:…\"",
        "The one build of a plugin that may be loaded.",
        &[("digest", "string, required", "As `lifeboat plugin ls` prints it.")],
    ),
    node(
        "grant",
        "grant \"PLUGIN\" target=\"NAME\" { dir \"/srv/x\" write=#true }",
        "What a plugin may reach.",
        &[
            ("target", "string", "For this target alone; for all if it is left out."),
            ("dir", "node: path", "A folder with all that is below it."),
            ("host", "node: name or address", "A host that may be spoken to over HTTP. At least one folder or host."),
        ],
    ),
    node(
        "dir",
        "dir \"/srv/x\" write=#true",
        "A folder, absolute or from the file's own folder.",
        &[("write", "boolean", "Whether it may be changed; without it, it may be read.")],
    ),
    node(
        "host",
        "host \"*.s3.eu-central-1.amazonaws.com\" port=443",
        "A host: its name, `*.` and an ending, or an address. This machine, link-local addresses and those of cloud metadata are reached only by a literal address (or `localhost`).",
        &[
            ("port", "whole number, 1 to 65535", "The port; 443 if it is left out, 80 with `plain`."),
            ("plain", "boolean", "Without TLS."),
            ("ca", "string", "The path of a file of certificates (PEM) that are trusted instead of this machine's."),
            ("client-cert", "string", "The path of the certificate (PEM) by which the engine shows who it is."),
            ("client-key", "string", "The path of its key (PEM)."),
        ],
    ),
    node(
        "proxy",
        "proxy \"http://HOST:PORT\" except=\"localhost,.internal\"",
        "The way out for HTTP, instead of what the environment says; `proxy \"none\"`: none.",
        &[("except", "string", "Hosts that are reached directly, with commas between them.")],
    ),
    node(
        "http",
        "http idle=\"60s\" answer=\"5m\" sends=6",
        "How patient requests of plugins are. Without it: the figures of the example and of the fields.",
        &[
            ("connect", "duration", "Until there is a connection; `15s`."),
            ("idle", "duration", "How long a body may stand still, and over which `least` is measured; `1m`."),
            ("answer", "duration", "How long a server may think once it has the whole request; `5m`."),
            ("pause", "duration", "The longest pause before a request is sent again; `30s`."),
            (
                "least",
                "whole number",
                "Bytes a second that a body has to come or go with; `1024`. 0: any speed will do.",
            ),
            ("sends", "whole number, 1 to 100", "How often one request is sent at most; `6`."),
        ],
    ),
    node("drill", "drill { grant … }", "The grants of drills. In a drill no others count.", &[]),
    node(
        "secret",
        "secret \"NAME\" env=\"VARIABLE\"",
        "Where the value of a secret comes from: exactly one of `env`, `file`, `command` and `server`. It is read when it is used, so a new value needs no restart.",
        &[
            ("env", "string", "The name of an environment variable."),
            (
                "file",
                "string",
                "The path of a file. Its first line is the secret, or all of it where it is a JSON object.",
            ),
            (
                "command",
                "node: strings",
                "A program by its absolute path, and its arguments; no shell is between. What it prints is the secret, without a newline at the end. Kept for 30 s.",
            ),
            ("timeout", "duration, 10s", "How long the command may take, at most 5m."),
            (
                "server",
                "string",
                "The `secret-server` that keeps it. Kept for 30 s, or for its lease where that is shorter.",
            ),
            ("path", "string", "Of a server: the path below the mount."),
            ("field", "string", "Of a server: the field."),
            ("mount", "string, secret", "Of a server: where the key-value engine is mounted."),
            ("kv", "number, 2", "Of a server: the version of the key-value engine, 1 or 2."),
        ],
    ),
    node(
        "secret-server",
        "secret-server \"NAME\" address=\"https://HOST:8200\" { token secret=\"NAME\" }",
        "A server with the HTTP API of OpenBao and Vault, and exactly one way to log in.",
        &[
            ("address", "string, required", "`https://HOST:PORT`. `http://` is for this machine."),
            ("plain-http", "boolean", "Allows `http://` to another machine."),
            (
                "ca",
                "string",
                "A file of certificates in PEM that vouch for the server, instead of those of the system.",
            ),
            ("namespace", "string", "The namespace that is asked."),
            ("timeout", "duration, 10s", "How long one request may take, at most 5m."),
            ("token", "node", "Log in with a token."),
            ("approle", "node", "Log in as a role with a secret id."),
            ("jwt", "node", "Log in with a signed token, as Kubernetes gives one to each pod."),
        ],
    ),
    node(
        "token",
        "token secret=\"NAME\"",
        "Of a `secret-server`.",
        &[("secret", "string, required", "The secret that holds the token. It does not come from a server itself.")],
    ),
    node(
        "approle",
        "approle role-id=\"ID\" secret=\"NAME\"",
        "Of a `secret-server`.",
        &[
            ("role-id", "string, required", "The id of the role. It is no secret."),
            ("secret", "string, required", "The secret that holds the secret id."),
            ("mount", "string, approle", "Where the method is mounted."),
        ],
    ),
    node(
        "jwt",
        "jwt role=\"ROLE\" secret=\"NAME\"",
        "Of a `secret-server`.",
        &[
            ("role", "string, required", "The role."),
            ("secret", "string, required", "The secret that holds the signed token."),
            ("mount", "string, kubernetes", "Where the method is mounted."),
        ],
    ),
    node(
        "journal",
        "journal encrypt=\"SECRET\"",
        "How the journal in the data folder is kept.",
        &[("encrypt", "string, required", "The secret whose value encrypts it; see `lifeboat journal --help`.")],
    ),
    node(
        "role",
        "role \"NAME\" \"PERSON\" …",
        "Who may answer for a role. A file without any role lets anybody answer; one with roles has to name each role that is asked.",
        &[],
    ),
    node(
        "max-parallel",
        "max-parallel 16",
        "How many attempts may be under way at once, over all runs: 1 to 10000.",
        &[],
    ),
    node(
        "hook",
        "hook \"NAME\" kind=\"alertmanager\"",
        "Who may send alerts, to `/v1/hooks/NAME`. Without a secret it shows a token of the service. What follows `window` is for the kind `generic`: where things are in what it sends, by JSON pointers as `/event/status`.",
        &[
            (
                "kind",
                "word, required",
                "The form of what it sends: `alertmanager`, `grafana`, `zabbix`, `nagios`, `icinga`, `pagerduty`, `opsgenie`, or `generic`.",
            ),
            ("secret", "string", "The secret by which it signs, with HMAC-SHA256."),
            (
                "signs",
                "`time-and-body` or `body`",
                "What it signs; `time-and-body` if it is left out: the header is `t=SECONDS,v1=HEX`, over `SECONDS.BODY`.",
            ),
            ("window", "duration", "How far the signed time may be from now; `5m` if it is left out, at most `1h`."),
            ("status", "node: pointer", "What says whether it fires; see `status`."),
            ("group", "pointers", "What makes the group."),
            ("fingerprint", "pointers", "What tells alerts of a group apart; without it, a group is one alert."),
            ("since", "pointer", "When the state changed: RFC 3339, or seconds since 1970."),
            ("once", "boolean", "A fingerprint is never used again: once resolved, it stays so."),
            ("only", "pointer and values", "What has to be there for a message to be news at all. Any number of them."),
            ("label", "name and pointer", "A label. Any number of them."),
            ("tags", "pointer", "Where there are more labels: an object, or a list."),
            ("summary", "pointer", "What says in words what it is."),
        ],
    ),
    node(
        "status",
        "status \"/state\" firing=\"down\" resolved=\"up\"",
        "Of a `hook`. Other values are no news.",
        &[
            ("firing", "strings", "The values that say that it fires."),
            ("resolved", "strings", "Those that say that it is resolved."),
        ],
    ),
    node(
        "automatic",
        "automatic \"RUNBOOK\" past-no-return=#true",
        "What alerts may start of a runbook.",
        &[
            ("start", "boolean", "Whether they start it; `#true` if it is left out."),
            (
                "past-no-return",
                "boolean",
                "Whether such a run may go past its point of no return, if the runbook allows it, too.",
            ),
            ("verified", "boolean", "Whether they start it only while its drills say that it works."),
        ],
    ),
    node(
        "service",
        "service { runbooks \"DIR\" }",
        "How `lifeboat serve` is set up. Each part may be left out.",
        &[
            (
                "listen",
                "string, 127.0.0.1:7421",
                "The address and port. Beyond this machine it asks for `tls`, or for `plain`.",
            ),
            (
                "runbooks",
                "node: paths",
                "Folders with runbooks, with all that is below them. They are read again when they change.",
            ),
            ("tls", "node", "TLS."),
            ("plain", "boolean", "Whether it may listen beyond this machine without TLS: behind a proxy that has it."),
            ("rate", "number, 600", "Calls a minute of one token, and of one address without a good one."),
            ("connections", "number, 256", "Connections at once. Half of them may be streams of events."),
            ("open-metrics", "boolean", "Whether `/metrics` is given without a token."),
            ("sole-approver", "boolean", "Whether who started a run may be the only one to approve it."),
            (
                "grace",
                "duration, 30s",
                "How long attempts under way may take to end when the service is stopped; at most 10m.",
            ),
        ],
    ),
    node(
        "tls",
        "tls cert=\"FILE\" key=\"FILE\"",
        "Of a `service`. The files are PEM, and are read again when they change.",
        &[
            ("cert", "string, required", "The path of the certificate, with those between it and its root."),
            ("key", "string, required", "The path of its key."),
            (
                "client-ca",
                "string",
                "The path of certificates that have signed those of clients. With it, who shows none is refused.",
            ),
        ],
    ),
];

//! Real requests to Google Cloud Storage's API: the plugin `gcs` against fake-gcs-server behind a gate that checks the tokens of
//! service accounts, judged by stock rclone and restic.

use crate::bench::Bench;
use crate::remote::operator;

mod buckets;
mod clouds;
mod faults;
mod gate;
mod vault;

use gate::Gate;

/// A bench whose plugin may speak to the server, with the key of its account.
fn bench(gate: &Gate) -> Bench {
    let bench = Bench::new();
    grant(&bench, gate);
    bench
}

fn grant(bench: &Bench, gate: &Gate) {
    let port = gate.port;
    operator(
        bench,
        &format!(
            "secret \"gcs-key\" file=\"gcs-key\"\n\
             grant \"gcs\" {{ host \"127.0.0.1\" port={port} plain=#true }}\n"
        ),
    );
    bench.write("gcs-key", &gate.key_file("account"));
}

/// A target behind the gate.
fn target(name: &str, gate: &Gate, bucket: &str, more: &str) -> String {
    format!(
        "target \"{name}\" plugin=\"gcs\" {{ endpoint \"{}\"; bucket \"{bucket}\"; credentials secret=\"gcs-key\"; \
         {more} }}\n",
        gate.endpoint()
    )
}

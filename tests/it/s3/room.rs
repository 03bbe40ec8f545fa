//! Servers without room, and buckets that vanish while a snapshot is written to them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lifeboat_servers::{Act, Fault, Kind, Server};

use super::way::{PATIENT, RECOVER, Way};
use super::{make_bucket, shared, told};

/// A small disk in memory, unmounted at the end.
struct Disk(tempfile::TempDir);

impl Disk {
    /// Nothing where this user may not mount.
    fn new(mib: usize) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let made = mount(&["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"], dir.path());
        made.then(|| Self(dir))
    }

    fn grow(&self, mib: usize) {
        assert!(mount(&["-o", &format!("remount,size={mib}m")], self.0.path()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn mount(args: &[&str], at: &Path) -> bool {
    Command::new("mount").args(args).arg(at).output().is_ok_and(|output| output.status.success())
}

#[test]
fn a_server_whose_disk_is_full_fails_the_step_and_with_room_it_goes_on() {
    let Some(disk) = Disk::new(110) else {
        eprintln!("skipped: this user may mount no disk");
        return;
    };
    let folder = disk.0.path().to_owned();
    let mut server = Server::start(Kind::S3, &folder).unwrap();
    let way = Way::new(server.access(), 160);
    let file = way.file("full", RECOVER);
    way.run(&file).expect(1).says("take");
    // A full disk is no reason to forget what was there, or to say that something is.
    disk.grow(600);
    server.start_again().unwrap();
    assert_eq!(way.snapshots(&file), 0);
    way.retry("take").expect(0).says("succeeded");
    way.whole(&file);
    drop(server);
}

#[test]
fn a_bucket_that_vanishes_in_the_middle_is_named_and_its_vault_is_made_anew() {
    let way = Way::new(&shared(), 40);
    way.proxy.fault(Fault::on("PUT", "/data/", Act::Delay(Duration::from_millis(600))));
    let file = way.file("gone", RECOVER);
    let mut child = way.bench.start(&["run", "-y", &file]);
    way.wait_for("/data/", 1);
    told(&way.direct, &["purge", &format!(":s3:{}", way.bucket)]);
    let ended = child.wait().unwrap().code();
    assert!(matches!(ended, Some(1 | 3)), "failed, or nobody can know: {}", way.log());
    // The server may have taken what was on its way, and then the bucket is there again, without what was in it.
    let log = way.log();
    assert!(log.contains("NoSuchBucket") || log.contains("LB0805"), "{log}");
    way.proxy.heal();
    make_bucket(&way.direct, &way.bucket, false);
    // No vault is made over data that may be somebody's: a person says that it is nobody's.
    told(&way.direct, &["delete", &format!(":s3:{}", way.bucket)]);
    way.retry("take").expect(0).says("succeeded");
    way.whole(&file);
}

#[test]
fn a_bucket_that_was_emptied_in_the_middle_holds_no_snapshot_that_lacks_its_packs() {
    let way = Way::new(&shared(), 40);
    way.proxy.fault(Fault::on("PUT", "/data/", Act::Delay(Duration::from_millis(400))));
    let file = way.file("emptied", PATIENT);
    let mut child = way.bench.start(&["run", "-y", &file]);
    way.wait_for("/data/", 2);
    told(&way.direct, &["delete", &format!(":s3:{}", way.bucket)]);
    way.proxy.heal();
    // The packs that came behind are of no vault any more, and none is made over them.
    assert_eq!(child.wait().unwrap().code(), Some(1), "{}", way.log());
    assert!(way.log().contains("LB0805") && way.log().contains("LB0803"), "{}", way.log());
    told(&way.direct, &["delete", &format!(":s3:{}", way.bucket)]);
    way.retry("take").expect(0).says("succeeded");
    way.whole(&file);
}

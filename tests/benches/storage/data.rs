//! What is protected: bytes that do not compress, text that does, and a hundredth of each changed.

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

const MIB: usize = 1024 * 1024;
const LARGE_MIB: usize = 4096;
const SMALL_FILES: usize = 100_000;

fn random(seed: &str) -> blake3::OutputReader {
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof()
}

fn file(path: &Path, seed: &str, mib: usize) {
    let (mut random, mut chunk) = (random(seed), vec![0; MIB]);
    let mut file = fs::File::create(path).unwrap();
    for _ in 0..mib {
        random.fill(&mut chunk);
        file.write_all(&chunk).unwrap();
    }
}

/// One file of 4 GiB that does not compress.
pub fn large(source: &Path) {
    fs::create_dir_all(source).unwrap();
    file(&source.join("model.bin"), "large", LARGE_MIB);
    rustix::fs::sync();
}

/// Ten places of it, a hundredth together.
pub fn change_large(source: &Path) {
    let file = fs::File::options().write(true).open(source.join("model.bin")).unwrap();
    let (mut random, mut chunk) = (random("change"), vec![0; LARGE_MIB * MIB / 1000]);
    for place in 0..10 {
        random.fill(&mut chunk);
        file.write_all_at(&chunk, (place * LARGE_MIB / 10 * MIB + 12_345) as u64).unwrap();
    }
    rustix::fs::sync();
}

fn small_file(source: &Path, number: usize, text: &str) {
    let folder = source.join(format!("d{:03}", number % 400));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{number}.txt")), format!("{text} {number}\n").repeat(100 + number % 300)).unwrap();
}

/// 100,000 files of one to eight KiB in 400 folders.
pub fn small(source: &Path) {
    (0..SMALL_FILES).for_each(|number| small_file(source, number, "order"));
    rustix::fs::sync();
}

/// Each hundredth of them.
pub fn change_small(source: &Path) {
    (0..SMALL_FILES).step_by(100).for_each(|number| small_file(source, number, "changed"));
    rustix::fs::sync();
}

/// 33 objects of 2 GiB together, one of them half of it.
pub fn object(source: &Path) {
    fs::create_dir_all(source).unwrap();
    file(&source.join("model.bin"), "object", 1024);
    (0..32).for_each(|number| file(&source.join(format!("part-{number:02}.bin")), &number.to_string(), 32));
    rustix::fs::sync();
}

/// One file of 20 GiB without two equal blocks. A quarter of it does not compress; the rest is holes with a mark every 64 KiB, so
/// that it fits on small disks.
pub fn huge(source: &Path) {
    const BLOCKS: u64 = 20;
    const GIB: u64 = 1 << 30;
    fs::create_dir_all(source).unwrap();
    let file = fs::File::create(source.join("model.bin")).unwrap();
    file.set_len(BLOCKS * GIB).unwrap();
    let (mut random, mut chunk) = (random("huge"), vec![0; MIB]);
    for block in 0..BLOCKS {
        for mib in 0..GIB / 4 / MIB as u64 {
            random.fill(&mut chunk);
            file.write_all_at(&chunk, block * GIB + mib * MIB as u64).unwrap();
        }
        for place in (block * GIB + GIB / 4..(block + 1) * GIB).step_by(64 * 1024) {
            file.write_all_at(&place.to_le_bytes(), place).unwrap();
        }
    }
    rustix::fs::sync();
}

/// Both trees are the same to the byte.
pub fn same(source: &Path, restored: &Path) {
    let status = Command::new("diff").arg("-rq").args([source, restored]).status().unwrap();
    assert!(status.success(), "what was restored is not what was there");
}

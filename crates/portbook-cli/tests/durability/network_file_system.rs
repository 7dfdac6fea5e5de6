//! A network file system is refused, since its locks cannot be trusted.

use crate::kit::Desk;
use crate::ledger::Ledger;
use crate::traced;

/// `statfs` says another kind of file system: the first eight bytes of its answer.
fn on(desk: &Desk, magic: u64, words: &str) -> crate::kit::Done {
    let bytes: String = magic
        .to_le_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    traced::portbook(desk, &[format!("statfs:poke_exit=@arg2={bytes}")], words)
}

#[test]
fn a_network_file_system_is_refused_in_one_sentence_and_nothing_is_made() {
    for (magic, name) in [(0x6969, "NFS"), (0xff53_4d42, "CIFS"), (0x0102_1997, "9P")] {
        let desk = Desk::new();
        for words in ["allocate new 1", "get new 1", "list"] {
            let sentence = on(&desk, magic, words).fails(4);
            assert!(
                sentence.contains("network file system"),
                "{name}: {sentence}"
            );
        }
        assert!(!desk.book().exists() && !desk.beside(".lock").exists());

        desk.run("allocate old 1").ok();
        for words in ["allocate new 1", "get old 1"] {
            let sentence = on(&desk, magic, words).fails(4);
            assert!(
                sentence.contains("network file system"),
                "{name}: {sentence}"
            );
        }
        assert_eq!(Ledger::of(&desk).history.len(), 1);
    }
}

#[test]
fn a_local_file_system_is_not_refused() {
    let desk = Desk::new();
    on(&desk, 0xef53, "allocate new 1").ok();
}

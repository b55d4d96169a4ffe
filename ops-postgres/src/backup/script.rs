use std::io::{self, Read, Write};

/// Gives the script `dump` to `psql`, whose standard input is `to`, so that it takes none of its backslash commands: a name with a line break in
/// it, or a row, might begin one. A dump that restricts them itself is given as it is; of one with `--create` its `\connect` is let through.
///
/// # Errors
/// Of reading. That `psql` ended before the end of the script is none: it has said why.
pub(super) fn feed(mut dump: impl Read, mut to: impl Write, key: &str) -> io::Result<()> {
    let mut head = Vec::new();
    dump.by_ref().take(HEAD).read_to_end(&mut head)?;
    let mut begun = Vec::new();
    if restricts_itself(&head) {
        begun.append(&mut head);
    } else {
        begun.extend(format!("\\restrict {key}\n").bytes());
        let connect = connect(&head);
        for line in lines(&head) {
            if connect == Some(line) {
                begun.extend(format!("\\unrestrict {key}\n").bytes());
                begun.extend(line);
                begun.extend(format!("\\restrict {key}\n").bytes());
            } else {
                begun.extend(line);
            }
        }
    }
    if to.write_all(&begun).is_err() {
        return Ok(());
    }
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = match dump.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            Err(cause) => return Err(cause),
        };
        if to.write_all(&piece[..read]).is_err() {
            return Ok(());
        }
    }
}

/// Whether its first command is `\restrict`: further down it might be a part of a name.
fn restricts_itself(head: &[u8]) -> bool {
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = lines.find(|line| !line.trim_ascii().is_empty() && !line.starts_with(b"--"));
    first.is_some_and(|line| line.starts_with(b"\\restrict "))
}

/// The line by which a dump goes to the database that it has made, if nothing else is in it. It may be there twice, as settings of the database need it.
fn connect(head: &[u8]) -> Option<&[u8]> {
    let mut after = lines(head).skip_while(|line| !line.starts_with(b"CREATE DATABASE "));
    let line = after.find(|line| line.starts_with(CONNECT) && line.ends_with(b"\n"))?;
    let plain = !line[1..].iter().any(|byte| b"\\`".contains(byte));
    plain.then_some(line)
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split_inclusive(|byte| *byte == b'\n')
}

const CONNECT: &[u8] = b"\\connect ";
const HEAD: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(dump: &str) -> String {
        let mut out = Vec::new();
        feed(dump.as_bytes(), &mut out, "k").unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_script_that_does_not_restrict_itself_is_restricted_and_its_own_connect_is_let_through() {
        let own = "--\n-- PostgreSQL database dump\n--\n\n\\restrict x\nselect 1;\n";
        assert_eq!(fed(own), own);
        // Not its first command: it is data.
        for dump in ["select 1;\n\\restrict x\n", "\\connect shop\n", "\\! true\n"] {
            assert_eq!(fed(dump), format!("\\restrict k\n{dump}"));
        }
        let through = "\\unrestrict k\n\\connect a\n\\restrict k\n";
        assert_eq!(
            fed("CREATE DATABASE a;\n\\connect a\n\\connect a\n\\connect b\n"),
            format!("\\restrict k\nCREATE DATABASE a;\n{through}{through}\\connect b\n")
        );
        for dump in [
            "CREATE DATABASE a;\n\\connect `touch x`\n",
            "CREATE DATABASE a;\n\\connect a \\! true\n",
        ] {
            assert_eq!(fed(dump), format!("\\restrict k\n{dump}"));
        }
        let long = format!("select 1;\n{}", "-- x\n".repeat(30_000));
        assert_eq!(fed(&long), format!("\\restrict k\n{long}"));
    }

    #[test]
    fn a_dump_that_cannot_be_read_to_its_end_is_an_error_and_a_program_that_has_ended_is_none() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("rot"))
            }
        }
        struct Ended;
        impl Write for Ended {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let long = "-- x\n".repeat(30_000);
        assert!(feed(long.as_bytes().chain(Broken), Vec::new(), "k").is_err());
        assert!(feed(long.as_bytes(), Ended, "k").is_ok());
    }
}

//! On a terminal: keys reach the command once, and job control works as without portbook.

use crate::kit::{Run, Sandbox};

/// Lets a Python script play with a shell on a terminal: `key` types, `until` waits for a text.
#[track_caller]
fn play(sandbox: &Sandbox, script: &str) -> String {
    let prelude = r"
import os, pty, select, signal, sys, time
portbook = sys.argv[1]
pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(PS1='$ ', TERM='dumb')
    os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])
seen = ''
def until(text):
    global seen
    end = time.time() + 60
    while text not in seen:
        if time.time() > end:
            sys.exit('waited in vain for ' + repr(text) + ' in ' + repr(seen))
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 65536).decode()
    before, seen = seen.split(text, 1)
    return before
def key(text):
    os.write(terminal, text.encode())
def leave():
    key('exit\n')
    os.waitpid(pid, 0)
until('$ ')
";
    let mut python = std::process::Command::new("python3");
    python
        .args(["-c", &format!("{prelude}{script}")])
        .arg(sandbox.command().get_program());
    sandbox.furnish(&mut python);
    Run::of(python).done().stdout.clone()
}

#[test]
fn ctrl_c_reaches_the_command_once() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "count.py",
        "import signal, time
count = 0
def told(*_):
    global count
    count += 1
signal.signal(signal.SIGINT, told)
print('rea' + 'dy', flush=True)
while not count: time.sleep(0.01)
time.sleep(0.5)
print('count', '=', count)
",
    );
    let seen = play(
        &sandbox,
        r"
key(portbook + ' run m 1 -- python3 count.py; echo status=$?\n')
until('ready')
key('\x03')
print(until('status=0').strip())
leave()",
    );
    assert_eq!(seen.trim().trim_start_matches("^C").trim(), "count = 1");
}

#[test]
fn ctrl_z_stops_both_and_fg_continues_both() {
    let sandbox = Sandbox::new();
    play(
        &sandbox,
        r#"
key(portbook + ' run m 1 -- sh -c \'echo rea""dy; exec cat\'\n')
until('ready')
key('one\n')
until('one\r\none')
key('\x1a')
until('Stopped')
key('jobs\n')
until('Stopped')
key('fg\n')
until('fg\r\n')
until('exec cat')
key('two\n')
until('two\r\ntwo')
key('\x1a')
until('Stopped')
key('fg\n')
until('fg\r\n')
until('exec cat')
key('\x03')
until('$ ')
key('echo status=$?\n')
until('status=130')
leave()"#,
    );
}

#[test]
fn a_shell_as_the_command_has_jobs_of_its_own_and_can_be_suspended() {
    let sandbox = Sandbox::new();
    play(
        &sandbox,
        r"
key(portbook + ' run m 1 -- bash --norc --noprofile -i\n')
until('-i\r\n')
until('$ ')
key('PS1=inner:; sleep 1000; echo port=$PORT\n')
until('sleep 1000')
until('\n')
time.sleep(0.3)
key('\x03')
until('inner:')
key('echo port=$PORT\n')
until('port=5001')
key('suspend\n')
until('Stopped')
until('$ ')
key('fg\n')
until('fg\r\n')
until('norc')
key('echo still=$PORT\n')
until('still=5001')
key('exit 3\n')
until('$ ')
key('echo status=$?\n')
until('status=3')
leave()",
    );
}

#[test]
fn a_full_screen_program_gets_the_size_and_its_changes() {
    let sandbox = Sandbox::new();
    play(
        &sandbox,
        r"
import fcntl, struct, termios
def size(rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
size(24, 80)
script = '''import os, signal, time
changed = []
signal.signal(signal.SIGWINCH, lambda *_: changed.append(os.get_terminal_size()))
print('si' + 'ze', os.get_terminal_size().columns, flush=True)
while not changed: time.sleep(0.01)
time.sleep(0.3)
print('si' + 'ze', len(changed), changed[0].columns)'''
open('size.py', 'w').write(script)
key(portbook + ' run m 1 -- python3 size.py\n')
until('size 80')
size(24, 100)
until('size 1 100')
leave()",
    );
}

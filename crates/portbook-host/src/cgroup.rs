use std::fs;

/// A container's number has so many hexadecimal digits, with Docker and podman alike.
const ID_LENGTH: usize = 64;

/// The container that a process runs in, or holds something for: its number, as container engines know
/// it.
///
/// Engines put each container into a control group that is named after it, whatever namespaces it
/// shares with the host, so that this also tells of one that was given the host's network.
pub fn container_of(pid: u32) -> Option<String> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    container_id(&groups).map(str::to_owned)
}

/// The innermost one, where an engine runs in a container itself.
fn container_id(groups: &str) -> Option<&str> {
    let is_id =
        |word: &&str| word.len() == ID_LENGTH && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups
        .lines()
        .find_map(|line| line.rsplit(['/', '-', '.', ':']).find(is_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_ways_of_naming_a_group_are_known() {
        let id = "5b96d7a38fe85ed11542debebb0f1c45fa6f2e9d215cf8396f29790c688a48ec";
        let outer = id.replace('5', "6");
        for groups in [
            format!("9:name=systemd:/docker/{id}\n0::/docker/{id}\n"),
            format!("0::/system.slice/docker-{id}.scope\n"),
            format!("0::/machine.slice/libpod-{id}.scope/container\n"),
            format!("0::/user.slice/user-7.slice/libpod-conmon-{id}.scope\n"),
            format!("0::/docker/{outer}/docker/{id}\n"),
        ] {
            assert_eq!(container_id(&groups), Some(id), "{groups}");
        }
        for groups in ["", "0::/\n", "0::/system.slice/docker.service\n"] {
            assert_eq!(container_id(groups), None, "{groups}");
        }
    }
}

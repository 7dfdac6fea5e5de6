use std::fs;
use std::io::ErrorKind;

use portbook_model::{Port, PortSet, PortStretch};

use crate::HostError;

const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// The ports that outgoing connections take their local end from; `None` where the kernel does not
/// say.
pub fn ephemeral_range() -> Option<PortStretch> {
    ephemeral(&fs::read_to_string(EPHEMERAL).ok()?)
}

fn ephemeral(setting: &str) -> Option<PortStretch> {
    let mut ends = setting.split_whitespace().map(str::parse);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    PortStretch::new(first, last).ok()
}

/// The ports that the kernel gives to nobody on its own; none where it has no such setting.
pub fn reserved_ports() -> Result<PortSet, HostError> {
    match fs::read_to_string(RESERVED) {
        Ok(setting) => reserved(&setting),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(PortSet::new()),
        Err(source) => Err(HostError::Setting {
            path: RESERVED,
            source,
        }),
    }
}

fn reserved(setting: &str) -> Result<PortSet, HostError> {
    let mut ports = PortSet::new();
    let parts = setting.trim().split(',').map(str::trim);
    for part in parts.filter(|part| !part.is_empty()) {
        let stretch: PortStretch = part.parse().map_err(|_| HostError::SettingForm {
            path: RESERVED,
            found: part.to_owned(),
        })?;
        ports.extend(stretch.ports());
    }
    Ok(ports)
}

/// The command that keeps outgoing connections off these stretches, and off what is reserved
/// already: writing the setting replaces it, so the line says both.
pub fn reserved_ports_line(stretches: &[PortStretch]) -> String {
    // A setting that cannot be read cannot be lost either: nothing has written it.
    let mut ports = reserved_ports().unwrap_or_default();
    ports.extend(stretches.iter().flat_map(PortStretch::ports));
    line(&ports)
}

fn line(ports: &PortSet) -> String {
    let stretches: Vec<String> = neighbours(ports)
        .into_iter()
        .map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        })
        .collect();
    format!(
        "sysctl -w net.ipv4.ip_local_reserved_ports={}",
        stretches.join(",")
    )
}

fn neighbours(ports: &PortSet) -> Vec<(Port, Port)> {
    let mut stretches: Vec<(Port, Port)> = Vec::new();
    for port in ports.iter() {
        match stretches.last_mut() {
            Some((_, last)) if last.next() == Some(port) => *last = port,
            _ => stretches.push((port, port)),
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ephemeral_range_is_two_numbers() {
        let range = ephemeral("32768\t60999\n").unwrap();
        assert_eq!(range.to_string(), "32768-60999");
        assert_eq!(ephemeral("32768"), None);
        assert_eq!(ephemeral("60999 32768"), None);
    }

    #[test]
    fn what_is_reserved_is_read_and_written_back_merged() {
        let mut ports = reserved("8080,9000-9100\n").unwrap();
        assert_eq!(ports.count(), 102);
        for stretch in ["5001-5999", "8081", "9050-9200", "65535"] {
            ports.extend(stretch.parse::<PortStretch>().unwrap().ports());
        }
        assert_eq!(
            line(&ports),
            "sysctl -w net.ipv4.ip_local_reserved_ports=5001-5999,8080-8081,9000-9200,65535"
        );
        assert!(reserved("\n").unwrap().is_empty());
    }

    #[test]
    fn a_setting_that_is_no_list_of_ports_is_named() {
        let error = reserved("8080,x").unwrap_err().to_string();
        assert!(error.contains("`x`"), "{error}");
    }
}

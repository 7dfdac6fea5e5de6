//! The environment that an app reads its ports from.

use std::collections::BTreeMap;

use portbook_model::{Port, Ports, Role};

use crate::ProjectNames;

/// Two roles whose variables would have one name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the roles `{one}` and `{other}` would both be the variable {variable}")]
pub struct SharedVariable {
    /// The one role.
    pub one: Role,
    /// The other role.
    pub other: Role,
    /// The name.
    pub variable: String,
}

/// The variable that says a role's port: `BACKEND_PORT`, a legal name in any shell (POSIX.1-2024, 3.216)
/// whatever the role is called.
pub fn port_variable(role: &Role) -> String {
    let shouted = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    let name: String = role.as_str().chars().map(shouted).collect();
    let is_legal = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    format!("{}{name}_PORT", if is_legal { "" } else { "_" })
}

/// One variable for each role, by name.
pub fn port_variables(ports: &Ports) -> Result<BTreeMap<String, Port>, SharedVariable> {
    let mut roles: BTreeMap<String, &Role> = BTreeMap::new();
    let mut variables = BTreeMap::new();
    for (role, port) in ports {
        let variable = port_variable(role);
        if let Some(one) = roles.insert(variable.clone(), role) {
            return Err(SharedVariable {
                one: one.clone(),
                other: role.clone(),
                variable,
            });
        }
        variables.insert(variable, *port);
    }
    Ok(variables)
}

/// Everything that an app is told of itself: its ports, `PROJECT_NAME` and `COMPOSE_PROJECT_NAME`.
pub fn variables(
    ports: &Ports,
    names: &ProjectNames,
) -> Result<BTreeMap<String, String>, SharedVariable> {
    let ports = port_variables(ports)?.into_iter();
    let mut variables: BTreeMap<String, String> =
        ports.map(|(name, port)| (name, port.to_string())).collect();
    variables.insert("PROJECT_NAME".to_owned(), names.project.clone());
    variables.insert("COMPOSE_PROJECT_NAME".to_owned(), names.compose.clone());
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(listed: &[(&str, u16)]) -> Ports {
        let port = |(role, port): &(&str, u16)| {
            (
                Role::new(role).unwrap(),
                Port::try_from(i64::from(*port)).unwrap(),
            )
        };
        listed.iter().map(port).collect()
    }

    #[test]
    fn every_role_has_a_name_that_shells_take() {
        for (role, variable) in [
            ("backend", "BACKEND_PORT"),
            ("web-socket", "WEB_SOCKET_PORT"),
            ("db.2", "DB_2_PORT"),
            ("2nd", "_2ND_PORT"),
        ] {
            if let Ok(role) = Role::new(role) {
                assert_eq!(port_variable(&role), variable);
            }
        }
    }

    #[test]
    fn two_roles_never_share_a_variable() {
        let clash = port_variables(&ports(&[("a-b", 1), ("a_b", 2)])).unwrap_err();
        assert_eq!(clash.variable, "A_B_PORT");
    }
}

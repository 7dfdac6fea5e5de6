//! `portbook token`: a token for a server.

use portbook_server::NewToken;

use super::{Answer, Ending};
use crate::arguments::Token;
use crate::output::{Complaint, Output};

pub(crate) fn run(arguments: &Token, output: &Output) -> Ending {
    let wrong =
        |error: portbook_server::TokenFileError| Complaint::about_usage(error.to_string(), None);
    let token = NewToken::make(&arguments.name, arguments.scope.right()).map_err(wrong)?;
    if let Some(file) = &arguments.file {
        token.add_to(file).map_err(wrong)?;
    }
    if output.is_json() {
        output.answer_json(&serde_json::json!({ "token": token.secret, "line": token.line }))?;
        return Ok(Answer::Yes);
    }
    output.note(
        "this is the only time that the token is shown: give it to its client as PORTBOOK_TOKEN",
    );
    output.answer(&token.secret)?;
    if arguments.file.is_none() {
        output.note(&format!(
            "its line for the server's --token-file: {}",
            token.line
        ));
    }
    Ok(Answer::Yes)
}
